"""E-mails, one by one: accepting and reading them. Each is delivered by a `mail.send` job."""

from uuid import UUID

from fastapi import Response
from sqlalchemy import select
from sqlalchemy.orm import selectinload

from api.email_bodies import EmailBody
from api.email_drafts import make_drafts, write_emails
from api.idempotency import once
from api.idempotency_key import RequestKey
from api.resources import Resources
from api.transactions import session_connection
from shared import mail_models
from shared.email_shapes import Email, shape_email
from shared.errors import EmailNotFound, JobyardError


async def create_email(
    resources: Resources, owner_id: UUID, body: EmailBody, key: RequestKey | None, base_url: str
) -> Response:
    """Write down an e-mail, its recipients and its job in one transaction, once per key; then nudge the dispatcher.

    Raises `SenderNotAllowed`, `FileNotFound`, `MediaTypeNotAllowed`, `HtmlMissing`, `MessageTooLarge`, the errors of
    templates, and the errors of `once`.
    """
    drafts = await make_drafts(resources, owner_id, [body], base_url)
    async with resources.sessions.begin() as session:
        connection = await session_connection(session)

        async def write() -> Response:
            [written] = await write_emails(resources, connection, owner_id, drafts)
            if isinstance(written, JobyardError):
                raise written
            shaped = shape_email(written)
            location = {"Location": shaped.links.self_}
            return Response(shaped.model_dump_json(by_alias=True), 202, location, "application/json")

        response = await once(connection, key, session.begin_nested, write)
    resources.note_enqueued(owner_id)
    return response


async def read_email(resources: Resources, owner_id: UUID, email_id: UUID) -> Email:
    """Read an owner's e-mail; raises `EmailNotFound`."""
    statement = select(mail_models.Email).where(
        mail_models.Email.owner_id == owner_id, mail_models.Email.id == email_id
    )
    async with resources.sessions() as session:
        row = await session.scalar(statement.options(selectinload(mail_models.Email.recipients)))
    if row is None:
        raise EmailNotFound("No such e-mail.")
    return shape_email(row)
