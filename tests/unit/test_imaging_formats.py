"""What is read and what is written, beyond what every picture has."""

import io
import zipfile

import pytest
from PIL import Image

from tests.unit.imaging_pictures import (
    BLUE,
    GREEN,
    RED,
    SAMPLES,
    YELLOW,
    colour_at,
    corner_colours,
    corners,
    encoded,
    far_apart,
    render_one,
    rendered,
    turned,
)
from worker.imaging import inspect_image
from worker.renditions import ImageFormat, Rendition

CORNERS = [RED, GREEN, BLUE, YELLOW]
KEPT = [("JPEG", "jpeg"), ("PNG", "png"), ("WEBP", "webp"), ("AVIF", "avif"), ("GIF", "png"), ("HEIF", "jpeg")]


def are_corners(image: Image.Image) -> bool:
    return all(
        far_apart(seen, meant) <= 16 for seen, meant in zip(corner_colours(image.convert("RGB")), CORNERS, strict=True)
    )


@pytest.mark.parametrize(("image_format", "kept"), KEPT)
def test_a_picture_keeps_its_format_or_takes_the_nearest(image_format: str, kept: str) -> None:
    [(written, image, content)] = rendered(encoded(corners(), image_format), Rendition(80, None))
    assert (written.format, written.media_type, written.size) == (kept, f"image/{kept}", len(content))
    assert (image.format, image.size) == (kept.upper(), (80, 50))
    assert are_corners(image)


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "AVIF", "GIF", "HEIF"])
@pytest.mark.parametrize("wanted", ["jpeg", "png", "webp", "avif"])
def test_every_format_becomes_every_other(image_format: str, wanted: ImageFormat) -> None:
    assert are_corners(render_one(encoded(corners(), image_format), Rendition(80, None, format=wanted)))


def test_a_phones_heic_is_upright_and_no_animation() -> None:
    stored, exif = turned(corners(), 6)
    stream = encoded(stored, "HEIF", exif=exif.tobytes(), save_all=True, append_images=[corners()])
    facts = inspect_image(stream)
    assert (facts.format, facts.media_type, facts.frames) == ("heic", "image/heic", 1)
    assert (facts.width, facts.height) == (160, 100)
    assert are_corners(render_one(stream, Rendition(80, None)))


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("image_format", ["AVIF", "WEBP", "PNG"])
def test_grey_and_alpha_in_and_out(mode: str, image_format: str) -> None:
    colour = (120, 128) if mode == "LA" else (120,) * len(mode[:3]) if mode in {"L", "RGB"} else (120, 120, 120, 128)
    stream = encoded(Image.new(mode, (40, 40), colour), image_format, quality=100)
    for wanted in ("avif", "webp", "png"):
        pixel = colour_at(render_one(stream, Rendition(20, None, format=wanted, quality=100)), (9, 9))
        assert abs(pixel[0] - 120) <= 2
        assert not mode.endswith("A") or abs(pixel[-1] - 128) <= 2


def test_a_jpeg_is_progressive_when_asked_for() -> None:
    stream = (SAMPLES / "photographer.png").read_bytes()
    asked = [Rendition(200, None, format="jpeg", progressive=True), Rendition(200, None, format="jpeg")]
    progressive, plain = (content for _, _, content in rendered(io.BytesIO(stream), *asked))
    assert (b"\xff\xc2" in progressive, b"\xff\xc0" in progressive) == (True, False)
    assert (b"\xff\xc2" in plain, b"\xff\xc0" in plain) == (False, True)


@pytest.mark.parametrize("image_format", ["jpeg", "webp", "avif"])
def test_the_default_quality_is_the_formats_own(image_format: ImageFormat) -> None:
    default = {"jpeg": 85, "webp": 80, "avif": 65}[image_format]
    asked = [Rendition(200, None, format=image_format, quality=quality) for quality in (None, default, default - 20)]
    contents = [content for _, _, content in rendered(SAMPLES / "deep-field.jpg", *asked)]
    assert contents[0] == contents[1]
    assert len(contents[2]) < len(contents[0])


@pytest.mark.parametrize("image_format", ["GIF", "WEBP", "PNG", "AVIF"])
def test_an_animation_gives_its_poster_alone(image_format: str) -> None:
    frames = [Image.new("RGB", (50, 40), colour) for colour in (RED, GREEN, BLUE)]
    stream = encoded(frames[0], image_format, save_all=True, append_images=frames[1:], duration=40, quality=100)
    assert inspect_image(stream).frames == 3
    for _, poster, _ in rendered(stream, Rendition(25, None), Rendition(30, None, format="webp")):
        assert getattr(poster, "n_frames", 1) == 1
        assert far_apart(colour_at(poster.convert("RGB"), (12, 10)), RED) <= 8


def polyglot(image_format: str) -> bytes:
    """Make a picture that is a ZIP and an HTML page as well."""
    stream = io.BytesIO()
    stream.write(encoded(corners(), image_format).getvalue())
    with zipfile.ZipFile(stream, "a") as archive:
        archive.writestr("evil.html", "<html><script>alert('EVIL')</script></html>")
    return stream.getvalue()


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "GIF", "WEBP"])
def test_of_a_polyglot_only_the_picture_is_left(image_format: str) -> None:
    both = polyglot(image_format)
    assert zipfile.is_zipfile(io.BytesIO(both))
    for _, image, content in rendered(io.BytesIO(both), Rendition(160, None), Rendition(160, None, format="jpeg")):
        assert are_corners(image)
        assert not zipfile.is_zipfile(io.BytesIO(content))
        assert b"evil" not in content
        assert b"script" not in content


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "GIF", "AVIF"])
def test_a_single_pixel(image_format: str) -> None:
    stream = encoded(Image.new("RGB", (1, 1), RED), image_format)
    for asked in (Rendition(1, None), Rendition(500, None), Rendition(9, 9, fit="cover"), Rendition(3, 2, fit="exact")):
        image = render_one(stream, asked)
        assert image.size == (1, 1)
        assert far_apart(colour_at(image.convert("RGB"), (0, 0)), RED) <= 12
    assert render_one(stream, Rendition(5, 4, fit="pad")).size == (5, 4)
    assert render_one(stream, Rendition(7, None, enlarge=True)).size == (7, 7)


@pytest.mark.parametrize("size", [(1, 20_000), (20_000, 1)])
@pytest.mark.parametrize("image_format", ["JPEG", "PNG"])
def test_a_long_line(size: tuple[int, int], image_format: str) -> None:
    stream = encoded(Image.new("RGB", size, BLUE), image_format)
    facts = inspect_image(stream)
    assert (facts.width, facts.height) == size
    for asked in (Rendition(100, 100), Rendition(100, 100, format="avif"), Rendition(50, 100, fit="pad")):
        image = render_one(stream, asked)
        assert image.size == asked.size_of(size)
        assert max(image.size) == 100
