"""Delivering an e-mail: one attempt at every recipient that has not got it, each answer written to its row.

Every write is in a transaction that first makes sure that this attempt still owns the job.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import selectinload

from shared.job_context import JobContext
from shared.job_outcome import Cancelled, Fail
from shared.mail_address import Mailbox, make_mailbox, parse_mailbox
from shared.mail_models import Email, Recipient
from shared.models import Job
from worker.mail_message import Attachment, Message, compose
from worker.mailer import MailConnection, Reply, open_mail_connection

_PENDING = ("queued", "sending", "deferred")
_LONGEST_PAUSE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Addressee:
    """Is a recipient that has not got the e-mail yet."""

    id: UUID
    mailbox: Mailbox


async def deliver(context: JobContext, email_id: UUID) -> None:
    """Make one attempt; the rows of the recipients then tell how it went.

    Raises `MailServerAway`, `Cancelled`, and `Fail` when the e-mail or an attachment is gone.
    """
    email = _read(context, email_id)
    pending = [_addressee(recipient) for recipient in email.recipients if recipient.state in _PENDING]
    if pending:
        message = _message(context, email)
        async with open_mail_connection(context.settings) as connection:
            await _converse(context, connection, message, pending)


async def _converse(
    context: JobContext, connection: MailConnection, message: Message, pending: Sequence[Addressee]
) -> None:
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


def _message(context: JobContext, email: Email) -> Message:
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


def _record_offer(context: JobContext, answered: Sequence[tuple[Addressee, Reply]]) -> None:
    """Write down what the server said of each recipient; the last moment at which a cancellation holds the message."""
    with context.session() as session:
        context.guard(session)
        if session.scalar(select(Job.cancel_requested).where(Job.id == context.job_id)):
            raise Cancelled
        for addressee, reply in answered:
            recipient = session.get_one(Recipient, addressee.id)
            recipient.attempts += 1
            _settle(recipient, reply, accepted="sending")


def _record_answer(context: JobContext, accepted: Sequence[Addressee], reply: Reply) -> None:
    with context.session() as session:
        context.guard(session)
        for addressee in accepted:
            recipient = session.get_one(Recipient, addressee.id)
            _settle(recipient, reply, accepted="sent")
            if reply.accepted:
                recipient.sent_at = session.scalar(select(func.clock_timestamp()))


def _settle(recipient: Recipient, reply: Reply, *, accepted: str) -> None:
    recipient.state = accepted if reply.accepted else "bounced" if reply.refused else "deferred"
    recipient.reply_code = reply.code
    recipient.reply_text = reply.text


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
