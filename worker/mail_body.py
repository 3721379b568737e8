"""The MIME parts of a message: each is encoded once, with no more than 76 characters on a line of its content.

The standard library makes the same parts, at several times the cost: see docs/decisions/0011-dkim.md.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import quote

from worker.mail_headers import require_one_line

_LINE = 76
_NAME_ROOM = 50
"""As many characters of a file's name as fit on a line with ` filename*10*=utf-8''` and a semicolon."""

_MEDIA_TYPE = re.compile(r"(?!(?:message|multipart)/)[\w.+-]{1,127}/[\w.+-]{1,127}", re.ASCII | re.IGNORECASE)
_OPAQUE = "application/octet-stream"
_CONTENT_ID = re.compile(r"[!-;=?-~]{1,250}")
_NAME_AS_IT_IS = re.compile(r"[ -~]+")
_SHORT_LINES = re.compile(rb"(?:(?!From )[\t -~]{0,76}+(?<![\t ])\r\n)*+")
# Every other byte is three characters in quoted-printable.
_SAFE_BYTES = bytes([*b"\t\r\n", *range(ord(" "), ord("~") + 1)]).replace(b"=", b"")
_FROM = re.compile(rb"^From ", re.MULTILINE)
_OVERLONG = re.compile(rb"^(.{74})(=20|=09)\r$", re.MULTILINE)


class Part(NamedTuple):
    """Is a part of a message: its header, lines that end in CRLF, and its encoded content in pieces."""

    header: str
    content: list[bytes]


def text_part(subtype: str, text: str) -> Part:
    """Write a text, whose every line is ended, in the shortest encoding that needs no more than 7 bits.

    Raises `ValueError` for a text with lone surrogates.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if text and not text.endswith("\n"):
        text += "\n"
    content = text.replace("\n", "\r\n").encode()
    if _SHORT_LINES.fullmatch(content):
        encoding = "7bit"
    elif 6 * len(content.translate(None, _SAFE_BYTES)) <= len(content):
        encoding, content = "quoted-printable", _quoted_printable(content)
    else:
        encoding, content = "base64", _base64(content)
    header = f'Content-Type: text/{subtype}; charset="utf-8"\r\nContent-Transfer-Encoding: {encoding}\r\n'
    return Part(header, [content])


def file_part(name: str, media_type: str, content: bytes, *, content_id: str | None = None) -> Part:
    """Write an attachment, or what a page shows by `cid:<content_id>`; raises `ValueError`."""
    if not _MEDIA_TYPE.fullmatch(media_type):
        # Messages and multiparts must not be base64 (RFC 2046, section 5.2.1), and a stored one is left as it is.
        media_type = _OPAQUE
    lines = [f"Content-Type: {media_type}", "Content-Transfer-Encoding: base64"]
    if content_id is None:
        lines.append(f"Content-Disposition: attachment;{_file_name(name)}")
    else:
        if not _CONTENT_ID.fullmatch(content_id):
            raise ValueError("a content id must be of printable ASCII, without spaces and angle brackets")
        lines += [f"Content-ID: <{content_id}>", f"Content-Disposition: inline;{_file_name(name)}"]
    return Part("".join(f"{line}\r\n" for line in lines), [_base64(content)])


def multipart(subtype: str, parts: Sequence[Part], seed: str) -> Part:
    """Join parts; the boundary depends on `seed` and the parts alone, and occurs in none of them."""
    pieces = [[f"{part.header}\r\n".encode(), *part.content] for part in parts]
    boundary = _boundary(f"{subtype} {seed}", pieces)
    start = f"--{boundary}\r\n".encode()
    content = [start, *pieces[0]]
    for part in pieces[1:]:
        content += [b"\r\n" + start, *part]
    content.append(f"\r\n--{boundary}--\r\n".encode())
    related = ' type="text/html";' if subtype == "related" else ""
    return Part(f'Content-Type: multipart/{subtype};{related}\r\n boundary="{boundary}"\r\n', content)


def _boundary(seed: str, pieces: Sequence[Sequence[bytes]]) -> str:
    # `=_` is in no quoted-printable and no base64, so only a text that knew the message id could ask for another turn.
    boundary = f"=_{hashlib.sha256(seed.encode()).hexdigest()[:40]}"
    delimiter = f"--{boundary}".encode()
    if any(delimiter in piece for part in pieces for piece in part):
        return _boundary(boundary, pieces)
    return boundary


def _file_name(name: str) -> str:
    """Write the parameter that names a file: as it is, or encoded and in pieces as long as a line (RFC 2231)."""
    name = name.strip() or "attachment"
    require_one_line("the name of a file", name)
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    if len(escaped) <= _NAME_ROOM and _NAME_AS_IT_IS.fullmatch(name) and "=?" not in name:
        return f'\r\n filename="{escaped}"'
    pieces, piece = list[str](), ""
    for character in name:
        encoded = quote(character, safe="")
        if len(piece) + len(encoded) > _NAME_ROOM:
            pieces.append(piece)
            piece = ""
        piece += encoded
    pieces.append(piece)
    if len(pieces) == 1:
        return f"\r\n filename*=utf-8''{piece}"
    charset = [f"utf-8''{pieces[0]}", *pieces[1:]]
    return ";".join(f"\r\n filename*{number}*={encoded}" for number, encoded in enumerate(charset))


def _quoted_printable(content: bytes) -> bytes:
    # The library's lines that end in a space are up to 77 long.
    encoded = _OVERLONG.sub(rb"\1=\r\n\2\r", binascii.b2a_qp(content, istext=True))
    # A line that begins so is altered by programs that keep mail in mbox files, and no signature holds then.
    return _FROM.sub(b"=46rom =\r\n", encoded)


def _base64(content: bytes) -> bytes:
    encoded = base64.b64encode(content)
    lines = [encoded[start : start + _LINE] for start in range(0, len(encoded), _LINE)]
    return b"\r\n".join([*lines, b""])
