"""The files that e-mails need, and how large that makes a message."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import tuple_row

from api.email_bodies import EmailBody
from shared.errors import FileNotFound, JobyardError, MediaTypeNotAllowed
from shared.mail_templates import Content

_LOCK = """
SELECT id, name, media_type, size FROM files WHERE owner_id = %s AND id = ANY(%s) ORDER BY id FOR KEY SHARE
"""
_LINE_OF_BYTES, _LINE_OF_BASE64 = 57, 78
_PART_BYTES = 512
"""More than the boundary and the headers of a part take, its file's name aside."""
_MESSAGE_BYTES = 4096
"""More than what we add to a message: its date, its id, its signature, what mail servers write on its way."""


class MessageTooLarge(JobyardError):
    """Is raised when a message, encoded for mail, would be larger than the settings allow."""

    status = 422
    code = "message_too_large"
    title = "Message too large"


class HtmlMissing(JobyardError):
    """Is raised for inline images without a page that could show them."""

    status = 422
    code = "html_missing"
    title = "Invalid input"


@dataclass(frozen=True, slots=True)
class MailFile:
    """Is what must be known of a file before it goes with an e-mail."""

    name: str
    media_type: str
    size: int


async def lock_files(
    connection: AsyncConnection[Any], owner_id: UUID, file_ids: Iterable[UUID]
) -> dict[UUID, MailFile]:
    """Keep those of these files that are the owner's from being deleted until the transaction ends."""
    wanted = list(set(file_ids))
    if not wanted:
        return {}
    async with connection.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(_LOCK, (owner_id, wanted))
        return {row[0]: MailFile(*row[1:]) for row in await cursor.fetchall()}


def require_files(body: EmailBody, content: Content, files: Mapping[UUID, MailFile], most_bytes: int) -> None:
    """Raise `FileNotFound`, `MediaTypeNotAllowed`, `HtmlMissing`, `MessageTooLarge` for what cannot be sent."""
    for index, file_id in enumerate(body.attachment_ids):
        if file_id not in files:
            raise FileNotFound(f"File {file_id} does not exist.", pointer=f"/attachment_ids/{index}")
    for index, image in enumerate(body.inline_images):
        pointer = f"/inline_images/{index}/file_id"
        if image.file_id not in files:
            raise FileNotFound(f"File {image.file_id} does not exist.", pointer=pointer)
        if not files[image.file_id].media_type.startswith("image/"):
            raise MediaTypeNotAllowed(f"File {image.file_id} is no picture.", pointer=pointer)
    if body.inline_images and content.html is None:
        raise HtmlMissing("Only an HTML page can show inline images.", pointer="/inline_images")
    size = _most_encoded_bytes(body, content, files)
    if size > most_bytes:
        raise MessageTooLarge(f"Encoded for mail, the message may have {size} bytes; at most {most_bytes} are allowed.")


def _most_encoded_bytes(body: EmailBody, content: Content, files: Mapping[UUID, MailFile]) -> int:
    """Tell how large a message is at most, whatever encodings are chosen."""
    size = _MESSAGE_BYTES
    for text in (content.text, content.html):
        if text is not None:
            # Quoted-printable is chosen only where it is about as short as base64; each LF becomes CRLF before.
            size += _base64((len(text.encode()) + text.count("\n")) * 21 // 20) + _PART_BYTES
    lines = [content.subject, *(f"{name}{value}" for name, value in body.headers.items())]
    lines += [str(mailbox) for mailbox in (*body.to, *body.cc, body.reply_to) if mailbox is not None]
    # An encoded word of 77 characters carries 45 bytes at best, and a domain may be longer in ASCII.
    size += sum(3 * len(line.encode()) + 100 for line in lines)
    for file_id in (*dict.fromkeys(body.attachment_ids), *(image.file_id for image in body.inline_images)):
        file = files[file_id]
        size += _base64(file.size) + 4 * len(file.name.encode()) + _PART_BYTES
    return size


def _base64(size: int) -> int:
    return -(-size // _LINE_OF_BYTES) * _LINE_OF_BASE64
