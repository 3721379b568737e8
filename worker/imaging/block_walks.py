"""Walking over the blocks of PNG, GIF and WebP: frames and metadata are counted, pixels passed by."""

from typing import BinaryIO

from worker.imaging.pieces import Pieces, skip

_PNG_PIXELS = frozenset({b"IDAT", b"fdAT"})
_WEBP_PIXELS = frozenset({b"VP8 ", b"VP8L", b"ALPH"})
_PNG_SIGNATURE_BYTES = 8
_CHUNK_HEAD_BYTES = 8
_CHECKSUM_BYTES = 4
_RIFF_HEAD_BYTES = 12
_GIF_IMAGE, _GIF_EXTENSION, _GIF_END = b"\x2c", b"\x21", b"\x3b"
_GIF_COMMENTS = frozenset({b"\xfe", b"\xff", b"\x01"})


def walk_png(stream: BinaryIO, pieces: Pieces) -> None:
    """Count what lies beside the pixels, before and after them, and the frames that an animation says it has."""
    skip(stream, _PNG_SIGNATURE_BYTES)
    while len(head := stream.read(_CHUNK_HEAD_BYTES)) == _CHUNK_HEAD_BYTES:
        size, name = int.from_bytes(head[:4], "big"), head[4:]
        if name == b"IEND":
            return
        if name in _PNG_PIXELS:
            pieces.add_block()
        else:
            pieces.add_segment(size + _CHUNK_HEAD_BYTES + _CHECKSUM_BYTES)
        if name == b"acTL":
            pieces.add_frames(int.from_bytes(stream.read(4), "big"))
            size -= 4
        skip(stream, max(0, size) + _CHECKSUM_BYTES)


def walk_webp(stream: BinaryIO, pieces: Pieces) -> None:
    """Count what lies beside the pixels, and the frames, up to where the file says that it ends."""
    end = _CHUNK_HEAD_BYTES + int.from_bytes(stream.read(_RIFF_HEAD_BYTES)[4:8], "little")
    while stream.tell() < end and len(head := stream.read(_CHUNK_HEAD_BYTES)) == _CHUNK_HEAD_BYTES:
        name, size = head[:4], int.from_bytes(head[4:], "little")
        if name == b"ANMF":
            pieces.add_frames()
            pieces.add_block()
        elif name in _WEBP_PIXELS:
            pieces.add_block()
        else:
            pieces.add_segment(size + _CHUNK_HEAD_BYTES)
        skip(stream, size + size % 2)


def walk_gif(stream: BinaryIO, pieces: Pieces) -> None:
    """Count frames, and bytes of comments and the like."""
    head = stream.read(13)
    _skip_palette(stream, head[10:11])
    while introducer := stream.read(1):
        if introducer == _GIF_END:
            return
        # Each introducer counts: what it introduces may be empty, and what lies between Pillow passes by byte by byte.
        pieces.add_block()
        if introducer == _GIF_IMAGE:
            pieces.add_frames()
            _skip_palette(stream, stream.read(9)[8:])
            skip(stream, 1)
            _skip_blocks(stream, pieces)
        elif introducer == _GIF_EXTENSION:
            label = stream.read(1)
            size = _skip_blocks(stream, pieces)
            if label in _GIF_COMMENTS:
                pieces.add_segment(size)


def _skip_palette(stream: BinaryIO, flags: bytes) -> None:
    if flags and flags[0] & 0x80:
        skip(stream, 3 << ((flags[0] & 7) + 1))


def _skip_blocks(stream: BinaryIO, pieces: Pieces) -> int:
    size = 0
    while (length := stream.read(1)) and length[0]:
        pieces.add_block()
        size += length[0]
        skip(stream, length[0])
    return size
