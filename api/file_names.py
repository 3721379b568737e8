"""Names of files: what a client calls a file, made safe to store, to show and to send back."""

import os
import re
import unicodedata
from urllib.parse import quote, unquote_to_bytes

from python_multipart.multipart import parse_options_header

LONGEST_NAME_BYTES = 255
LONGEST_EXTENSION_BYTES = 32
FALLBACK = "file"

# Control characters, lone surrogates, line and paragraph separators.
_REMOVED_CATEGORIES = {"Cc", "Cs", "Zl", "Zp"}
# Invisible marks that reorder or split what a person reads: `photo<RLO>gpj.exe` shows as `photoexe.jpg`.
_REMOVED = frozenset("\u061c\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff")
_EXTENDED = re.compile(r"(?:^|;)\s*filename\*\s*=\s*(utf-8|iso-8859-1)'[^']*'([^;\s\"]+)", re.IGNORECASE)
_NOT_PLAIN = re.compile(r'[^\x20-\x7e]|["\\%]')


def clean_name(name: str | None) -> str:
    """Make a client's file name safe: the last component only, NFC, no control or bidi marks, 255 bytes of UTF-8.

    The extension survives the cut. Gives `file` when nothing is left.
    """
    normal = unicodedata.normalize("NFC", (name or "").encode("utf-8", "replace").decode())
    visible = "".join(
        mark for mark in normal if mark not in _REMOVED and unicodedata.category(mark) not in _REMOVED_CATEGORIES
    )
    last = re.split(r"[/\\]", visible)[-1].strip().rstrip(". ")
    return _shorten(last) or FALLBACK


def _shorten(name: str) -> str:
    if len(name.encode()) <= LONGEST_NAME_BYTES:
        return name
    stem, extension = os.path.splitext(name)  # noqa: PTH122 - a name, not a path
    if len(extension.encode()) > LONGEST_EXTENSION_BYTES:
        stem, extension = name, ""
    room = LONGEST_NAME_BYTES - len(extension.encode())
    # The cut may fall inside a character, which goes then.
    return stem.encode()[:room].decode("utf-8", "ignore").rstrip(". ") + extension


def disposition_parameters(header: bytes) -> dict[str, str]:
    """Read the parameters of a Content-Disposition; `filename*` (RFC 8187) replaces `filename`."""
    _, found = parse_options_header(header)
    parameters = {key.decode("latin-1"): value.decode("utf-8", "replace") for key, value in found.items()}
    extended = _EXTENDED.search(header.decode("latin-1"))
    if extended is not None:
        charset, encoded = extended.groups()
        parameters["filename"] = unquote_to_bytes(encoded).decode(charset, "replace")
    return parameters


def attachment(name: str) -> str:
    """Make the Content-Disposition that downloads a file under its name (RFC 6266, RFC 8187)."""
    plain = _NOT_PLAIN.sub("_", name)
    header = f'attachment; filename="{plain}"'
    return header if plain == name else f"{header}; filename*=UTF-8''{quote(name, safe='')}"
