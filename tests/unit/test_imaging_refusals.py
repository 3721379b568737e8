import io
import struct
import subprocess
import sys
import tracemalloc
import zlib
from pathlib import Path

import pytest
from billiard.exceptions import SoftTimeLimitExceeded
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ops.paths import ROOT
from shared.job_outcome import Cancelled
from tests.unit.imaging_pictures import SAMPLES, corners, encoded, png, reread
from worker.imaging import inspect_image, render
from worker.imaging.opening import decoding
from worker.renditions import ImageError, ImageLimits, ImageMetadataTooLarge, ImageTooLarge, Rendition, UnreadableImage

SAMPLE = (SAMPLES / "cat-on-its-side.jpg").read_bytes()
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10"/>'


def render_bytes(content: bytes, limits: ImageLimits | None = None) -> bytes:
    target = io.BytesIO()
    render(io.BytesIO(content), [Rendition(20, None, format="png")], [target], limits=limits)
    return target.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"\0", b"not a picture", EPS, SVG, b"<html></html>", b"GIF89a", b"GIF89a" + bytes(range(256))),
        *(b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBPVP8 ", b"\0\0\0\x1cftypavif"),
        *(encoded(corners(), other).getvalue() for other in ("TIFF", "BMP", "PPM", "ICO", "TGA", "JPEG2000", "EPS")),
    ],
)
def test_what_is_no_picture_of_ours_is_refused(content: bytes) -> None:
    message = r"the (file is not a readable JPEG|picture is broken)"
    with pytest.raises(UnreadableImage, match=message) as refusal:
        render_bytes(content)
    assert refusal.value.code == "image_unreadable"
    with pytest.raises(UnreadableImage, match=message):
        inspect_image(io.BytesIO(content))


@pytest.mark.parametrize("name", ["evil.eps", "evil.jpg", "evil.tif"])
def test_a_file_is_judged_by_its_content_and_not_by_its_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(EPS)
    with pytest.raises(UnreadableImage):
        inspect_image(path)
    path.write_bytes(SAMPLE)
    assert inspect_image(path).format == "jpeg"


WHOLE = [
    ("JPEG", {}),
    ("JPEG", {"progressive": True}),
    *((each, {}) for each in ("PNG", "WEBP", "AVIF", "HEIF", "GIF")),
]


@pytest.mark.parametrize(("image_format", "options"), WHOLE)
def test_a_picture_cut_short_is_refused(image_format: str, options: dict[str, bool]) -> None:
    picture = Image.open(SAMPLES / "cat-on-its-side.jpg")
    whole = encoded(picture, image_format, **options).getvalue()
    assert reread(render_bytes(whole)).width == 20
    for kept in (1, 3, 8, 12, 20, 40, 100, 300, *(int(len(whole) * share) for share in (0.1, 0.3, 0.6, 0.95))):
        with pytest.raises(UnreadableImage):
            render_bytes(whole[:kept])


@pytest.mark.parametrize("image_format", ["PNG", "WEBP", "AVIF", "GIF"])
def test_a_picture_with_a_corrupt_middle_is_a_picture_or_refused(image_format: str) -> None:
    whole = bytearray(encoded(Image.open(SAMPLES / "cat-on-its-side.jpg"), image_format).getvalue())
    middle = len(whole) // 2
    whole[middle : middle + 200] = bytes(200)
    try:
        assert reread(render_bytes(bytes(whole))).size == (20, 30)
    except UnreadableImage:
        # Only PNG has checksums.
        return
    assert image_format != "PNG"


def test_a_jpeg_with_a_corrupt_middle_is_a_picture() -> None:
    # As in browsers: libjpeg finds its way again, and what lies before is right.
    whole = bytearray(SAMPLE)
    middle = len(whole) // 2
    whole[middle : middle + 200] = b"\x55" * 200
    assert reread(render_bytes(bytes(whole))).size == (20, 13)


@pytest.mark.parametrize(
    ("raised", "meant"),
    [
        *((error("a detail"), UnreadableImage) for error in (OSError, ValueError, SyntaxError, EOFError, IndexError)),
        *((error("a detail"), UnreadableImage) for error in (struct.error, zlib.error, AssertionError, OverflowError)),
        (OSError(22, "a place before the beginning"), UnreadableImage),
        (MemoryError(), ImageTooLarge),
        (Image.DecompressionBombError(), ImageTooLarge),
        (ImageTooLarge("as it was"), ImageTooLarge),
    ],
)
def test_every_error_of_a_decoder_is_a_refusal(raised: Exception, meant: type[ImageError]) -> None:
    with pytest.raises(meant) as refusal, decoding():
        raise raised
    assert "detail" not in str(refusal.value)


@pytest.mark.parametrize("raised", [OSError(5, "Input/output error"), Cancelled(), SoftTimeLimitExceeded()])
def test_what_is_no_fault_of_the_picture_stays_what_it_is(raised: Exception) -> None:
    with pytest.raises(type(raised)) as stayed, decoding():
        raise raised
    assert stayed.value is raised


# Python itself, Pillow and all that they have loaded need some memory first.
SCARCE = """
import io, sys
from pathlib import Path
from worker.imaging import render
from shared.memory_cap import cap_memory
from worker.renditions import ImageTooLarge, Rendition

status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
cap_memory(int(status["VmData"].split()[0]) * 1024 + int(sys.argv[1]))
try:
    print(*render(Path(sys.argv[2]), [Rendition(20, None)], [io.BytesIO()]))
except ImageTooLarge as error:
    print(error)
"""


@pytest.mark.parametrize(("room", "printed"), [(20_000_000, "needs more memory"), (120_000_000, "RenderedImage")])
def test_a_picture_that_needs_more_memory_than_there_is(tmp_path: Path, room: int, printed: str) -> None:
    path = tmp_path / "large.png"
    Image.new("L", (8000, 6000)).save(path, compress_level=1)
    command = [sys.executable, "-c", SCARCE, str(room), str(path)]
    ended = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    assert printed in ended.stdout


def test_facts_need_only_the_header() -> None:
    facts = inspect_image(io.BytesIO(SAMPLE[: len(SAMPLE) // 3]))
    assert (facts.width, facts.height, facts.taken_at) == (451, 300, "2011-09-11T15:30:00")
    header_only = png(10_000, 9_000, chunks=((b"IDAT", b"no pixels here"),))
    assert inspect_image(io.BytesIO(header_only)).width == 10_000


@pytest.mark.parametrize("side", [10_001, 13_300, 30_000])
def test_a_bomb_is_refused_by_its_header(side: int) -> None:
    bomb = png(side, side, chunks=((b"IDAT", b"whoever decodes this calls it broken"),))
    with pytest.raises(ImageTooLarge, match="pixels") as refusal:
        render_bytes(bomb)
    assert refusal.value.code == "image_too_large"


def test_the_pixel_limit_is_the_callers() -> None:
    content = encoded(corners(40, 25), "WEBP").getvalue()
    with pytest.raises(ImageTooLarge, match="the picture has 40 by 25 pixels; at most 999 are decoded"):
        render_bytes(content, ImageLimits(pixels=999))
    assert reread(render_bytes(content, ImageLimits(pixels=1000))).size == (20, 13)


def test_a_picture_just_below_the_limit_is_decoded_without_a_warning() -> None:
    image = Image.new("1", (10_000, 6_000))
    assert reread(render_bytes(encoded(image, "PNG").getvalue())).size == (20, 12)


@pytest.mark.parametrize("name", [b"zTXt", b"iCCP"])
def test_a_bomb_in_the_metadata_is_not_unpacked(name: bytes) -> None:
    packed = b"name\0\0" + zlib.compress(bytes(80_000_000))
    pixels = zlib.compress(bytes(4))
    content = png(1, 1, chunks=((name, packed), (b"IDAT", pixels)))
    tracemalloc.start()
    try:
        with pytest.raises(ImageMetadataTooLarge, match="unpack to more"):
            render_bytes(content)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_a_missing_file_is_no_broken_picture(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        inspect_image(tmp_path / "missing.jpg")


def test_a_disk_that_fails_is_no_broken_picture() -> None:
    class FailingDisk(io.BytesIO):
        def write(self, _chunk: object) -> int:
            raise OSError(28, "No space left on device")

        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 20_000:
                raise OSError(5, "Input/output error")
            return super().read(size)

    with pytest.raises(OSError, match="Input/output error"):
        render(FailingDisk((SAMPLES / "deep-field.jpg").read_bytes()), [Rendition(20, None)], [io.BytesIO()])
    with pytest.raises(OSError, match="No space left"):
        render(io.BytesIO(SAMPLE), [Rendition(20, None)], [FailingDisk()])


SEEDS = [encoded(corners(48, 32), each).getvalue() for each in ("JPEG", "PNG", "WEBP", "GIF", "AVIF", "HEIF")]
SEEDS.append(
    encoded(corners(48, 32), "JPEG", exif=Image.open(io.BytesIO(SAMPLE)).getexif(), progressive=True).getvalue()
)


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(SEEDS), st.lists(st.tuples(st.integers(0, 2000), st.binary(min_size=1, max_size=4)), min_size=1))
def test_damage_gives_a_picture_or_a_refusal(seed: bytes, wounds: list[tuple[int, bytes]]) -> None:
    damaged = bytearray(seed)
    for place, scar in wounds:
        damaged[place % len(seed) : place % len(seed) + len(scar)] = scar
    try:
        render_bytes(bytes(damaged), ImageLimits(pixels=1_000_000))
    except ImageError as refusal:
        assert str(refusal)  # noqa: PT017 - either end is right; anything else is raised
