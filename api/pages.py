"""Lists: pages by an opaque cursor on `(created_at, id)`, `(created_at, name)` or a unique name; never by offset."""

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

from fastapi import Query
from pydantic import BaseModel, Field
from sqlalchemy import Select, tuple_
from sqlalchemy.orm import InstrumentedAttribute

from shared.errors import JobyardError

Item = TypeVar("Item")
Row = TypeVar("Row")
_NAME = re.compile(r"[!-~]+")
_NOT_OURS = "The cursor is none of this list's."
Sort = Literal["-created_at", "created_at"]
_LONGEST_CURSOR = 1500
Place = tuple[datetime, UUID] | tuple[datetime, str] | tuple[str]
"""Where a row stands in its list."""


class CursorNotValid(JobyardError):
    """Is raised for a cursor that no list of ours has given."""

    status = 422
    code = "invalid_cursor"
    title = "Invalid input"


class Page(BaseModel, Generic[Item]):
    """Is one page of a list."""

    items: list[Item]
    next_cursor: str | None = Field(description="Give it as `cursor` to get the next page; null on the last.")


class PageQuery(BaseModel):
    """Asks for a page."""

    cursor: Annotated[
        str | None, Query(max_length=_LONGEST_CURSOR, description="`next_cursor` of the page before.")
    ] = None
    limit: Annotated[int, Query(ge=1, le=100)] = 50


async def page_query(
    cursor: Annotated[
        str | None, Query(max_length=_LONGEST_CURSOR, description="`next_cursor` of the page before.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> PageQuery:
    """Read what page is asked for."""
    return PageQuery(cursor=cursor, limit=limit)


def select_page(
    statement: Select[*tuple[Any, ...]],
    page: PageQuery,
    created_at: InstrumentedAttribute[datetime],
    id_: InstrumentedAttribute[UUID],
    sort: Sort = "-created_at",
) -> Select[*tuple[Any, ...]]:
    """Restrict a statement to a page, and one row more that tells whether another follows."""
    place = tuple_(created_at, id_)
    if page.cursor is not None:
        after = tuple_(*_decode(page.cursor))
        statement = statement.where(place < after if sort == "-created_at" else place > after)
    order = (created_at.desc(), id_.desc()) if sort == "-created_at" else (created_at.asc(), id_.asc())
    return statement.order_by(*order).limit(page.limit + 1)


def select_page_by_time_and_name(
    statement: Select[*tuple[Any, ...]],
    page: PageQuery,
    created_at: InstrumentedAttribute[datetime],
    name: InstrumentedAttribute[str],
) -> Select[*tuple[Any, ...]]:
    """Restrict a statement to a page, newest first, of a list in which a name is unique, and one row more."""
    if page.cursor is not None:
        statement = statement.where(tuple_(created_at, name) < tuple_(*_decode_time_and_name(page.cursor)))
    return statement.order_by(created_at.desc(), name.desc()).limit(page.limit + 1)


def select_page_by_name(
    statement: Select[*tuple[Any, ...]], page: PageQuery, name: InstrumentedAttribute[str]
) -> Select[*tuple[Any, ...]]:
    """Restrict a statement to a page of a list that is sorted by a name, unique in it, and one row more."""
    if page.cursor is not None:
        statement = statement.where(name > _decode_name(page.cursor))
    return statement.order_by(name).limit(page.limit + 1)


def make_page(
    rows: Sequence[Row], page: PageQuery, place: Callable[[Row], Place], shape: Callable[[Row], Item]
) -> Page[Item]:
    """Make a page of the rows of `select_page` or one of its like."""
    shown = rows[: page.limit]
    following = _encode(place(shown[-1])) if len(rows) > page.limit else None
    return Page(items=[shape(row) for row in shown], next_cursor=following)


def _encode(place: Place) -> str:
    text = " ".join(part.isoformat() if isinstance(part, datetime) else str(part) for part in place)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decode_name(cursor: str) -> str:
    name = _decode_text(cursor)
    # A blank would be a place in one of the other lists.
    if not _NAME.fullmatch(name):
        raise CursorNotValid(_NOT_OURS, pointer="query/cursor")
    return name


def _decode(cursor: str) -> tuple[datetime, UUID]:
    moment, id_ = _decode_time_and_name(cursor)
    try:
        return moment, UUID(id_)
    except ValueError as error:
        raise CursorNotValid(_NOT_OURS, pointer="query/cursor") from error


def _decode_time_and_name(cursor: str) -> tuple[datetime, str]:
    text, _, name = _decode_text(cursor).partition(" ")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise CursorNotValid(_NOT_OURS, pointer="query/cursor") from error
    if moment.tzinfo is None or "\0" in name:
        raise CursorNotValid(_NOT_OURS, pointer="query/cursor")
    return moment, name


def _decode_text(cursor: str) -> str:
    try:
        return base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)).decode()
    except (ValueError, binascii.Error) as error:
        raise CursorNotValid(_NOT_OURS, pointer="query/cursor") from error
