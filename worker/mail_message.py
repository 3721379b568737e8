"""Composing a message (RFC 5322, MIME) from an e-mail's rows.

The standard library makes the MIME parts. The header lines are made here: its folding (Python 3.11 to 3.13) turns a
subject that reads `=?utf-8?q?…?=` into something else, and loses the quotes of long names with commas, which makes two
addresses of one.
"""

import base64
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from shared.mail_address import Mailbox

# Base64 or quoted-printable wherever a line is long or not ASCII: no server needs to know 8BITMIME.
_POLICY = SMTP.clone(cte_type="7bit")
_LINE = 76
_WORD_BYTES = 45
"""As many bytes as base64 fits into an encoded word of 75 characters (RFC 2047, section 2)."""

_PLAIN = re.compile(r"[!-~]+( [!-~]+)*")
_MEDIA_TYPE = re.compile(r"([\w.+-]+)/([\w.+-]+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Attachment:
    """Is a file that goes with a message."""

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


def compose(message: Message, *, smtputf8: bool) -> bytes:
    """Write a message as it goes over the wire; equal arguments give the same headers and, but for boundaries, bytes.

    Without `smtputf8` an address that is not ASCII before the @ is shown as RFC 6857 says: readable, not usable.
    """
    lines = [
        f"Date: {format_datetime(message.date)}",
        f"Message-ID: {message.message_id}",
        _address_line("From", [message.sender], smtputf8=smtputf8),
        _address_line("To", message.to, smtputf8=smtputf8),
        _text_line("Subject", message.subject),
    ]
    if message.cc:
        lines.append(_address_line("Cc", message.cc, smtputf8=smtputf8))
    if message.reply_to:
        lines.append(_address_line("Reply-To", [message.reply_to], smtputf8=smtputf8))
    return "".join(f"{line}\r\n" for line in lines).encode() + _body(message).as_bytes()


def _body(message: Message) -> EmailMessage:
    body = EmailMessage(policy=_POLICY)
    if message.text is not None:
        body.set_content(message.text)
        if message.html is not None:
            body.add_alternative(message.html, subtype="html")
    else:
        body.set_content(message.html or "", subtype="html")
    for attachment in message.attachments:
        maintype, subtype = _media_type(attachment.media_type)
        name = attachment.name.strip() or "attachment"
        body.add_attachment(attachment.content, maintype=maintype, subtype=subtype, filename=name)
    return body


def _media_type(media_type: str) -> tuple[str, str]:
    known = _MEDIA_TYPE.fullmatch(media_type)
    # Parts of the last two must not be base64 (RFC 2046, section 5.2.1), and a stored one is not ours to take apart.
    if known is None or known[1].lower() in {"message", "multipart"}:
        return "application", "octet-stream"
    return known[1], known[2]


def _text_line(name: str, text: str) -> str:
    if not text:
        return f"{name}:"
    plain = _PLAIN.fullmatch(text) and "=?" not in text and len(name) + 2 + len(text) <= _LINE
    return f"{name}: {text}" if plain else f"{name}: " + "\r\n ".join(_encoded_words(text))


def _address_line(name: str, mailboxes: Sequence[Mailbox], *, smtputf8: bool) -> str:
    return f"{name}: " + ",\r\n ".join(_mailbox(mailbox, smtputf8=smtputf8) for mailbox in mailboxes)


def _mailbox(mailbox: Mailbox, *, smtputf8: bool) -> str:
    if mailbox.needs_smtputf8 and not smtputf8:
        return "\r\n ".join(_encoded_words(mailbox.address)) + " :;"
    if mailbox.name is None:
        return mailbox.wire
    quoted = str(mailbox).removesuffix(f" <{mailbox.address}>")
    plain = _PLAIN.fullmatch(mailbox.name) and "=?" not in quoted and len(quoted) <= _LINE
    phrase = quoted if plain else "\r\n ".join(_encoded_words(mailbox.name))
    return f"{phrase}\r\n <{mailbox.wire}>"


def _encoded_words(text: str) -> Iterator[str]:
    """Cut a text into encoded words, never within a character."""
    word = b""
    for character in text:
        encoded = character.encode()
        if len(word) + len(encoded) > _WORD_BYTES:
            yield _encoded_word(word)
            word = b""
        word += encoded
    yield _encoded_word(word)


def _encoded_word(word: bytes) -> str:
    return f"=?utf-8?b?{base64.b64encode(word).decode()}?="
