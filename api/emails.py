"""E-mails: accepting, reading and cancelling them. Each is delivered by a `mail.send` job."""

from collections.abc import Sequence
from typing import Any, cast
from uuid import UUID

from fastapi import Response
from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload

from api.email_bodies import EmailBody
from api.email_shapes import Email, shape_email
from api.idempotency import once
from api.idempotency_key import RequestKey
from api.pages import Page, PageQuery, make_page, select_page
from api.resources import Resources
from api.transactions import session_connection
from shared import models
from shared.errors import EmailNotFound, FileNotFound, IllegalTransition, JobyardError
from shared.ids import new_id
from shared.job_kind import JobKind
from shared.job_queue import NewJob, cancel_job, enqueue
from shared.job_state import JobState
from shared.mail_address import Mailbox, parse_mailbox

KIND = "mail.send"
_Found = tuple[models.Email, str | None]

MOST_ATTACHED_BYTES = 20 * 1024 * 1024
_LINE_OF_BYTES, _LINE_OF_BASE64 = 57, 78


class SenderNotAllowed(JobyardError):
    """Is raised for a sender that is not the service's own."""

    status = 422
    code = "sender_not_allowed"
    title = "Invalid input"


class AttachmentsTooLarge(JobyardError):
    """Is raised when the attachments, encoded for mail, are more than mail servers take."""

    status = 422
    code = "attachments_too_large"
    title = "Invalid input"


async def create_email(resources: Resources, owner_id: UUID, body: EmailBody, key: RequestKey | None) -> Response:
    """Write down an e-mail, its recipients and its job in one transaction, once per key; then nudge the dispatcher.

    Raises `SenderNotAllowed`, `FileNotFound`, `AttachmentsTooLarge`, and the errors of `once`.
    """
    sender = _sender(resources, body.sender)
    email_id = new_id()
    new = _job(resources.kinds[KIND], owner_id, email_id, body)
    async with resources.sessions.begin() as session:
        connection = await session_connection(session)

        async def write() -> Response:
            await _check_attachments(session, owner_id, new.file_ids)
            enqueued = await enqueue(connection, new)
            email = _rows(email_id, owner_id, sender, body, new)
            session.add(email)
            await session.flush()
            shaped = shape_email(email, JobState(enqueued.row.state))
            location = {"Location": shaped.links.self_}
            return Response(shaped.model_dump_json(by_alias=True), 202, location, "application/json")

        response = await once(connection, key, session.begin_nested, write)
    resources.nudger.nudge()
    return response


def _job(kind: JobKind, owner_id: UUID, email_id: UUID, body: EmailBody) -> NewJob:
    return NewJob(
        owner_id=owner_id,
        kind=kind.name,
        queue=kind.queue,
        input={"email_id": str(email_id)},
        max_attempts=kind.max_attempts,
        priority=body.priority,
        tags=body.tags,
        run_at=body.send_at,
        file_ids=list(dict.fromkeys(body.attachment_ids)),
    )


def _sender(resources: Resources, asked: Mailbox | None) -> Mailbox:
    allowed = parse_mailbox(resources.settings.mail_from)
    if asked is not None and asked.key != allowed.key:
        raise SenderNotAllowed(f"The sender must be {allowed.address}.", pointer="/from")
    return asked or allowed


async def _check_attachments(session: AsyncSession, owner_id: UUID, file_ids: Sequence[UUID]) -> None:
    statement = select(models.File.id, models.File.size).where(
        models.File.owner_id == owner_id, models.File.id.in_(file_ids)
    )
    sizes = {row[0]: row[1] for row in await session.execute(statement)} if file_ids else {}
    for index, file_id in enumerate(file_ids):
        if file_id not in sizes:
            raise FileNotFound(f"File {file_id} does not exist.", pointer=f"/attachment_ids/{index}")
    encoded = sum(-(-size // _LINE_OF_BYTES) * _LINE_OF_BASE64 for size in sizes.values())
    if encoded > MOST_ATTACHED_BYTES:
        raise AttachmentsTooLarge(
            f"The attachments are {encoded} bytes when encoded; at most {MOST_ATTACHED_BYTES} are allowed.",
            pointer="/attachment_ids",
        )


def _rows(email_id: UUID, owner_id: UUID, sender: Mailbox, body: EmailBody, new: NewJob) -> models.Email:
    return models.Email(
        id=email_id,
        owner_id=owner_id,
        job_id=new.id,
        message_id=f"<{email_id}@{sender.wire.rpartition('@')[2]}>",
        sender=str(sender),
        reply_to=str(body.reply_to) if body.reply_to else None,
        subject=body.subject,
        text=body.text,
        html=body.html,
        attachment_ids=list(new.file_ids),
        tags=body.tags,
        send_at=body.send_at,
        recipients=[
            models.Recipient(position=position, role=role, name=mailbox.name, address=mailbox.address)
            for position, (role, mailbox) in enumerate(body.recipients())
        ],
    )


# Pages are typed for a Select of anything, which a Select of two columns is not.
_EMAILS = cast(
    "Select[Any]",
    select(models.Email, models.Job.state)
    .outerjoin(models.Job, models.Email.job_id == models.Job.id)
    .options(selectinload(models.Email.recipients)),
)


async def list_emails(resources: Resources, owner_id: UUID, page: PageQuery) -> Page[Email]:
    """List an owner's e-mails, newest first."""
    statement = select_page(
        _EMAILS.where(models.Email.owner_id == owner_id), page, models.Email.created_at, models.Email.id
    )
    async with resources.sessions() as session:
        rows = cast("list[_Found]", (await session.execute(statement)).all())
    return make_page(rows, page, lambda row: (row[0].created_at, row[0].id), lambda row: _shape(row[0], row[1]))


async def read_email(resources: Resources, owner_id: UUID, email_id: UUID) -> Email:
    """Read an owner's e-mail; raises `EmailNotFound`."""
    email, job_state = await _read(resources, owner_id, email_id)
    return _shape(email, job_state)


async def cancel_email(resources: Resources, owner_id: UUID, email_id: UUID) -> Email:
    """Cancel what has not gone; raises `EmailNotFound`, and `IllegalTransition` when the job has ended otherwise.

    While a message is being handed to the mail server it can no longer be held; its recipients are then `sent`.
    """
    email, _ = await _read(resources, owner_id, email_id)
    if email.job_id is not None:
        async with resources.ledger.connection() as connection:
            row = await cancel_job(connection, owner_id, email.job_id)
        if row is not None:
            await resources.changes.publish(row.id, row.version)
    email, job_state = await _read(resources, owner_id, email_id)
    shaped = _shape(email, job_state)
    if shaped.done and job_state != JobState.CANCELLED:
        raise IllegalTransition(f"The e-mail's job has ended ({job_state or 'purged'}); nothing is left to cancel.")
    return shaped


async def _read(resources: Resources, owner_id: UUID, email_id: UUID) -> _Found:
    statement = _EMAILS.where(models.Email.owner_id == owner_id, models.Email.id == email_id)
    async with resources.sessions() as session:
        found = cast("_Found | None", (await session.execute(statement)).one_or_none())
    if found is None:
        raise EmailNotFound("No such e-mail.")
    return found


def _shape(email: models.Email, job_state: str | None) -> Email:
    return shape_email(email, JobState(job_state) if job_state else None)
