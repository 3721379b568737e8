"""Mailings: one template for thousands of recipients, accepted whole or not at all."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import LiteralString
from uuid import UUID

from fastapi import Response
from sqlalchemy import Select, select
from sqlalchemy import text as sql
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import load_only

from api.idempotency import once
from api.idempotency_key import RequestKey
from api.mailing_bodies import MailingOrder, read_order
from api.mailing_drafts import MailingDraft, make_draft, write_mailing
from api.mailing_shapes import Mailing, shape_mailing
from api.pages import Page, PageQuery, make_page, select_page
from api.resources import Resources
from api.transactions import session_connection
from shared import mail_models
from shared.errors import JobyardError

_mailing = mail_models.Mailing

RECIPIENTS_OF_MAILING: LiteralString = """
emails JOIN recipients ON recipients.email_id = emails.id
    AND recipients.email_id BETWEEN (SELECT id FROM emails WHERE mailing_id = mailing.id ORDER BY id LIMIT 1)
                                AND (SELECT id FROM emails WHERE mailing_id = mailing.id ORDER BY id DESC LIMIT 1)
WHERE emails.mailing_id = mailing.id
"""
"""Those of the row `mailing`. Its e-mails' ids are of one moment: a stretch of the index, however long the table is."""

_COUNT = sql(f"""
SELECT mailing.id, counted.state, counted.number FROM unnest(CAST(:ids AS uuid[])) AS mailing (id), LATERAL (
    SELECT recipients.state, count(*) AS number FROM {RECIPIENTS_OF_MAILING} GROUP BY recipients.state) AS counted
""")  # noqa: S608 - a constant of this module


class MailingNotFound(JobyardError):
    """Is raised for a mailing that does not exist or is another owner's."""

    status = 404
    code = "mailing_not_found"
    title = "Mailing not found"


async def create_mailing(
    resources: Resources, owner_id: UUID, content: bytes, key: RequestKey | None, base_url: str
) -> Response:
    """Write down a mailing with its e-mails and their jobs in one transaction, once per key; nudge the dispatcher.

    Raises `RequestValidationError`, `RecipientsRepeated`, `SenderNotAllowed`, `EmailTemplateNotFound`,
    `TemplateError`s that point to the recipients concerned, and the errors of `once`.
    """
    order = await read_order(content, key)
    draft = await _draft(resources, owner_id, order)
    async with resources.sessions.begin() as session:
        connection = await session_connection(session)

        async def write() -> Response:
            if isinstance(draft, JobyardError):
                raise draft
            row, counts = await write_mailing(resources, session, owner_id, order, draft, base_url)
            shaped = shape_mailing(row, counts)
            location = {"Location": shaped.links.self_}
            return Response(shaped.model_dump_json(by_alias=True), 202, location, "application/json")

        response = await once(connection, order.key, session.begin_nested, write)
    resources.note_enqueued(owner_id)
    return response


async def _draft(resources: Resources, owner_id: UUID, order: MailingOrder) -> MailingDraft | JobyardError:
    # A repeated request gets the first answer again, whatever became of the template since.
    try:
        return await make_draft(resources, owner_id, order)
    except JobyardError as error:
        return error


async def list_mailings(resources: Resources, owner_id: UUID, page: PageQuery) -> Page[Mailing]:
    """List an owner's mailings, newest first."""
    statement = select_page(_select(owner_id), page, _mailing.created_at, _mailing.id)
    async with resources.sessions() as session:
        rows = (await session.scalars(statement)).all()
        counts = await _count(session, [row.id for row in rows[: page.limit]])
    return make_page(
        rows, page, lambda row: (row.created_at, row.id), lambda row: shape_mailing(row, counts[row.id])
    )  # fmt: skip


async def read_mailing(resources: Resources, owner_id: UUID, mailing_id: UUID) -> Mailing:
    """Read an owner's mailing; raises `MailingNotFound`."""
    async with resources.sessions() as session:
        row = await session.scalar(_select(owner_id).where(_mailing.id == mailing_id))
        if row is None:
            raise MailingNotFound("No such mailing.")
        counts = await _count(session, [mailing_id])
    return shape_mailing(row, counts[mailing_id])


def _select(owner_id: UUID) -> Select[mail_models.Mailing]:
    # Neither its texts nor its variables are shown.
    shown = [
        _mailing.id, _mailing.template, _mailing.subject, _mailing.sender, _mailing.recipients, _mailing.tags,
        _mailing.send_at, _mailing.cancelled_at, _mailing.created_at,
    ]  # fmt: skip
    return select(_mailing).options(load_only(*shown)).where(_mailing.owner_id == owner_id)


async def _count(session: AsyncSession, mailing_ids: Sequence[UUID]) -> dict[UUID, Counter[str]]:
    counts: dict[UUID, Counter[str]] = defaultdict(Counter)
    for mailing_id, state, number in await session.execute(_COUNT, {"ids": mailing_ids}):
        counts[mailing_id][state] = number
    return counts
