"""What would cost too much is refused from the file's structure, before a decoder sees it."""

import io
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from functools import partial

import pytest
from PIL import ExifTags, Image, ImageCms

from tests.unit.imaging_pictures import corners, encoded, png
from worker.imaging import inspect_image, render
from worker.imaging.pieces import MOST_BLOCKS, MOST_SEGMENTS
from worker.renditions import (
    ImageError,
    ImageFileTooLarge,
    ImageLimits,
    ImageMetadataTooLarge,
    ImageTooManyFrames,
    ImageTooManyScans,
    RenderedImage,
    Rendition,
    RenditionFailure,
)

ONE = [Rendition(20, None, format="png")]
LIMITS = ImageLimits()


def refusal(content: bytes, limits: ImageLimits = LIMITS) -> ImageError:
    """Give the refusal of a picture, which was made in little memory."""
    tracemalloc.start()
    try:
        with pytest.raises(ImageError) as refused:
            render(io.BytesIO(content), ONE, [io.BytesIO()], limits=limits)
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()
    return refused.value


def accept(content: bytes, limits: ImageLimits = LIMITS) -> None:
    [made] = render(io.BytesIO(content), ONE, [io.BytesIO()], limits=limits)
    assert isinstance(made, RenderedImage)


def segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body


def many_scans(count: int, side: int = 64) -> bytes:
    """Repeat the last scan of a progressive JPEG, which refines what is there already."""
    whole = encoded(Image.new("L", (side, side), 90), "JPEG", progressive=True).getvalue()
    begin, end = whole.rindex(b"\xff\xda"), whole.rindex(b"\xff\xd9")
    return whole[:begin] + whole[begin:end] * (count - whole.count(b"\xff\xda") + 1) + whole[end:]


def test_2003_scans_are_refused() -> None:
    bomb = many_scans(2003)
    assert (bomb.count(b"\xff\xda"), len(bomb) < 350_000) == (2003, True)
    refused = refusal(bomb)
    assert isinstance(refused, ImageTooManyScans)
    assert (refused.code, str(refused)) == ("image_too_many_scans", "the picture has more than 64 scans")
    assert inspect_image(io.BytesIO(bomb)).width == 64


def test_scans_are_counted_wherever_they_count() -> None:
    accept(many_scans(64))
    assert isinstance(refusal(many_scans(65)), ImageTooManyScans)
    progressive = encoded(corners(), "JPEG", progressive=True).getvalue()
    scans = progressive.count(b"\xff\xda")
    accept(progressive, ImageLimits(scans=scans))
    assert isinstance(refusal(progressive, ImageLimits(scans=scans - 1)), ImageTooManyScans)
    # One scan of all components is the whole picture: nothing after it is read.
    baseline = encoded(corners(), "JPEG").getvalue()
    accept(baseline + many_scans(99), ImageLimits(scans=1))
    # Bytes that look like scans inside of a segment are none, and padding before a marker hides none.
    accept(baseline[:2] + segment(0xE5, b"\xff\xda" * 3000) + baseline[2:])
    assert isinstance(refusal(many_scans(65).replace(b"\xff\xda", b"\xff\xff\xff\xda")), ImageTooManyScans)


def animated(count: int, image_format: str) -> bytes:
    frames = [Image.new("1", (4, 4), number % 2) for number in range(count)]
    return encoded(frames[0], image_format, save_all=True, append_images=frames[1:], duration=50).getvalue()


def test_2000_frames_are_refused() -> None:
    film = animated(2000, "GIF")
    refused = refusal(film)
    assert isinstance(refused, ImageTooManyFrames)
    assert (refused.code, str(refused)) == ("image_too_many_frames", "the picture has more than 1,000 frames")
    assert inspect_image(io.BytesIO(film)).frames == 2000


@pytest.mark.parametrize("image_format", ["GIF", "WEBP", "PNG", "AVIF"])
def test_frames_are_counted(image_format: str) -> None:
    animation = animated(5, image_format)
    assert inspect_image(io.BytesIO(animation)).frames == 5
    accept(animation, ImageLimits(frames=5))
    assert isinstance(refusal(animation, ImageLimits(frames=4)), ImageTooManyFrames)
    still = encoded(corners(), image_format).getvalue()
    accept(still, ImageLimits(frames=1))


def test_the_pictures_of_a_heic_are_counted() -> None:
    burst = animated(5, "HEIF")
    accept(burst, ImageLimits(frames=5))
    refused = refusal(burst, ImageLimits(frames=4))
    assert isinstance(refused, ImageTooManyFrames)
    assert str(refused) == "the picture has more than 4 frames"
    # They are no animation.
    assert inspect_image(io.BytesIO(burst)).frames == 1


def test_a_png_that_promises_a_billion_frames_is_refused() -> None:
    pixels = zlib.compress(bytes(4))
    promise = png(1, 1, chunks=((b"acTL", struct.pack(">II", 10**9, 0)), (b"IDAT", pixels)))
    assert isinstance(refusal(promise), ImageTooManyFrames)


def jpeg_with(*segments: bytes) -> bytes:
    plain = encoded(corners(), "JPEG").getvalue()
    return plain[:2] + b"".join(segments) + plain[2:]


def test_60_megabytes_of_app_segments_are_refused() -> None:
    bloated = jpeg_with(segment(0xE5, bytes(60_000)) * 1000)
    refused = refusal(bloated)
    assert isinstance(refused, ImageMetadataTooLarge)
    assert refused.code == "image_metadata_too_large"
    assert str(refused) == "the picture has more than 16,777,216 bytes of metadata"
    with pytest.raises(ImageMetadataTooLarge):
        inspect_image(io.BytesIO(bloated))


def webp_with(name: bytes, size: int, times: int = 1) -> bytes:
    chunk = name + struct.pack("<I", size) + bytes(size)
    whole = encoded(corners(), "WEBP", exif=b"Exif\0\0" + bytes(8)).getvalue() + chunk * times
    return whole[:4] + struct.pack("<I", len(whole) - 8) + whole[8:]


def boxed(image_format: str, name: str, size: int) -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Copyright] = "A" * size
    metadata = {"exif": exif.tobytes(), "xmp": bytes(size), "icc_profile": SRGB + bytes(size)}
    return encoded(corners(), image_format, **{name: metadata[name]}).getvalue()


SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
PIXELS = (b"IDAT", zlib.compress(b"\0\1\2\3"))


LARGE: list[Callable[[int], bytes]] = [
    lambda size: jpeg_with(segment(0xE1, bytes(size))),
    lambda size: jpeg_with(segment(0xFE, bytes(size))),
    lambda size: png(1, 1, chunks=((b"eXIf", bytes(size)), PIXELS)),
    lambda size: png(1, 1, chunks=((b"tEXt", b"a\0" + bytes(size)), PIXELS)),
    lambda size: png(1, 1, chunks=(PIXELS, (b"zzZz", bytes(size)))),
    lambda size: webp_with(b"XMP ", size),
    lambda size: webp_with(b"JUNK", size),
    lambda size: encoded(corners(), "GIF", comment=bytes([65]) * size).getvalue(),
    *(
        partial(boxed, image_format, name)
        for image_format in ("AVIF", "HEIF")
        for name in ("exif", "xmp", "icc_profile")
    ),
]


@pytest.mark.parametrize("make", LARGE)
def test_metadata_are_counted_wherever_they_lie(make: Callable[[int], bytes]) -> None:
    limits = ImageLimits(metadata_bytes=60_000)
    accept(make(58_500), limits)
    assert isinstance(refusal(make(60_001), limits), ImageMetadataTooLarge)


@pytest.mark.parametrize(
    "content",
    [
        jpeg_with(segment(0xE5, b"") * (MOST_SEGMENTS + 1)),
        png(1, 1, chunks=((b"zzZz", b""),) * (MOST_SEGMENTS + 1)),
        webp_with(b"JUNK", 0, times=MOST_SEGMENTS),
    ],
)
def test_too_many_pieces_are_refused(content: bytes) -> None:
    refused = refusal(content)
    assert isinstance(refused, ImageMetadataTooLarge)
    assert str(refused) == "the picture is made of more than 4,096 segments"


@pytest.mark.parametrize(
    "content",
    [
        encoded(Image.new("L", (8, 8)), "GIF").getvalue()[:-1] + b"\x21\x01" + b"\1A" * (MOST_BLOCKS + 1) + b"\0;",
        encoded(Image.new("L", (8, 8)), "GIF").getvalue()[:-1] + b"\x21\xf9\0" * (MOST_BLOCKS + 1),
        encoded(Image.new("L", (8, 8)), "GIF").getvalue()[:-1] + (b"\x2c" + bytes(11)) * (MOST_BLOCKS + 1),
        png(1, 1, chunks=(PIXELS,))[:-12] + b"\0\0\0\0IDAT\x35\xaf\x06\x1e" * (MOST_BLOCKS + 1),
        webp_with(b"VP8 ", 0, times=MOST_BLOCKS + 1),
        webp_with(b"ANMF", 0, times=MOST_BLOCKS + 1),
    ],
    ids=["GIF's blocks", "GIF's extensions", "GIF's pictures", "PNG", "WebP", "WebP's frames"],
)
def test_a_walk_over_tiny_blocks_ends(content: bytes) -> None:
    # However many frames there may be.
    with pytest.raises(ImageMetadataTooLarge, match="made of more than 1,000,000 blocks"):
        inspect_image(io.BytesIO(content))


@pytest.mark.parametrize("filler", [b"\xff\xff", b"\xff\0", b"\xff\xd0", b"\xff\1", b"\0\0"])
@pytest.mark.parametrize("place", ["segments", "pixels"])
def test_a_jpeg_of_nothing_but_padding_or_markers_ends(filler: bytes, place: str) -> None:
    whole = encoded(corners(), "JPEG", progressive=True).getvalue()
    begin = whole[:2] if place == "segments" else whole[: whole.index(b"\xff\xda") + 12]
    with pytest.raises(ImageError):
        render(io.BytesIO(begin + filler * 4_000_000), ONE, [io.BytesIO()])


def test_bytes_are_limited() -> None:
    content = encoded(corners(), "PNG").getvalue()
    accept(content, ImageLimits(bytes=len(content)))
    refused = refusal(content, ImageLimits(bytes=len(content) - 1))
    assert isinstance(refused, ImageFileTooLarge)
    assert refused.code == "image_file_too_large"


def test_output_pixels_are_shared_in_the_order_asked_for() -> None:
    asked = [Rendition(80, None), Rendition(160, None), Rendition(40, None), Rendition(500, 500, fit="pad")]
    limits = ImageLimits(output_pixels=80 * 50 + 40 * 25)
    targets = [io.BytesIO() for _ in asked]
    first, second, third, fourth = render(encoded(corners(), "PNG"), asked, targets, limits=limits)
    detail = "160 by 100 pixels: 1,000 are left of those that one job may make"
    assert second == RenditionFailure("rendition_too_large", detail)
    assert isinstance(first, RenderedImage)
    assert isinstance(third, RenderedImage)
    assert isinstance(fourth, RenditionFailure)
    assert not targets[1].getvalue()


def test_what_is_enlarged_beyond_all_bounds_fails_alone() -> None:
    asked = [Rendition(1600, None, enlarge=True), Rendition(1, None)]
    enlarged, plain = render(encoded(corners(1, 20_000), "PNG"), asked, [io.BytesIO(), io.BytesIO()])
    assert isinstance(enlarged, RenditionFailure)
    assert isinstance(plain, RenderedImage)
    assert (plain.width, plain.height) == (1, 20_000)
