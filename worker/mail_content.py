"""From rows to messages: what the worker reads of a job's e-mails, and what it makes of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy import text as sql
from sqlalchemy.orm import selectinload

from shared.job_context import JobContext
from shared.mail_address import Mailbox, make_mailbox, parse_mailbox
from shared.mail_models import UNSETTLED, Email, Mailing, Recipient
from worker.mail_message import Attachment, InlineImage, Message

PAGE = 20
"""E-mails read at once: enough to keep the connections busy, few enough to be held in memory with their texts."""

_DUE = sql("""
SELECT e.id FROM emails e WHERE e.job_id = :job_id AND e.id > :after AND EXISTS (
    SELECT 1 FROM recipients r WHERE r.email_id = e.id AND r.state IN ('queued', 'sending', 'deferred')
      AND (r.next_attempt_at IS NULL OR r.next_attempt_at <= clock_timestamp()))
ORDER BY e.id LIMIT :page
""")


@dataclass(frozen=True, slots=True)
class Addressee:
    """Is a recipient that has not got the e-mail yet, and whose turn it is."""

    id: UUID
    mailbox: Mailbox


@dataclass(frozen=True, slots=True)
class DueEmail:
    """Is an e-mail with recipients whose turn it is."""

    row: Email
    sender: Mailbox
    addressees: Sequence[Addressee]


def read_due(context: JobContext, after: UUID) -> list[DueEmail]:
    """Read the next e-mails of the job, by id, that have something due."""
    with context.session() as session:
        ids = [row[0] for row in session.execute(_DUE, {"job_id": context.job_id, "after": after, "page": PAGE})]
        statement = select(Email).where(Email.id.in_(ids)).options(selectinload(Email.recipients)).order_by(Email.id)
        emails = session.scalars(statement).all() if ids else []
        now = session.scalars(select(func.clock_timestamp())).one()
    return [
        DueEmail(
            email,
            parse_mailbox(email.sender),
            [
                Addressee(recipient.id, mailbox_of(recipient))
                for recipient in email.recipients
                if recipient.state in UNSETTLED
                and (recipient.next_attempt_at is None or recipient.next_attempt_at <= now)
            ],
        )
        for email in emails
    ]


def mailbox_of(recipient: Recipient) -> Mailbox:
    """Make the address of a row."""
    return make_mailbox(recipient.name, recipient.address)


class MessageMaker:
    """Makes the messages of one run; a mailing's texts and the last e-mail's files are read once."""

    def __init__(self, context: JobContext) -> None:
        self._context = context
        self._mailings: dict[UUID, Mailing] = {}
        self._files: tuple[list[UUID], list[tuple[str, str, bytes]]] = [], []

    def read(self, email: Email) -> Callable[[], Message]:
        """Read what a message needs; gives what makes it, which must be called in the main thread.

        Raises `Fail` when a file is gone; making it raises the errors of `render`.
        """
        files = self._read_files([*email.attachment_ids, *(UUID(each["file_id"]) for each in email.inline_images)])
        mailing = self._mailing(email.mailing_id) if email.mailing_id else None
        return lambda: _make(email, _content(email, mailing), files)

    def _read_files(self, file_ids: list[UUID]) -> list[tuple[str, str, bytes]]:
        if self._files[0] != file_ids:
            self._files = file_ids, [self._read_file(file_id) for file_id in file_ids]
        return self._files[1]

    def _read_file(self, file_id: UUID) -> tuple[str, str, bytes]:
        file = self._context.file(file_id)
        with self._context.open_file(file) as stream:
            return file.name, file.media_type, stream.read()

    def _mailing(self, mailing_id: UUID) -> Mailing:
        if mailing_id not in self._mailings:
            with self._context.session() as session:
                self._mailings[mailing_id] = session.get_one(Mailing, mailing_id)
        return self._mailings[mailing_id]


def _content(email: Email, mailing: Mailing | None) -> tuple[str, str | None, str | None]:
    if mailing is None:
        return email.subject, email.text, email.html
    from shared.mail_templates import TemplateSource, render  # noqa: PLC0415 - only mailings need the template engine

    made = render(TemplateSource(mailing.subject, mailing.text, mailing.html), email.variables or {})
    return made.subject, made.text, made.html


def _make(
    email: Email, content: tuple[str, str | None, str | None], files: Sequence[tuple[str, str, bytes]]
) -> Message:
    subject, text, html = content
    attached = len(email.attachment_ids)

    def mailboxes(role: str) -> list[Mailbox]:
        return [mailbox_of(recipient) for recipient in email.recipients if recipient.role == role]

    return Message(
        message_id=email.message_id,
        # Not the time of the attempt: a repeat is the same message.
        date=email.send_at or email.created_at,
        sender=parse_mailbox(email.sender),
        reply_to=parse_mailbox(email.reply_to) if email.reply_to else None,
        to=mailboxes("to"),
        cc=mailboxes("cc"),
        subject=subject,
        text=text,
        html=html,
        attachments=[Attachment(*file) for file in files[:attached]],
        inline_images=[
            InlineImage(image["content_id"], *file)
            for image, file in zip(email.inline_images, files[attached:], strict=True)
        ],
        headers=email.headers,
        unsubscribe_url=email.unsubscribe_url,
    )
