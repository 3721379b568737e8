"""Writing e-mails and their recipients down, one or thousands, in the transaction of the request."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import islice
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import tuple_row
from psycopg.types.json import Jsonb

from shared.ids import new_id
from shared.mail_address import Mailbox
from shared.mail_models import Email, Recipient

_ROWS_AT_ONCE = 500

_INSERT_EMAILS = """
INSERT INTO emails (id, owner_id, job_id, mailing_id, message_id, sender, reply_to, subject, text, html, template,
                    variables, headers, attachment_ids, inline_images, unsubscribe_url, delivery, tags, send_at)
SELECT id, owner_id, job_id, mailing_id, message_id, sender, reply_to, subject, text, html, template,
       variables, headers, attachment_ids, inline_images, unsubscribe_url, delivery, tags, send_at
FROM jsonb_to_recordset(%s) AS given (
    id uuid, owner_id uuid, job_id uuid, mailing_id uuid, message_id text, sender text, reply_to text, subject text,
    text text, html text, template text, variables jsonb, headers jsonb, attachment_ids uuid[], inline_images jsonb,
    unsubscribe_url text, delivery text, tags text[], send_at timestamptz)
RETURNING created_at
"""
_COLUMNS = (
    "id", "owner_id", "job_id", "mailing_id", "message_id", "sender", "reply_to", "subject", "text", "html", "template",
    "variables", "headers", "attachment_ids", "inline_images", "unsubscribe_url", "delivery", "tags", "send_at",
)  # fmt: skip

_INSERT_RECIPIENTS = """
INSERT INTO recipients (id, email_id, owner_id, position, role, name, address, address_key, state)
SELECT id, email_id, owner_id, position, role, name, address, address_key,
       CASE WHEN EXISTS (SELECT 1 FROM suppressions WHERE suppressions.owner_id = given.owner_id
                         AND suppressions.address_key = given.address_key) THEN 'suppressed' ELSE 'queued' END
FROM jsonb_to_recordset(%s) AS given (
    id uuid, email_id uuid, owner_id uuid, position int, role text, name text, address text, address_key text)
RETURNING id, state
"""
_RECIPIENT_COLUMNS = ("id", "email_id", "owner_id", "position", "role", "name", "address", "address_key")


def make_recipients(email_id: UUID, owner_id: UUID, named: Iterable[tuple[str, Mailbox]]) -> list[Recipient]:
    """Make the rows of an e-mail's recipients, given with their roles; none is written yet."""
    return [
        Recipient(
            id=new_id(),
            email_id=email_id,
            owner_id=owner_id,
            position=position,
            role=role,
            name=mailbox.name,
            address=mailbox.address,
            address_key=mailbox.key,
            state="queued",
            attempts=0,
        )
        for position, (role, mailbox) in enumerate(named)
    ]


async def insert_emails(connection: AsyncConnection[Any], emails: Sequence[Email]) -> None:
    """Write e-mails and recipients on a connection in its transaction; their jobs and mailings are there already.

    The objects then say what was written: `created_at`, and `suppressed` for who is on the owner's list.
    """
    remaining = iter(emails)
    while chunk := list(islice(remaining, _ROWS_AT_ONCE)):
        await _insert_chunk(connection, chunk)


async def _insert_chunk(connection: AsyncConnection[Any], emails: Sequence[Email]) -> None:
    recipients = [recipient for email in emails for recipient in email.recipients]
    async with connection.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(_INSERT_EMAILS, (Jsonb([_values(email, _COLUMNS) for email in emails]),))
        created = await cursor.fetchone()
        assert created is not None  # noqa: S101 - a chunk has a row
        await cursor.execute(_INSERT_RECIPIENTS, (Jsonb([_values(each, _RECIPIENT_COLUMNS) for each in recipients]),))
        states = dict(await cursor.fetchall())
    for email in emails:
        email.created_at = created[0]
    for recipient in recipients:
        recipient.state = states[recipient.id]


def _values(row: Email | Recipient, columns: Sequence[str]) -> dict[str, Any]:
    return {column: _plain(getattr(row, column)) for column in columns}


def _plain(value: object) -> object:
    match value:
        case UUID():
            return str(value)
        case datetime():
            return value.isoformat()
        case list():
            return [_plain(each) for each in value]
        case _:
            return value
