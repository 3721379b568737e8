"""Walking over a JPEG's segments: scans and metadata are counted, pixels passed by.

A scan is cheap to write (a few bytes) and dear to read (all pixels), so a small file can cost minutes. Where the first
scan holds all components and the frame is not progressive, libjpeg reads no second one, and the walk ends there.
"""

import re
from typing import BinaryIO, NamedTuple

from worker.imaging.pieces import Pieces, skip

_PREFIX = 0xFF
_SOI, _EOI, _SOS, _TEM, _COM = 0xD8, 0xD9, 0xDA, 0x01, 0xFE
_APP = range(0xE0, 0xF0)
# All SOF markers: what else lies in their range are Huffman tables, JPG and arithmetic conditioning.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
# In compressed pixels FF is followed by 00, by a restart marker, or by more FF as padding.
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_CHUNK_BYTES = 64 * 1024
_COMPONENTS_AT = 5


class _Frame(NamedTuple):
    components: int
    is_progressive: bool


def walk_jpeg(stream: BinaryIO, pieces: Pieces) -> None:
    """Count scans and metadata from the stream's beginning to the end of the picture, or to where it is broken."""
    skip(stream, 2)
    frame = _Frame(0, is_progressive=False)
    while (marker := _marker_at(stream, pieces)) is not None:
        if marker == _EOI:
            return
        if marker in {_SOI, _TEM}:
            pieces.add_segment()
            continue
        length = int.from_bytes(stream.read(2), "big")
        pieces.add_segment(length + 2 if marker == _COM or marker in _APP else 0)
        if marker in _FRAMES:
            body = stream.read(max(0, length - 2))
            frame = _Frame(body[_COMPONENTS_AT] if len(body) > _COMPONENTS_AT else 0, marker in _PROGRESSIVE)
        elif marker == _SOS:
            body = stream.read(max(0, length - 2))
            pieces.add_scan()
            if not frame.is_progressive and body and body[0] >= frame.components:
                return
        else:
            skip(stream, max(0, length - 2))


def _marker_at(stream: BinaryIO, pieces: Pieces) -> int | None:
    """Find the next marker: at once between segments, beyond the compressed pixels after the head of a scan."""
    before = b""
    while chunk := stream.read(_CHUNK_BYTES):
        window = before + chunk
        found = _MARKER.search(window)
        if pieces.scans == 0:
            pieces.add_padding(found.start() if found else len(chunk))
        if found:
            skip(stream, found.end() - len(window))
            return window[found.end() - 1]
        before = b"\xff" if window.endswith(b"\xff") else b""
    return None
