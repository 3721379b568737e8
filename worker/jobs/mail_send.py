"""`mail.send`: delivers an e-mail to each of its recipients.

At least once: a recipient is marked `sending` before the message goes out and `sent` once the server has taken it. A
crash in between leaves `sending`, and the next attempt sends again, under the same Message-ID.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, selectinload

from shared.job_context import JobContext
from shared.job_kind import JobInput, JobResult, job
from shared.job_outcome import Cancelled, Fail, Retry
from shared.mail_address import Mailbox, make_mailbox, parse_mailbox
from shared.models import Email, Job, Recipient

if TYPE_CHECKING:
    from worker.mail_message import Message
    from worker.mailer import MailConnection, Reply

BACKOFF = timedelta(minutes=2)
_PENDING = ("queued", "sending", "deferred")
_LONGEST_PAUSE_SECONDS = 2.0


class MailInput(JobInput):
    """Names the e-mail to deliver."""

    email_id: UUID


class MailResult(JobResult):
    """Counts the e-mail's recipients by what became of them."""

    sent: int
    bounced: int


@dataclass(frozen=True, slots=True)
class Addressee:
    """Is a recipient that has not got the e-mail yet."""

    id: UUID
    mailbox: Mailbox


@job(
    "mail.send",
    queue="mail",
    access="internal",
    timeout=timedelta(minutes=10),
    max_attempts=6,
    backoff=BACKOFF,
    backoff_cap=timedelta(hours=1),
)
async def send_mail(job_input: MailInput, context: JobContext) -> MailResult:
    """Deliver an e-mail to the recipients that have not got it yet."""
    from worker.mailer import open_mail_connection  # noqa: PLC0415 - the front imports this module, not aiosmtplib

    email = _read(context, job_input.email_id)
    pending = [_addressee(recipient) for recipient in email.recipients if recipient.state in _PENDING]
    if pending:
        message = _message(context, email)
        async with open_mail_connection(context.settings) as connection:
            await _converse(context, connection, message, pending)
    return _conclude(context, email.id)


async def _converse(
    context: JobContext, connection: "MailConnection", message: "Message", pending: Sequence[Addressee]
) -> None:
    from worker.mail_message import compose  # noqa: PLC0415 - as above

    mailboxes = [addressee.mailbox for addressee in pending]
    shown = [message.sender, *message.to, *message.cc, *([message.reply_to] if message.reply_to else [])]
    content = compose(message, smtputf8=connection.smtputf8)
    replies = await connection.offer(
        message.sender, mailboxes, len(content), utf8=any(mailbox.needs_smtputf8 for mailbox in [*shown, *mailboxes])
    )
    answered = list(zip(pending, replies, strict=True))
    _record_offer(context, answered)
    accepted = [addressee for addressee, reply in answered if reply.accepted]
    if accepted:
        reply = await connection.transmit(content)
        # The server has spoken: losing its answer to a short absence of PostgreSQL would send the message twice.
        await _insist(lambda: _record_answer(context, accepted, reply))


def _read(context: JobContext, email_id: UUID) -> Email:
    statement = select(Email).where(Email.id == email_id, Email.owner_id == context.owner_id)
    with context.session() as session:
        email = session.scalar(statement.options(selectinload(Email.recipients)))
    if email is None:
        raise Fail("email_not_found", "The e-mail does not exist.")
    return email


def _addressee(recipient: Recipient) -> Addressee:
    return Addressee(recipient.id, make_mailbox(recipient.name, recipient.address))


def _message(context: JobContext, email: Email) -> "Message":
    from worker.mail_message import Attachment, Message  # noqa: PLC0415 - as above

    attachments: list[Attachment] = []
    for file_id in email.attachment_ids:
        file = context.file(file_id)
        with context.open_file(file) as stream:
            attachments.append(Attachment(file.name, file.media_type, stream.read()))

    def mailboxes(role: str) -> list[Mailbox]:
        return [_addressee(recipient).mailbox for recipient in email.recipients if recipient.role == role]

    return Message(
        message_id=email.message_id,
        # Not the time of the attempt: a repeat is the same message.
        date=email.send_at or email.created_at,
        sender=parse_mailbox(email.sender),
        reply_to=parse_mailbox(email.reply_to) if email.reply_to else None,
        to=mailboxes("to"),
        cc=mailboxes("cc"),
        subject=email.subject,
        text=email.text,
        html=email.html,
        attachments=attachments,
    )


def _record_offer(context: JobContext, answered: Sequence[tuple[Addressee, "Reply"]]) -> None:
    """Write down what the server said of each recipient; the last moment at which a cancellation holds the message."""
    with context.session() as session:
        context.guard(session)
        if session.scalar(select(Job.cancel_requested).where(Job.id == context.job_id)):
            raise Cancelled
        for addressee, reply in answered:
            recipient = session.get_one(Recipient, addressee.id)
            recipient.attempts += 1
            if reply.accepted:
                recipient.state = "sending"
            else:
                _refuse(recipient, reply)


def _record_answer(context: JobContext, accepted: Sequence[Addressee], reply: "Reply") -> None:
    with context.session() as session:
        context.guard(session)
        for recipient in _lock(session, [addressee.id for addressee in accepted]):
            _refuse(recipient, reply)
            if reply.accepted:
                recipient.state = "sent"
                recipient.sent_at = session.scalar(select(func.clock_timestamp()))


def _refuse(recipient: Recipient, reply: "Reply") -> None:
    recipient.state = "bounced" if reply.refused else "deferred"
    recipient.reply_code = reply.code
    recipient.reply_text = reply.text


def _lock(session: Session, ids: Sequence[UUID]) -> Sequence[Recipient]:
    return session.scalars(select(Recipient).where(Recipient.id.in_(ids)).order_by(Recipient.position)).all()


async def _insist(write: Callable[[], None]) -> None:
    pause = 0.05
    while True:
        try:
            write()
        except OperationalError:
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
        else:
            return


def _conclude(context: JobContext, email_id: UUID) -> MailResult:
    """Give the result, or ask for another attempt while a recipient is deferred and attempts are left."""
    with context.session() as session:
        context.guard(session)
        statement = select(Recipient).where(Recipient.email_id == email_id).order_by(Recipient.position)
        recipients = session.scalars(statement).all()
        deferred = [recipient for recipient in recipients if recipient.state == "deferred"]
        if deferred and not context.is_last_attempt:
            raise Retry(_delay(context.attempt), f"{_count(len(deferred))} deferred: {_said(deferred[-1])}")
        for recipient in deferred:
            recipient.state = "bounced"
    sent = sum(recipient.state == "sent" for recipient in recipients)
    if not sent:
        raise Fail("all_recipients_refused", f"No recipient was accepted; the last reply: {_said(recipients[-1])}")
    return MailResult(sent=sent, bounced=len(recipients) - sent)


def _delay(attempt: int) -> timedelta:
    """Two minutes, doubled with every attempt, and up to a quarter more so that a crowd does not come back as one."""
    return BACKOFF * 2 ** (attempt - 1) * random.uniform(1, 1.25)  # noqa: S311 - spreads load, guards nothing


def _said(recipient: Recipient) -> str:
    return f"{recipient.reply_code} {recipient.reply_text}"


def _count(number: int) -> str:
    return "1 recipient was" if number == 1 else f"{number} recipients were"
