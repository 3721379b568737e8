"""What decoding at a fraction and cascades lose, in dB; and that nothing but what is asked for decides about pixels.

The reference is Lanczos over all pixels in floating point; a loss is what a rendition has beyond the encoder's own.
"""

import io
from itertools import permutations
from pathlib import Path
from random import Random

import pytest
from PIL import Image

from tests.bench.photos import make_photo
from tests.bench.quality import Reference, float_channels
from tests.unit.imaging_pictures import SAMPLES, encoded, mean_difference, rendered
from worker.imaging import render
from worker.imaging.decoding import decode
from worker.imaging.facts import checked_facts, count_pieces
from worker.imaging.opening import opened
from worker.imaging.planning import plan
from worker.renditions import ImageLimits, Rendition

QUALITY = 85
# (1000, 1000) of the noisy photo's pixels are one sample, as sharp as no camera's picture is at its full size.
SIZE = (2000, 1000)


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photo") / "noisy.jpg"
    make_photo(SIZE).save(path, "JPEG", quality=90, subsampling="4:2:0")
    return path


@pytest.fixture(scope="module")
def channels(photo: Path) -> list[Image.Image]:
    return float_channels(photo)


def eighths(source: io.BytesIO | Path, *renditions: Rendition) -> int:
    """Tell at how many eighths of its size a picture is decoded for renditions."""
    stream = io.BytesIO(source.read_bytes()) if isinstance(source, Path) else source
    pieces = count_pieces(stream, ImageLimits())
    with opened(stream) as image:
        facts = checked_facts(image, pieces)
        return decode(image, facts, plan(renditions, facts, ImageLimits()).layouts()).eighths


# The widths stand to the picture's as 1600 to 12, 24 and 48 megapixels; the last but one and the last are alone.
@pytest.mark.parametrize(
    ("widths", "fraction"),
    [((800, 400, 100), 4), ((533, 266, 67), 3), ((400, 200, 50), 3), ((300, 150), 2), ((1000,), 8), ((250,), 2)],
)
def test_no_rendition_loses_more_than_015_db(
    photo: Path, channels: list[Image.Image], tmp_path: Path, widths: tuple[int, ...], fraction: int
) -> None:
    renditions = [Rendition(width, None, quality=QUALITY) for width in widths]
    targets = [tmp_path / f"{width}.jpg" for width in widths]
    assert eighths(photo, *renditions) == fraction
    render(photo, renditions, targets)
    for width, target in zip(widths, targets, strict=True):
        assert Reference(channels, width, QUALITY).loss(target) >= -0.15, width


# 400 of 1000 need half of its pixels exactly, though the height is rounded up.
@pytest.mark.parametrize(("widths", "fraction"), [((400, 200), 4), ((150, 75), 2), ((71, 30), 1)])
def test_detail_as_fine_as_pixels_loses_hardly_more(tmp_path: Path, widths: tuple[int, ...], fraction: int) -> None:
    photo = tmp_path / "sharp.jpg"
    with Image.open(SAMPLES / "deep-field.jpg") as sample:
        noise = Image.frombytes("RGB", sample.size, Random(4).randbytes(3 * sample.width * sample.height))  # noqa: S311 - noise
        Image.blend(sample, noise, 0.05).save(photo, "JPEG", quality=90)
    renditions = [Rendition(width, None, quality=QUALITY) for width in widths]
    targets = [tmp_path / f"{width}.jpg" for width in widths]
    assert eighths(photo, *renditions) == fraction
    render(photo, renditions, targets)
    channels = float_channels(photo)
    for width, target in zip(widths, targets, strict=True):
        assert Reference(channels, width, QUALITY).loss(target) >= -0.23, width


def test_a_cascade_needs_one_and_a_half_times_the_pixels() -> None:
    stream = encoded(make_photo((300, 200)), "PNG")
    alone = {side: rendered(stream, Rendition(side, None))[0][2] for side in (90, 50)}
    _, near, far = (content for _, _, content in rendered(stream, *(Rendition(side, None) for side in (120, 90, 50))))
    assert near == alone[90]
    assert far != alone[50]


def test_more_is_decoded_where_quality_is_asked_for(photo: Path) -> None:
    assert eighths(photo, Rendition(800, None), Rendition(80, None)) == 4
    assert eighths(photo, Rendition(800, None), Rendition(80, None, quality=100)) == 4
    assert eighths(photo, Rendition(800, None, quality=90), Rendition(80, None)) == 8
    assert eighths(photo, Rendition(800, None), Rendition(800, None, format="webp")) == 8
    assert eighths(photo, Rendition(400, None), Rendition(80, None)) == 3
    assert eighths(photo, Rendition(250, None), Rendition(80, None)) == 2
    assert eighths(photo, Rendition(140, None), Rendition(80, None)) == 1
    assert eighths(photo, Rendition(2000, None), Rendition(80, None)) == 8
    # The crop takes half of the picture's width, so it needs twice the pixels that its own width says.
    assert eighths(photo, Rendition(400, 400, fit="cover"), Rendition(80, None)) == 4


@pytest.mark.parametrize("width", [1, 7, 8, 9, 1001, 1003])
def test_any_width_is_decoded_at_any_fraction(width: int) -> None:
    ramp = Image.linear_gradient("L").rotate(90).resize((width, 97)).convert("RGB")
    whole, stream = encoded(ramp, "PNG"), encoded(ramp, "JPEG", quality=100, subsampling="4:4:4")
    for height in (1, 7, 20, 26, 40, 97):
        boxes = [Rendition(width, height, fit="exact", format="png"), Rendition(1, 1, fit="exact", format="png")]
        ours, exact = rendered(stream, *boxes)[0][1], rendered(whole, *boxes)[0][1]
        assert ours.size == exact.size == (width, height)
        assert mean_difference(ours, exact) < 2


def test_the_order_asked_for_changes_nothing() -> None:
    stream = encoded(make_photo((300, 200)), "JPEG", quality=90)
    asked = [
        Rendition(100, None, format="png"),
        Rendition(60, 60, fit="cover", gravity="east", format="png"),
        Rendition(60, 60, fit="cover", gravity="west"),
        Rendition(60, 60, fit="pad"),
        Rendition(100, None, quality=95),
    ]
    expected = dict(zip(asked, (content for _, _, content in rendered(stream, *asked)), strict=True))
    for order in permutations(asked):
        assert [content for _, _, content in rendered(stream, *order)] == [expected[each] for each in order]
