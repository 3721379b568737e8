"""From rows to messages: what the worker reads of a job's e-mails, and what it makes of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, LiteralString, NamedTuple
from uuid import UUID

from shared.job_context import JobContext
from shared.mail_address import Mailbox, parse_mailbox, stored_mailbox
from shared.mail_models import Mailing
from worker.handler_database import HandlerDatabase
from worker.mail_message import Attachment, InlineImage, Message

PAGE = 20
"""E-mails read at once: enough to keep the connections busy, few enough to be held in memory with their texts."""

_DUE_EMAILS: LiteralString = """
SELECT e.id, e.mailing_id, e.message_id, e.sender, e.reply_to, e.subject, e.text, e.html, e.variables, e.headers,
       e.attachment_ids, e.inline_images, e.unsubscribe_url, coalesce(e.send_at, e.created_at)
FROM emails e WHERE e.job_id = %(job_id)s AND e.id > %(after)s AND EXISTS (
    SELECT 1 FROM recipients r WHERE r.email_id = e.id AND r.state IN ('queued', 'sending', 'deferred')
      AND (r.next_attempt_at IS NULL OR r.next_attempt_at <= clock_timestamp()))
ORDER BY e.id LIMIT %(page)s
"""
_RECIPIENTS: LiteralString = """
SELECT email_id, id, role, name, address,
       state IN ('queued', 'sending', 'deferred') AND (next_attempt_at IS NULL OR next_attempt_at <= clock_timestamp())
FROM recipients WHERE email_id = ANY(%(email_ids)s) ORDER BY email_id, position
"""


class EmailRow(NamedTuple):
    """Is what a worker needs of an e-mail; `dated` is when it was due."""

    id: UUID
    mailing_id: UUID | None
    message_id: str
    sender: str
    reply_to: str | None
    subject: str
    text: str | None
    html: str | None
    variables: dict[str, Any] | None
    headers: dict[str, str]
    attachment_ids: list[UUID]
    inline_images: list[dict[str, str]]
    unsubscribe_url: str | None
    dated: datetime


class Addressee(NamedTuple):
    """Is a recipient; `is_due` says that it has not got the e-mail yet, and that its turn has come."""

    id: UUID
    role: str
    mailbox: Mailbox
    is_due: bool


@dataclass(frozen=True, slots=True)
class DueEmail:
    """Is an e-mail with recipients whose turn it is."""

    row: EmailRow
    recipients: Sequence[Addressee]

    @property
    def sender(self) -> Mailbox:
        """Who sends it."""
        return sender_of(self.row.sender)

    @property
    def has_files(self) -> bool:
        """Whether files go with it."""
        return bool(self.row.attachment_ids or self.row.inline_images)

    @property
    def addressees(self) -> Sequence[Addressee]:
        """The recipients that are to get it now."""
        return [recipient for recipient in self.recipients if recipient.is_due]


async def read_due(database: HandlerDatabase, job_id: UUID, after: UUID) -> list[DueEmail]:
    """Read the next e-mails of a job, by id, that have something due."""
    values = {"job_id": job_id, "after": after, "page": PAGE}
    emails = [EmailRow(*row) for row in await database.insist(_DUE_EMAILS, values)]
    recipients: dict[UUID, list[Addressee]] = {email.id: [] for email in emails}
    if emails:
        rows = await database.insist(_RECIPIENTS, {"email_ids": list(recipients)})
        for email_id, recipient_id, role, name, address, is_due in rows:
            recipients[email_id].append(Addressee(recipient_id, role, stored_mailbox(name, address), is_due))
    return [DueEmail(email, recipients[email.id]) for email in emails]


@lru_cache(maxsize=256)
def sender_of(text: str) -> Mailbox:
    """Make the sender of a row; there are few."""
    return parse_mailbox(text)


class MessageMaker:
    """Makes the messages of one run; a mailing's texts and the last e-mail's files are read once."""

    def __init__(self, context: JobContext) -> None:
        self._context = context
        self._mailings: dict[UUID, Mailing] = {}
        self._files: tuple[list[UUID], list[tuple[str, str, bytes]]] = [], []

    def read(self, email: DueEmail) -> Callable[[], Message]:
        """Read what a message needs; gives what makes it, which must be called in the main thread.

        Raises `Fail` when a file is gone; making it raises the errors of `render`. Takes long only for files.
        """
        row = email.row
        files = self._read_files([*row.attachment_ids, *(UUID(each["file_id"]) for each in row.inline_images)])
        mailing = self._mailing(row.mailing_id) if row.mailing_id else None
        return lambda: _make(email, _content(row, mailing), files)

    def _read_files(self, file_ids: list[UUID]) -> list[tuple[str, str, bytes]]:
        # Threads meet here: what one has compared is what it gives.
        kept = self._files
        if kept[0] != file_ids:
            self._files = kept = file_ids, [self._read_file(file_id) for file_id in file_ids]
        return kept[1]

    def _read_file(self, file_id: UUID) -> tuple[str, str, bytes]:
        file = self._context.file(file_id)
        with self._context.open_file(file) as stream:
            return file.name, file.media_type, stream.read()

    def _mailing(self, mailing_id: UUID) -> Mailing:
        if mailing_id not in self._mailings:
            with self._context.session() as session:
                self._mailings[mailing_id] = session.get_one(Mailing, mailing_id)
        return self._mailings[mailing_id]


def _content(email: EmailRow, mailing: Mailing | None) -> tuple[str, str | None, str | None]:
    if mailing is None:
        return email.subject, email.text, email.html
    from shared.mail_templates import TemplateSource, render  # noqa: PLC0415 - only mailings need the template engine

    variables = mailing.variables | (email.variables or {})
    made = render(TemplateSource(mailing.subject, mailing.text, mailing.html), variables)
    return made.subject, made.text, made.html


def _make(
    email: DueEmail, content: tuple[str, str | None, str | None], files: Sequence[tuple[str, str, bytes]]
) -> Message:
    subject, text, html = content
    row = email.row
    attached = len(row.attachment_ids)

    def mailboxes(role: str) -> list[Mailbox]:
        return [recipient.mailbox for recipient in email.recipients if recipient.role == role]

    return Message(
        message_id=row.message_id,
        # Not the time of the attempt: a repeat is the same message.
        date=row.dated,
        sender=email.sender,
        reply_to=sender_of(row.reply_to) if row.reply_to else None,
        to=mailboxes("to"),
        cc=mailboxes("cc"),
        subject=subject,
        text=text,
        html=html,
        attachments=[Attachment(*file) for file in files[:attached]],
        inline_images=[
            InlineImage(image["content_id"], *file)
            for image, file in zip(row.inline_images, files[attached:], strict=True)
        ],
        headers=row.headers,
        unsubscribe_url=row.unsubscribe_url,
    )
