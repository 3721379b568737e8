"""Pictures made for tests, and what comes out when they are rendered."""

import io
import struct
import zlib
from pathlib import Path

from PIL import Image
from PIL.Image import Transpose

import jobyard
from worker.imaging import render
from worker.renditions import RenderedImage, Rendition

SAMPLES = Path(jobyard.__file__).parent / "samples"
Colour = tuple[int, ...]

RED, GREEN, BLUE, YELLOW = (220, 30, 30), (30, 200, 40), (30, 40, 210), (230, 220, 40)

# How a picture is turned before it is stored, so that a reader who obeys the orientation shows it upright.
_STORED = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_90,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_270,
}


def corners(width: int = 160, height: int = 100) -> Image.Image:
    """Paint each quarter in a colour of its own: red and green above, blue and yellow below."""
    image = Image.new("RGB", (width, height), RED)
    image.paste(GREEN, (width // 2, 0, width, height // 2))
    image.paste(BLUE, (0, height // 2, width // 2, height))
    image.paste(YELLOW, (width // 2, height // 2, width, height))
    return image


def corner_colours(image: Image.Image) -> list[Colour]:
    """Read the middle of each quarter, in the order of `corners()`."""
    places = [(x * image.width // 4, y * image.height // 4) for y in (1, 3) for x in (1, 3)]
    return [colour_at(image, place) for place in places]


def colour_at(image: Image.Image, place: tuple[int, int]) -> Colour:
    """Read one pixel as a tuple, whatever the mode."""
    pixel = image.getpixel(place)
    return pixel if isinstance(pixel, tuple) else (int(pixel or 0),)


def far_apart(one: Colour, other: Colour) -> int:
    """Give the largest difference in a channel."""
    return max(abs(a - b) for a, b in zip(one, other, strict=True))


def mean_difference(one: Image.Image, other: Image.Image) -> float:
    """Give the mean difference of two pictures of one size and mode, over all channels."""
    pairs = list(zip(one.tobytes(), other.tobytes(), strict=True))
    return sum(abs(a - b) for a, b in pairs) / len(pairs)


def turned(image: Image.Image, orientation: int) -> tuple[Image.Image, Image.Exif]:
    """Turn a picture as a camera stores it, with the EXIF that says so."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return image.transpose(_STORED[orientation]) if orientation in _STORED else image, exif


def encoded(image: Image.Image, image_format: str, **options: object) -> io.BytesIO:
    """Encode a picture into a stream, ready to be read."""
    stream = io.BytesIO()
    image.save(stream, image_format, **options)
    stream.seek(0)
    return stream


def rendered(
    source: Path | io.BytesIO, *renditions: Rendition, keep_copyright: bool = False
) -> list[tuple[RenderedImage, Image.Image, bytes]]:
    """Render into memory and read every rendition back."""
    targets = [io.BytesIO() for _ in renditions]
    written = render(source, renditions, targets, keep_copyright=keep_copyright)
    streams = [target.getvalue() for target in targets]
    results: list[tuple[RenderedImage, Image.Image, bytes]] = []
    for each, stream in zip(written, streams, strict=True):
        assert isinstance(each, RenderedImage), each
        results.append((each, reread(stream), stream))
    return results


def render_one(source: Path | io.BytesIO, rendition: Rendition) -> Image.Image:
    """Render once and read it back."""
    return rendered(source, rendition)[0][1]


def reread(stream: bytes) -> Image.Image:
    """Decode a picture whole."""
    image = Image.open(io.BytesIO(stream))
    image.load()
    return image


def png(width: int, height: int, *, depth: int = 8, colour: int = 2, chunks: tuple[tuple[bytes, bytes], ...]) -> bytes:
    """Write a PNG by hand, whose header may promise what its chunks do not keep."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = [_chunk(name, content) for name, content in ((b"IHDR", header), *chunks, (b"IEND", b""))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
