"""Composing a message (RFC 5322, MIME) from what it says.

Whatever the values are, they become no header and no part of their own: what could is refused with `ValueError`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime

from shared.mail_address import Mailbox
from worker.mail_body import Part, file_part, multipart, text_part
from worker.mail_headers import address_line, header_line, unsubscribe_lines

_OURS = {
    "bcc", "cc", "date", "dkim-signature", "from", "message-id", "mime-version", "received", "reply-to", "return-path",
    "sender", "subject", "to",
}  # fmt: skip
"""The headers that no custom one may be, besides those of the content."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """Is a file that goes with a message."""

    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class InlineImage:
    """Is an image that the HTML page shows by `cid:<content_id>`."""

    content_id: str
    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """Is what a message says. There is no place for blind copies: they are known to the envelope alone."""

    message_id: str
    date: datetime
    sender: Mailbox
    reply_to: Mailbox | None
    to: Sequence[Mailbox]
    cc: Sequence[Mailbox]
    subject: str
    text: str | None
    html: str | None
    attachments: Sequence[Attachment]
    inline_images: Sequence[InlineImage] = ()
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    unsubscribe_url: str | None = None


def compose(message: Message, *, smtputf8: bool) -> bytes:
    """Write a message as it goes over the wire; equal arguments give equal bytes. Raises `ValueError`.

    Without `smtputf8` an address that is not ASCII before the @ is shown as RFC 6857 says: readable, not usable.
    """
    body = _body(message)
    lines = [*_lines(message, smtputf8=smtputf8), "MIME-Version: 1.0", body.header]
    return b"".join(["\r\n".join(lines).encode(), b"\r\n", *body.content])


def _lines(message: Message, *, smtputf8: bool) -> list[str]:
    lines = [
        f"Date: {format_datetime(message.date)}",
        header_line("Message-ID", message.message_id),
        address_line("From", [message.sender], smtputf8=smtputf8),
        header_line("Subject", message.subject),
    ]
    if message.to:
        lines.append(address_line("To", message.to, smtputf8=smtputf8))
    if message.cc:
        lines.append(address_line("Cc", message.cc, smtputf8=smtputf8))
    if not message.to and not message.cc:
        lines.append("To: undisclosed-recipients:;")
    if message.reply_to:
        lines.append(address_line("Reply-To", [message.reply_to], smtputf8=smtputf8))
    return lines + _custom_lines(message)


def _custom_lines(message: Message) -> list[str]:
    lines = [header_line(name, value) for name, value in message.headers.items()]
    taken = _OURS
    if message.unsubscribe_url is not None:
        lines += unsubscribe_lines(message.unsubscribe_url)
        taken = _OURS | {"list-unsubscribe", "list-unsubscribe-post"}
    names = [name.lower() for name in message.headers]
    for name in names:
        if name in taken or name.startswith(("content-", "resent-", "arc-")):
            raise ValueError(f"{name} is not for a custom header")
    if len(set(names)) < len(names):
        raise ValueError("a custom header must be given once")
    return lines


def _body(message: Message) -> Part:
    seed = message.message_id
    images = [
        file_part(image.name, image.media_type, image.content, content_id=image.content_id)
        for image in message.inline_images
    ]
    files = [file_part(file.name, file.media_type, file.content) for file in message.attachments]
    texts: list[Part] = []
    if message.text is not None or message.html is None:
        texts.append(text_part("plain", message.text or ""))
    if message.html is None:
        # Without a page there is nothing that images could stand in, and they are not to be lost.
        files = images + files
    else:
        page = text_part("html", message.html)
        texts.append(multipart("related", [page, *images], seed) if images else page)
    body = texts[0] if len(texts) == 1 else multipart("alternative", texts, seed)
    return multipart("mixed", [body, *files], seed) if files else body
