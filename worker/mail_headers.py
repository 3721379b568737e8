"""The header lines of a message (RFC 5322): whatever a value holds, it is one header, and is read as it was given.

The standard library's folding (Python 3.11 to 3.13) turns a subject that reads `=?utf-8?q?…?=` into something else,
and loses the quotes of long names with commas, which makes two addresses of one.
"""

import base64
import re
from collections.abc import Iterator, Sequence

from shared.mail_address import Mailbox, is_one_line

_LINE = 76
_LONGEST_LINE = 998
_WORD_OVERHEAD = len("=?utf-8?b??=")
_WORD_BYTES = 45
"""As many bytes as base64 fits into an encoded word of 75 characters (RFC 2047, section 2)."""
_LEAST_WORD_BYTES = 6
"""As many bytes are on the line of a header's name however long that is: a value has to begin there."""

_NAME = re.compile(r"[!-9;-~]{1,70}")
_PLAIN = re.compile(r"[!-~]+(?: [!-~]+)*")
_MESSAGE_IDS = re.compile(r"<[!-;=?-~]+>(?: <[!-;=?-~]+>)*")
_URL = re.compile(r"[!-;=?-~]+")
_WIRE = re.compile(r"[^\s<>,:;\"()\\\[\]@]+@[A-Za-z0-9._-]+")
_OF_MESSAGE_IDS = {"in-reply-to", "references", "message-id"}


def require_one_line(what: str, text: str) -> None:
    """Raise `ValueError` for a text that a mail program could take for more than one line, or with a control."""
    # What is printable is a part of what is allowed, and far quicker to find out.
    if not text.isprintable() and not is_one_line(text):
        raise ValueError(f"{what} must be one line, without control characters")


def header_line(name: str, value: str) -> str:
    """Write a header; raises `ValueError`, also for a value that is no message ids where it has to be.

    What is not ASCII becomes encoded words (RFC 2047), and so does what would be read as one, but for URLs. Lines are
    folded at spaces to 76 characters; a word of ASCII that is longer stays whole, up to 998.
    """
    if not _NAME.fullmatch(name):
        raise ValueError("the name of a header must be of printable ASCII, without spaces and colons")
    require_one_line(name, value)
    structured = name.lower() in _OF_MESSAGE_IDS or name.lower().startswith("list-")
    if name.lower() in _OF_MESSAGE_IDS and not _MESSAGE_IDS.fullmatch(value):
        raise ValueError(f"{name} must be of message ids in angle brackets, separated by spaces")
    if not value:
        return f"{name}:"
    if _PLAIN.fullmatch(value) and (structured or "=?" not in value):
        line = _fold(f"{name}: ", value)
        if max(map(len, line.split("\r\n"))) <= _LONGEST_LINE:
            return line
    if name.lower() in _OF_MESSAGE_IDS:
        raise ValueError(f"{name} has a message id that is longer than a line may be")
    return f"{name}:{_encoded(value, used=len(name) + 1)}"


def unsubscribe_lines(url: str) -> list[str]:
    """Write the headers of one-click unsubscribing (RFC 8058); the URL is on one line, which is at most 998 long."""
    line = f"List-Unsubscribe: <{url}>"
    if not _URL.fullmatch(url) or len(line) > _LONGEST_LINE:
        raise ValueError("the URL to unsubscribe must be of printable ASCII, and shorter than a line may be")
    return [line, "List-Unsubscribe-Post: List-Unsubscribe=One-Click"]


def address_line(name: str, mailboxes: Sequence[Mailbox], *, smtputf8: bool) -> str:
    """Write a header of addresses; raises `ValueError` for one that holds more than one address.

    Without `smtputf8` an address that is not ASCII before the @ is shown as RFC 6857 says: readable, not usable.
    """
    return f"{name}:" + ",\r\n".join(_mailbox(mailbox, len(name) + 1, smtputf8=smtputf8) for mailbox in mailboxes)


def _mailbox(mailbox: Mailbox, used: int, *, smtputf8: bool) -> str:
    require_one_line("an address", mailbox.address + mailbox.wire)
    if not _WIRE.fullmatch(mailbox.wire):
        raise ValueError("an address must have one @, and neither spaces nor other delimiters")
    if mailbox.needs_smtputf8 and not smtputf8:
        return f"{_encoded(mailbox.address, used)} :;"
    if mailbox.name is None:
        return f" {mailbox.wire}"
    require_one_line("the name of an address", mailbox.name)
    quoted = _quoted(mailbox.name)
    plain = _PLAIN.fullmatch(mailbox.name) and "=?" not in quoted and used + 1 + len(quoted) <= _LINE
    phrase = f" {quoted}" if plain else _encoded(mailbox.name, used)
    space = " " if used + len(phrase) + len(mailbox.wire) + len(" <>,") <= _LINE else "\r\n "
    return f"{phrase}{space}<{mailbox.wire}>"


def _quoted(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _fold(start: str, value: str) -> str:
    if len(start) + len(value) <= _LINE:
        return start + value
    words = value.split(" ")
    lines, line = list[str](), start + words[0]
    for word in words[1:]:
        if len(line) + 1 + len(word) > _LINE:
            lines.append(line)
            line = ""
        line += f" {word}"
    return "\r\n".join([*lines, line])


def _encoded(text: str, used: int) -> str:
    """Write a text as encoded words (RFC 2047), each on a line; the first one's line has `used` characters already."""
    room = (_LINE - used - 1 - _WORD_OVERHEAD) // 4 * 3
    words = _cut(text, min(max(room, _LEAST_WORD_BYTES), _WORD_BYTES))
    return "\r\n".join(f" =?utf-8?b?{base64.b64encode(word).decode()}?=" for word in words)


def _cut(text: str, room: int) -> Iterator[bytes]:
    """Cut a text into the bytes of encoded words, never within a character."""
    word = b""
    for character in text:
        encoded = character.encode()
        if len(word) + len(encoded) > room:
            yield word
            word, room = b"", _WORD_BYTES
        word += encoded
    yield word
