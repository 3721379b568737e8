from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.unit.imaging_pictures import corners, encoded
from worker.imaging import render
from worker.rendition_layout import Size
from worker.renditions import RenderedImage, Rendition, RenditionFailure

sides = st.integers(1, 65_500)
boxes = st.none() | sides


@given(sides, sides, boxes, boxes)
@example(3000, 2000, 1600, None)
@example(1, 20_000, 100, 100)
@example(5, 3, 4, None)
def test_a_size_is_the_exact_one_rounded(
    width: int, height: int, box_width: int | None, box_height: int | None
) -> None:
    if box_width is None and box_height is None:
        with pytest.raises(ValueError, match="needs a width, a height or both"):
            Rendition(box_width, box_height)
        return
    got = Rendition(box_width, box_height).size_of((width, height))
    scale = min(Fraction(box_width or width, width), Fraction(box_height or height, height), Fraction(1))
    for side, original, box in zip(got, (width, height), (box_width, box_height), strict=True):
        exact = original * scale
        assert side == exact or abs(side - exact) <= Fraction(1, 2) or (side == 1 and exact < 1)
        assert 1 <= side <= min(original, box or original)
    assert scale in {Fraction(got[0], width), Fraction(got[1], height)}


@pytest.mark.parametrize(
    ("original", "rendition", "expected"),
    [
        ((4000, 3000), Rendition(1600, None), (1600, 1200)),
        ((4000, 3000), Rendition(None, 300), (400, 300)),
        ((4000, 3000), Rendition(500, 300), (400, 300)),
        ((3000, 2000), Rendition(800, None), (800, 533)),
        ((6, 3), Rendition(5, None), (5, 3)),  # 2.5 is rounded up
        ((64, 48), Rendition(640, 480), (64, 48)),
        ((64, 48), Rendition(32, 4800), (32, 24)),
        ((20_000, 1), Rendition(100, None), (100, 1)),
    ],
)
def test_sizes_known_by_hand(original: Size, rendition: Rendition, expected: Size) -> None:
    assert rendition.size_of(original) == expected


@pytest.mark.parametrize(("width", "height", "quality"), [(0, None, 85), (None, -1, 85), (10, 10, 0), (10, 10, 101)])
def test_a_senseless_rendition_is_refused(width: int | None, height: int | None, quality: int) -> None:
    with pytest.raises(ValueError, match="is from 1 to"):
        Rendition(width, height, quality=quality)


def test_a_format_that_cannot_hold_the_size_fails_that_rendition_alone(tmp_path: Path) -> None:
    strip = encoded(corners(16_384, 2), "PNG")
    long = Rendition(20_000, None, format="webp")
    failure, made = render(strip, [long, Rendition(100, None)], [tmp_path / "long.webp", tmp_path / "short.png"])
    detail = "16384 by 2 pixels: a side of a webp has 16383 at most"
    assert failure == RenditionFailure("rendition_too_large", detail)
    assert made == RenderedImage(100, 1, "png", "image/png", (tmp_path / "short.png").stat().st_size)
    assert not (tmp_path / "long.webp").exists()
    assert render(strip, [long], [tmp_path / "long.webp"]) == [failure]
