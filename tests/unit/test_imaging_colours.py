import io
import struct
import zlib

import pytest
from PIL import Image, ImageCms

from tests.unit.imaging_pictures import (
    Colour,
    colour_at,
    corners,
    encoded,
    far_apart,
    png,
    render_one,
)
from tests.unit.imaging_profiles import adobe_rgb_profile, cmyk_profile, from_adobe_rgb, grey_profile
from worker.imaging import inspect_image
from worker.renditions import ImageFormat, Rendition


def half_transparent(mode: str = "RGBA") -> Image.Image:
    """Paint black at full, half and no opacity, in three stripes."""
    image = Image.new(mode, (90, 30), (0,) * len(Image.new(mode, (1, 1)).getbands()))
    bands = len(image.getbands())
    image.paste((0,) * (bands - 1) + (255,), (0, 0, 30, 30))
    image.paste((0,) * (bands - 1) + (128,), (30, 0, 60, 30))
    return image


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP"])
def test_colours_are_converted_to_srgb(image_format: str) -> None:
    colour = (90, 180, 60)
    meant = from_adobe_rgb(colour)
    assert far_apart(meant, colour) > 25
    image = Image.new("RGB", (60, 60), colour)
    lossless = {"lossless": True} if image_format == "WEBP" else {"quality": 100}
    converted = render_one(
        encoded(image, image_format, icc_profile=adobe_rgb_profile(), **lossless), Rendition(30, None, format="png")
    )
    assert far_apart(colour_at(converted, (15, 15)), meant) <= 3
    untouched = render_one(encoded(image, image_format, **lossless), Rendition(30, None, format="png"))
    assert far_apart(colour_at(untouched, (15, 15)), colour) <= 2


def test_srgb_itself_changes_nothing_visible() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = render_one(encoded(corners(), "PNG", icc_profile=profile), Rendition(160, None))
    assert max(abs(a - b) for a, b in zip(image.tobytes(), corners().tobytes(), strict=True)) <= 1


def test_alpha_stays_when_colours_are_converted() -> None:
    image = Image.new("RGBA", (60, 60), (90, 180, 60, 128))
    converted = render_one(encoded(image, "PNG", icc_profile=adobe_rgb_profile()), Rendition(30, None))
    pixel = colour_at(converted, (15, 15))
    assert far_apart(pixel[:3], from_adobe_rgb((90, 180, 60))) <= 3
    assert pixel[3] == 128


@pytest.mark.parametrize("profile", [b"no profile", adobe_rgb_profile()[:300], adobe_rgb_profile()[:128] + bytes(3000)])
def test_a_broken_profile_counts_as_none(profile: bytes) -> None:
    image = Image.new("RGB", (60, 60), (90, 180, 60))
    assert colour_at(render_one(encoded(image, "PNG", icc_profile=profile), Rendition(30, None)), (9, 9)) == (
        90,
        180,
        60,
    )


@pytest.mark.parametrize(("mode", "value"), [("L", 90), ("LA", (90, 200))])
def test_a_profile_for_other_channels_counts_as_none(mode: str, value: int | tuple[int, int]) -> None:
    stream = encoded(Image.new(mode, (60, 60), value), "PNG", icc_profile=adobe_rgb_profile())
    image = render_one(stream, Rendition(30, None))
    assert (image.mode, image.getpixel((9, 9))) == (mode, value)


@pytest.mark.parametrize(("mode", "value", "meant"), [("L", 55, (128,)), ("LA", (55, 200), (128, 200))])
def test_grey_is_converted_by_its_profile(mode: str, value: int | tuple[int, int], meant: Colour) -> None:
    stream = encoded(Image.new(mode, (60, 60), value), "PNG", icc_profile=grey_profile())
    image = render_one(stream, Rendition(30, None))
    assert image.mode == mode
    assert far_apart(colour_at(image, (9, 9)), meant) <= 1


@pytest.mark.parametrize(("profile", "meant"), [(None, (0, 255, 255)), (cmyk_profile(), (119, 119, 119))])
@pytest.mark.parametrize("image_format", ["jpeg", "png", "webp"])
def test_cmyk_becomes_rgb_by_its_profile_if_it_has_one(
    image_format: ImageFormat, profile: bytes | None, meant: Colour
) -> None:
    options = {"icc_profile": profile} if profile else {}
    stream = encoded(Image.new("CMYK", (60, 60), (255, 0, 0, 0)), "JPEG", quality=100, **options)
    assert inspect_image(stream).mode == "CMYK"
    image = render_one(stream, Rendition(30, None, format=image_format, quality=100))
    assert image.mode == "RGB"
    assert far_apart(colour_at(image, (15, 15)), meant) <= 4


@pytest.mark.parametrize("image_format", ["png", "webp"])
def test_alpha_is_kept(image_format: ImageFormat) -> None:
    image = render_one(encoded(half_transparent(), "PNG"), Rendition(45, None, format=image_format, quality=100))
    assert image.mode == "RGBA"
    assert [colour_at(image, (x, 7))[3] for x in (7, 22, 37)] == [255, 128, 0]


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_alpha_is_laid_on_white_for_jpeg(mode: str) -> None:
    image = render_one(encoded(half_transparent(mode), "PNG"), Rendition(45, None, format="jpeg", quality=100))
    assert image.mode == mode.removesuffix("A")
    for x, grey in ((7, 0), (22, 127), (37, 255)):
        assert far_apart(colour_at(image, (x, 7)), (grey,) * len(image.getbands())) <= 4


def test_hidden_colours_do_not_bleed_into_edges() -> None:
    image = Image.new("RGBA", (64, 64), (255, 0, 0, 0))
    image.paste((0, 0, 255, 255), (0, 0, 33, 64))
    small = render_one(encoded(image, "PNG"), Rendition(8, None))
    assert all(colour_at(small, (x, 4))[0] <= 2 for x in range(8) if colour_at(small, (x, 4))[3])


def test_a_palette_with_transparency_becomes_true_colour() -> None:
    image = Image.new("P", (60, 60), 1)
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.paste(0, (0, 0, 30, 60))
    for image_format in ("PNG", "GIF"):
        stream = encoded(image, image_format, transparency=0)
        assert inspect_image(stream).has_alpha
        small = render_one(stream, Rendition(30, None, format="png"))
        assert small.mode == "RGBA"
        assert colour_at(small, (5, 15))[3] == 0
        assert colour_at(small, (25, 15)) == (200, 100, 50, 255)


def test_a_palette_without_transparency_is_averaged_not_sampled() -> None:
    image = Image.new("P", (64, 64))
    image.putpalette([0, 0, 0, 255, 255, 255])
    image.putdata([(x + y) % 2 for y in range(64) for x in range(64)])
    small = render_one(encoded(image, "PNG"), Rendition(16, None))
    assert small.mode == "RGB"
    assert far_apart(colour_at(small, (8, 8)), (127, 127, 127)) <= 3


def test_black_and_white_becomes_grey() -> None:
    image = Image.new("1", (64, 64))
    image.putdata([255 * ((x + y) % 2) for y in range(64) for x in range(64)])
    small = render_one(encoded(image, "PNG"), Rendition(16, None))
    assert small.mode == "L"
    assert far_apart(colour_at(small, (8, 8)), (127,)) <= 3


@pytest.mark.parametrize(("value", "meant"), [(0, 0), (0x4321, 67), (0x8000, 128), (0x80FF, 128), (0xFFFF, 255)])
def test_16_bits_are_scaled_not_clipped(value: int, meant: int) -> None:
    image = Image.frombytes("I;16", (40, 40), struct.pack("<H", value) * 1600)
    stream = encoded(image, "PNG")
    assert inspect_image(stream).mode == "I;16"
    assert colour_at(render_one(stream, Rendition(20, None)), (9, 9)) == (meant,)


TRANSPARENT = [
    (1, 0, b"\0\0", b"\x0f", "LA"),
    (8, 0, b"\0\x07", b"\7\7\7\7\x64\x64\x64\x64", "LA"),
    (16, 0, b"\x12\x34", b"\x12\x34" * 4 + b"\xab\xcd" * 4, "LA"),
    (8, 2, b"\0\1\0\2\0\3", b"\1\2\3" * 4 + b"\x64\x64\x64" * 4, "RGBA"),
]


@pytest.mark.parametrize(("depth", "colour", "key", "row", "mode"), TRANSPARENT)
def test_a_transparent_colour_is_kept(depth: int, colour: int, key: bytes, row: bytes, mode: str) -> None:
    pixels = zlib.compress((b"\0" + row) * 8)
    stream = io.BytesIO(png(8, 8, depth=depth, colour=colour, chunks=((b"tRNS", key), (b"IDAT", pixels))))
    assert inspect_image(stream).has_alpha
    image = render_one(stream, Rendition(8, None))
    assert image.mode == mode
    assert [colour_at(image, (x, 4))[-1] for x in (0, 7)] == [0, 255]
