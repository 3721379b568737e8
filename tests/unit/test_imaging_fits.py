"""Every fit, gravity and background, pixel for pixel."""

from fractions import Fraction

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.unit.imaging_pictures import colour_at, encoded, far_apart, render_one, turned
from worker.rendition_layout import Fit, Gravity, Size
from worker.renditions import ImageFormat, Rendition

ACROSS: dict[Gravity, int] = {"west": 0, "northwest": 0, "southwest": 0, "east": 2, "northeast": 2, "southeast": 2}
DOWN: dict[Gravity, int] = {"north": 0, "northwest": 0, "northeast": 0, "south": 2, "southwest": 2, "southeast": 2}
GRAVITIES: tuple[Gravity, ...] = (
    *("center", "north", "northeast", "east", "southeast"),
    *("south", "southwest", "west", "northwest"),
)
GREEN_GLASS = "#00ff0080"


def mapped(width: int, height: int) -> Image.Image:
    """Paint a picture whose every pixel tells where it is."""
    image = Image.new("RGB", (width, height))
    image.putdata([(2 * x, 3 * y, 7) for y in range(height) for x in range(width)])
    return image


def place(room: tuple[int, int], gravity: Gravity) -> tuple[int, int]:
    return room[0] * ACROSS.get(gravity, 1) // 2, room[1] * DOWN.get(gravity, 1) // 2


@pytest.mark.parametrize("gravity", GRAVITIES)
@pytest.mark.parametrize("box", [(80, 80), (120, 30), (60, 80), (120, 80)])
@pytest.mark.parametrize("orientation", [1, 3, 6, 7])
def test_cover_cuts_off_what_gravity_says(gravity: Gravity, box: Size, orientation: int) -> None:
    original = mapped(120, 80)
    stored, exif = turned(original, orientation)
    image = render_one(encoded(stored, "PNG", exif=exif), Rendition(*box, fit="cover", gravity=gravity))
    left, top = place((120 - box[0], 80 - box[1]), gravity)
    assert image.tobytes() == original.crop((left, top, left + box[0], top + box[1])).tobytes()


@pytest.mark.parametrize("gravity", GRAVITIES)
def test_cover_shrinks_before_it_cuts(gravity: Gravity) -> None:
    image = render_one(encoded(mapped(120, 80), "PNG"), Rendition(20, 20, fit="cover", gravity=gravity))
    assert image.size == (20, 20)
    left = place((40, 0), gravity)[0]
    # A pixel of the rendition is 4 by 4 of the original, whose colours go evenly: the middle is their mean.
    for x, y in ((5, 5), (10, 10), (14, 8)):
        mean = (2 * (left + 4 * x + 1.5), 3 * (4 * y + 1.5), 7)
        assert far_apart(colour_at(image, (x, y)), tuple(round(each) for each in mean)) <= 1


@pytest.mark.parametrize("gravity", GRAVITIES)
@pytest.mark.parametrize("box", [(60, 41), (40, 60), (73, 20), (99, 99)])
def test_pad_puts_the_picture_where_gravity_says(gravity: Gravity, box: Size) -> None:
    original = mapped(40, 20)
    image = render_one(encoded(original, "PNG"), Rendition(*box, fit="pad", gravity=gravity, background="#123456"))
    expected = Image.new("RGB", box, "#123456")
    expected.paste(original, place((box[0] - 40, box[1] - 20), gravity))
    assert (image.mode, image.size) == ("RGB", box)
    assert image.tobytes() == expected.tobytes()


def test_pad_shrinks_what_is_larger_than_the_box() -> None:
    image = render_one(encoded(mapped(100, 50), "PNG"), Rendition(50, 50, fit="pad", background="#ffffff00"))
    alpha = image.getchannel("A")
    assert alpha.getbbox() == (0, 12, 50, 37)
    assert alpha.crop((0, 12, 50, 37)).getextrema() == (255, 255)


@pytest.mark.parametrize("image_format", ["png", "webp", "avif", "jpeg"])
def test_a_background_with_alpha_stays_where_the_format_has_it(image_format: ImageFormat) -> None:
    rendition = Rendition(
        60, 40, fit="pad", gravity="west", background=GREEN_GLASS, format=image_format, quality=100
    )  # fmt: skip
    image = render_one(encoded(Image.new("RGB", (40, 40), (200, 10, 10)), "PNG"), rendition)
    inside, outside = colour_at(image, (20, 20)), colour_at(image, (50, 20))
    if image_format == "jpeg":
        assert far_apart(inside, (200, 10, 10)) <= 4
        assert far_apart(outside, (0, 255, 0)) <= 4
    else:
        assert far_apart(inside, (200, 10, 10, 255)) <= 4
        assert far_apart(outside, (0, 255, 0, 128)) <= 4


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_a_transparent_picture_lies_on_its_background(mode: str) -> None:
    clear = Image.new(mode, (40, 40), (*(200,) * (len(mode) - 1), 0))
    opaque_pad = Rendition(60, 40, fit="pad", background="#336699")
    for rendition in (opaque_pad, Rendition(40, None, format="jpeg", quality=100, background="#336699")):
        image = render_one(encoded(clear, "PNG"), rendition)
        assert image.mode == "RGB"
        assert far_apart(colour_at(image, (20, 20)), (0x33, 0x66, 0x99)) <= 2
    glass = render_one(encoded(clear, "PNG"), Rendition(60, 40, fit="pad", background=GREEN_GLASS))
    assert colour_at(glass, (30, 20)) == colour_at(glass, (1, 1)) == (0, 255, 0, 128)


def test_a_grey_picture_takes_a_coloured_background_but_stays_grey_on_a_grey_one() -> None:
    stream = encoded(Image.new("L", (40, 40), 90), "PNG")
    assert render_one(stream, Rendition(60, 40, fit="pad")).mode == "L"
    coloured = render_one(stream, Rendition(60, 40, fit="pad", background="#ff0000"))
    assert (colour_at(coloured, (30, 20)), colour_at(coloured, (1, 1))) == ((90, 90, 90), (255, 0, 0))


def test_exact_stretches_the_whole_picture() -> None:
    image = render_one(encoded(mapped(120, 80), "PNG"), Rendition(40, 80, fit="exact"))
    assert image.size == (40, 80)
    for x, y in ((10, 20), (20, 40), (30, 70)):
        assert far_apart(colour_at(image, (x, y)), (2 * (3 * x + 1), 3 * y, 7)) <= 1


@pytest.mark.parametrize(
    ("rendition", "size"),
    [
        (Rendition(300, None), (30, 20)),
        (Rendition(300, None, enlarge=True), (300, 200)),
        (Rendition(None, 40, enlarge=True), (60, 40)),
        (Rendition(300, 100, enlarge=True), (150, 100)),
        (Rendition(300, 300, fit="cover"), (20, 20)),
        (Rendition(300, 100, fit="cover"), (30, 10)),
        (Rendition(25, 100, fit="cover"), (5, 20)),
        (Rendition(300, 300, fit="cover", enlarge=True), (300, 300)),
        (Rendition(300, 300, fit="exact"), (20, 20)),
        (Rendition(60, 10, fit="exact"), (30, 5)),
        (Rendition(60, 10, fit="exact", enlarge=True), (60, 10)),
        (Rendition(50, 50, fit="pad"), (50, 50)),
    ],
)
def test_nothing_is_enlarged_unless_asked(rendition: Rendition, size: Size) -> None:
    image = render_one(encoded(mapped(30, 20), "PNG"), rendition)
    assert image.size == rendition.size_of((30, 20)) == size


def test_what_is_enlarged_under_pad_fills_the_box() -> None:
    clear = Rendition(90, 90, fit="pad", background="#00000000")
    stream = encoded(mapped(30, 20), "PNG")
    assert render_one(stream, clear).getchannel("A").getbbox() == (30, 35, 60, 55)
    enlarged = Rendition(90, 90, fit="pad", background="#00000000", enlarge=True)
    assert render_one(stream, enlarged).getchannel("A").getbbox() == (0, 15, 90, 75)


pairs = st.tuples(st.integers(1, 65_500), st.integers(1, 65_500))


@settings(max_examples=300)
@given(original=pairs, box=pairs, fit=st.sampled_from(("cover", "exact", "pad")), enlarge=st.booleans())
@example(original=(150, 150), box=(300, 200), fit="cover", enlarge=False)
@example(original=(1, 20_000), box=(100, 100), fit="cover", enlarge=False)
def test_sizes_are_exact_or_rounded_half_up(*, original: Size, box: Size, fit: Fit, enlarge: bool) -> None:
    (width, height), (box_width, box_height) = original, box
    layout = Rendition(*box, fit=fit, enlarge=enlarge).layout_of(original)
    if fit == "pad" or enlarge:
        assert layout.canvas == box
    else:
        scale = min(Fraction(width, box_width), Fraction(height, box_height), Fraction(1))
        exact = tuple(max(1, int(side * scale + Fraction(1, 2))) for side in (box_width, box_height))
        assert layout.canvas == layout.content == exact
    left, top, right, bottom = layout.region
    assert 0 <= left < right <= width + 1e-6
    assert 0 <= top < bottom <= height + 1e-6
    assert layout.content[0] <= layout.canvas[0]
    assert layout.content[1] <= layout.canvas[1]
    if not enlarge:
        assert layout.scale <= 1 or 1 in layout.content or fit == "cover"
        assert layout.content[0] <= width
        assert layout.content[1] <= height


def test_a_wrong_rendition_is_refused() -> None:
    for fit in ("cover", "pad", "exact"):
        with pytest.raises(ValueError, match=f"{fit} needs a width and a height"):
            Rendition(10, None, fit=fit)
    for background in ("white", "#fff", "#ffffff0", "#gggggg", "ffffff", "#ffffff\n"):
        with pytest.raises(ValueError, match="#rrggbb"):
            Rendition(10, None, background=background)
