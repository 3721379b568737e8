"""Requests as the resources make them: with a token, a key for every POST, JSON both ways, and lists page by page."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import quote
from uuid import UUID

from jobyard.errors import AnswerNotValid, Unauthorized
from jobyard.flows import Answer, Body, Flow, Item, Open, Opened, Query, Request, Send, Stream
from jobyard.reading import Model, read
from jobyard.retries import persist, with_key
from jobyard.session import Session
from jobyard.tokens import current_token, renew

LARGEST_PAGE = 100

M = TypeVar("M", bound=Model)
Id = str | UUID


def ask(session: Session, request: Request, retries: int | None = None) -> Flow[Answer]:
    """Send a request and read its answer; raises the errors of `jobyard.errors`."""
    answer = yield from _signed(session, request, Send, retries)
    if not isinstance(answer, Answer):
        raise TypeError("a request that is sent gives an answer")
    return answer


def ask_open(session: Session, request: Request, retries: int | None = None) -> Flow[Opened]:
    """Send a request and leave its answer open; raises the errors of `jobyard.errors`."""
    answer = yield from _signed(session, request, Open, retries)
    if not isinstance(answer, Opened):
        raise AnswerNotValid(f"The server answered {answer.status} without content.")
    return answer


def _signed(
    session: Session, request: Request, step: type[Send] | type[Open], retries: int | None
) -> Flow[Answer | Opened]:
    most = session.retries if retries is None else retries
    token = yield from current_token(session)
    try:
        return (yield from persist(_with_token(request, token), step, most))
    except Unauthorized:
        if isinstance(request.body, Body) and not request.body.repeatable:
            raise
        if not (yield from renew(session, token)):
            raise
    return (yield from persist(_with_token(request, session.access_token), step, most))


def _with_token(request: Request, token: str | None) -> Request:
    if token is None:
        return request
    return replace(request, headers={**request.headers, "Authorization": f"Bearer {token}"})


def get(session: Session, path: str, query: Query = ()) -> Flow[Answer]:
    """Read."""
    return (yield from ask(session, Request(method="GET", path=path, query=query)))


def post(
    session: Session, path: str, body: object = None, *, query: Query = (), key: str | None = None
) -> Flow[Answer]:
    """Post JSON, or nothing; once, however often it is sent."""
    return (yield from ask(session, with_key(json_request("POST", path, body, query), key)))


def put(session: Session, path: str, body: object) -> Flow[Answer]:
    """Put JSON."""
    return (yield from ask(session, json_request("PUT", path, body)))


def patch(session: Session, path: str, body: object) -> Flow[Answer]:
    """Change what the JSON names."""
    return (yield from ask(session, json_request("PATCH", path, body)))


def delete(session: Session, path: str) -> Flow[None]:
    """Delete."""
    yield from ask(session, Request(method="DELETE", path=path))


def json_request(method: str, path: str, body: object, query: Query = ()) -> Request:
    """Make a request with JSON in it; None is no body."""
    if body is None:
        return Request(method=method, path=path, query=query)
    content = json.dumps(body, default=_jsonable, ensure_ascii=False, separators=(",", ":")).encode()
    return Request(method=method, path=path, query=query, headers={"Content-Type": "application/json"}, body=content)


def read_json(answer: Answer) -> Any:
    """Read an answer's JSON; raises `AnswerNotValid`."""
    try:
        return json.loads(answer.content)
    except ValueError as error:
        raise AnswerNotValid("The server answered no JSON; is this the address of Jobyard?") from error


def read_as(model: type[M], answer: Answer) -> M:
    """Read an answer as a model; raises `AnswerNotValid`."""
    return read(model, read_json(answer))


def read_list(model: type[M], answer: Answer) -> tuple[M, ...]:
    """Read an answer that lists all there is as models; raises `AnswerNotValid`."""
    return tuple(read(model, item) for item in _named(read_json(answer), "items"))


def pages(session: Session, path: str, model: type[M], query: Query = (), limit: int | None = None) -> Stream[M]:
    """Give the items of a list, page after page, up to a limit."""
    cursor: str | None = None
    left = limit
    while left is None or left > 0:
        size = LARGEST_PAGE if left is None else min(left, LARGEST_PAGE)
        more = [("limit", str(size)), *([("cursor", cursor)] if cursor else [])]
        page = read_json((yield from get(session, path, [*query, *more])))
        items, cursor = _page(page)
        for item in items:
            yield Item(read(model, item))
        left = None if left is None else left - len(items)
        if cursor is None:
            return


def _page(page: Any) -> tuple[list[Any], str | None]:
    return list(_named(page, "items")), _named(page, "next_cursor")


def _named(listed: Any, name: str) -> Any:
    try:
        return listed[name]
    except (KeyError, TypeError) as error:
        raise AnswerNotValid("The server gave no list; is this the address of Jobyard?") from error


def query_of(**values: str | datetime | UUID | Sequence[str] | None) -> list[tuple[str, str]]:
    """Make a query; a sequence is repeated, and None is left out."""
    pairs: list[tuple[str, str]] = []
    for name, value in values.items():
        if value is None:
            continue
        several = [value] if isinstance(value, str | datetime | UUID) else value
        pairs += [(name, wire_time(each) if isinstance(each, datetime) else str(each)) for each in several]
    return pairs


def given(**values: object) -> dict[str, Any]:
    """Make a JSON object of what is not None: the server has defaults for the rest."""
    return {name: value for name, value in values.items() if value is not None}


def segment(name: object) -> str:
    """Make one segment of a path of an id or a name; raises `ValueError` when it is empty."""
    text = quote(str(name), safe="@")
    if not text or text in {".", ".."}:
        raise ValueError("an id or a name is missing")
    return text


def wire_time(moment: datetime) -> str:
    """Write a time; raises `ValueError` for one without a time zone, which could mean anything."""
    if moment.tzinfo is None:
        raise ValueError("the time needs a time zone: datetime.now(UTC), for one")
    return moment.isoformat()


def _jsonable(value: object) -> object:
    if isinstance(value, datetime):
        return wire_time(value)
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence):
        return list(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
