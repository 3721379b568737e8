"""Suppressed addresses: an owner's list of those that mail no longer goes to.

It is asked when an e-mail is accepted, and again just before a message goes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from uuid import UUID

from fastapi import Response
from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from api.idempotency import once
from api.idempotency_key import RequestKey
from api.pages import Page, PageQuery, make_page, select_page_by_time_and_name
from api.resources import Resources
from api.suppression_shapes import Suppression, SuppressionBody, SuppressionReason
from api.transactions import session_connection
from shared.errors import JobyardError
from shared.mail_address import address_key
from shared.mail_models import Suppression as SuppressionRow


class SuppressionNotFound(JobyardError):
    """Is raised for an address that is not on its owner's list."""

    status = 404
    code = "suppression_not_found"
    title = "Suppression not found"


@dataclass(frozen=True, slots=True)
class SuppressionFilter:
    """Says which addresses a list shows; an empty filter lets all in."""

    reasons: Sequence[SuppressionReason]
    address: str | None


async def create_suppression(
    resources: Resources, owner_id: UUID, body: SuppressionBody, key: RequestKey | None
) -> Response:
    """Put an address on the list (201), or give what is there already (200), which stays as it is.

    Raises the errors of `once`.
    """
    async with resources.sessions.begin() as session:

        async def write() -> Response:
            row, added = await suppress(session, owner_id, body.address, body.reason, body.detail)
            shaped = Suppression.of(row)
            headers = {"Location": shaped.links.self_}
            status = HTTPStatus.CREATED if added else HTTPStatus.OK
            return Response(shaped.model_dump_json(by_alias=True), status, headers, "application/json")

        return await once(await session_connection(session), key, session.begin_nested, write)


async def suppress(
    session: AsyncSession, owner_id: UUID, address: str, reason: SuppressionReason, detail: str | None = None
) -> tuple[SuppressionRow, bool]:
    """Put an address on an owner's list in a transaction; gives its row, and whether it was not there before."""
    key = address_key(address)
    statement = insert(SuppressionRow).values(
        owner_id=owner_id,
        address_key=key,
        address=address,
        reason=reason,
        detail=detail,
        created_at=func.clock_timestamp(),
    )
    while True:
        added = await session.scalar(statement.on_conflict_do_nothing().returning(SuppressionRow))
        if added is not None:
            return added, True
        found = await session.get(SuppressionRow, (owner_id, key))
        # It can have been taken off the list in between.
        if found is not None:
            return found, False


async def list_suppressions(
    resources: Resources, owner_id: UUID, page: PageQuery, wanted: SuppressionFilter
) -> Page[Suppression]:
    """List an owner's suppressed addresses, newest first."""
    statement = select(SuppressionRow).where(SuppressionRow.owner_id == owner_id)
    if wanted.reasons:
        statement = statement.where(SuppressionRow.reason.in_(wanted.reasons))
    if wanted.address is not None:
        statement = statement.where(SuppressionRow.address_key == address_key(wanted.address))
    statement = select_page_by_time_and_name(statement, page, SuppressionRow.created_at, SuppressionRow.address_key)
    async with resources.sessions() as session:
        rows = (await session.scalars(statement)).all()
    return make_page(rows, page, lambda row: (row.created_at, row.address_key), Suppression.of)


async def read_suppression(resources: Resources, owner_id: UUID, address: str) -> Suppression:
    """Read what an owner's list says of an address; raises `SuppressionNotFound`."""
    async with resources.sessions() as session:
        row = await session.get(SuppressionRow, (owner_id, address_key(address)))
    if row is None:
        raise SuppressionNotFound("The address is not suppressed.")
    return Suppression.of(row)


async def delete_suppression(resources: Resources, owner_id: UUID, address: str) -> None:
    """Take an address off an owner's list; raises `SuppressionNotFound`."""
    statement = delete(SuppressionRow).where(
        SuppressionRow.owner_id == owner_id, SuppressionRow.address_key == address_key(address)
    )
    async with resources.sessions.begin() as session:
        if await session.scalar(statement.returning(SuppressionRow.address_key)) is None:
            raise SuppressionNotFound("The address is not suppressed.")
