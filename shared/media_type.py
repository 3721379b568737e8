"""A file's media type, told from its first bytes; its name is never believed.

Signatures are those of the WHATWG MIME Sniffing Standard (sections 6 and 7), of ISO/IEC 14496-12 and 23008-12 for the
brands of `ftyp` boxes, and of the formats' own specifications. The package puremagic was measured first: it calls a
plain ZIP a Word document, an SVG behind an XML declaration XML, and finds no text at all.
"""

import codecs
import re

HEAD_BYTES = 4096
"""How much of a file `sniff` wants to see."""

UNKNOWN = "application/octet-stream"
EMPTY = "application/x-empty"

_SIGNATURES: list[tuple[bytes, str]] = [
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"%PDF-", "application/pdf"),
    (b"%!PS", "application/postscript"),
    (b"\x04%!PS", "application/postscript"),
    (b"\xc5\xd0\xd3\xc6", "application/postscript"),
    (b"PK\x03\x04", "application/zip"),
    (b"PK\x05\x06", "application/zip"),
    (b"\x1f\x8b\x08", "application/gzip"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"Rar!\x1a\x07", "application/vnd.rar"),
    (b"\xfd7zXZ\x00", "application/x-xz"),
    (b"\x28\xb5\x2f\xfd", "application/zstd"),
    (b"OggS\x00", "application/ogg"),
    (b"ID3", "audio/mpeg"),
    (b"fLaC\x00", "audio/flac"),
    (b"\x1a\x45\xdf\xa3", "video/webm"),
    (b"\x7fELF", "application/x-executable"),
    (b"\xfe\xed\xfa\xce", "application/x-mach-binary"),
    (b"\xfe\xed\xfa\xcf", "application/x-mach-binary"),
    (b"\xce\xfa\xed\xfe", "application/x-mach-binary"),
    (b"\xcf\xfa\xed\xfe", "application/x-mach-binary"),
    (b"\xca\xfe\xba\xbe", "application/x-mach-binary"),
    (b"\x00asm", "application/wasm"),
]

_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/avi"}

_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})

# Two letters only: they mark these formats in what is not text.
_SHORT_SIGNATURES = {b"MZ": "application/vnd.microsoft.portable-executable", b"BM": "image/bmp"}

_BOMS = (codecs.BOM_UTF16_BE, codecs.BOM_UTF16_LE)
_BINARY = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")
_DOCTYPE = re.compile(rb"(?i)<!doctype(?:[^\[>\"']|\"[^\"]*\"|'[^']*'|\[[^\]]*\])*+>")
_ROOT = re.compile(rb"<(?:[\w.-]+:)?([\w.-]+)(?=[\s>/]|$)")
_HTML_OPENING = re.compile(
    rb"(?i)<(?:!doctype html|html|head|script|iframe|h1|div|font|table|a|style|title|b|body|br|p)[\s>]|<!--"
)


def sniff(head: bytes) -> str:
    """Tell the media type of a file that begins with `head`, its first `HEAD_BYTES` bytes or all it has.

    UTF-8 text is `text/plain`, `text/html`, `text/xml`, `image/svg+xml` or, with `#!`, `text/x-shellscript`; nothing is
    `application/x-empty`, and what cannot be told `application/octet-stream`. Documents that are ZIP archives inside
    (docx, odt, epub) are `application/zip`.
    """
    head = head[:HEAD_BYTES]
    if not head:
        return EMPTY
    for signature, media_type in _SIGNATURES:
        if head.startswith(signature):
            return media_type
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12], UNKNOWN)
    if head[4:8] == b"ftyp":
        return _base_media(head)
    if _is_text(head):
        return _text(head)
    return _SHORT_SIGNATURES.get(head[:2], UNKNOWN)


def _base_media(head: bytes) -> str:
    end = min(int.from_bytes(head[:4], "big"), len(head))
    brands = {head[8:12]} | {head[at : at + 4] for at in range(16, end - 3, 4)}
    if brands & _AVIF_BRANDS:
        return "image/avif"
    if brands & _HEIC_BRANDS:
        return "image/heic"
    return "video/mp4"


def _is_text(head: bytes) -> bool:
    if head.startswith(_BOMS):
        return True
    if _BINARY.search(head):
        return False
    try:
        # Not final: the head may end inside a character.
        codecs.getincrementaldecoder("utf-8")().decode(head, final=False)
    except UnicodeDecodeError:
        return False
    return True


def _text(head: bytes) -> str:
    text = head.removeprefix(codecs.BOM_UTF8)
    if text.startswith(b"#!"):
        return "text/x-shellscript"
    rest = _skip_prolog(text)
    root = _ROOT.match(rest)
    name = root[1].lower() if root else b""
    if name == b"svg":
        return "image/svg+xml"
    if name == b"html" or _HTML_OPENING.match(text.lstrip()) or _HTML_OPENING.match(rest):
        return "text/html"
    return "text/xml" if text.lstrip().startswith(b"<?xml") else "text/plain"


def _skip_prolog(text: bytes) -> bytes:
    """Give what follows the XML declaration, comments and document type; steps forward only, so it is linear."""
    while True:
        text = text.lstrip()
        if text.startswith(b"<?"):
            end = text.find(b"?>") + 2
        elif text.startswith(b"<!--"):
            end = text.find(b"-->") + 3
        else:
            doctype = _DOCTYPE.match(text)
            if doctype is None:
                return text
            end = doctype.end()
        if end < 4:  # noqa: PLR2004 - not found: the prolog goes on beyond the head
            return b""
        text = text[end:]
