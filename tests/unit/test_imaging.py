import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
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
    mean_difference,
    render_one,
    rendered,
    reread,
    turned,
)
from worker.imaging import inspect_image, render
from worker.renditions import ImageFormat, RenderedImage, Rendition

CORNERS = [RED, GREEN, BLUE, YELLOW]


def looks_upright(image: Image.Image) -> bool:
    return all(far_apart(seen, meant) <= 12 for seen, meant in zip(corner_colours(image), CORNERS, strict=True))


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_comes_out_upright(orientation: int, image_format: str) -> None:
    stored, exif = turned(corners(), orientation)
    assert orientation == 1 or not looks_upright(stored)
    stream = encoded(stored, image_format, exif=exif)
    facts = inspect_image(stream)
    assert (facts.width, facts.height, facts.orientation) == (160, 100, orientation)
    for written, image, _ in rendered(stream, Rendition(80, None), Rendition(None, 25), Rendition(400, 400)):
        assert image.size == (written.width, written.height)
        assert looks_upright(image)
    assert [image.size for _, image, _ in rendered(stream, Rendition(80, None), Rendition(None, 25))] == [
        (80, 50),
        (40, 25),
    ]


@pytest.mark.parametrize("orientation", [0, 9, 65_535])
def test_an_orientation_that_does_not_exist_turns_nothing(orientation: int) -> None:
    stored, exif = turned(corners(), orientation)
    stream = encoded(stored, "JPEG", exif=exif)
    assert inspect_image(stream).orientation == 1
    assert looks_upright(render_one(stream, Rendition(80, None)))


def test_only_exif_turns_a_picture_as_in_browsers() -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    stream = encoded(corners(), "JPEG", xmp=xmp)
    assert inspect_image(stream).orientation == 1
    assert looks_upright(render_one(stream, Rendition(80, None)))


@pytest.mark.parametrize(
    ("text", "taken_at"),
    [
        ("2024:02:29 23:59:58", "2024-02-29T23:59:58"),
        (" 2024:02:29 23:59:58 ", "2024-02-29T23:59:58"),
        ("2023:02:29 23:59:58", None),
        ("0000:00:00 00:00:00", None),
        ("    :  :     :  :  ", None),
        ("yesterday", None),
    ],
)
def test_the_camera_s_time_is_read_if_it_is_one(text: str, taken_at: str | None) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = text
    assert inspect_image(encoded(corners(), "WEBP", exif=exif)).taken_at == taken_at


def test_broken_exif_is_ignored() -> None:
    stream = encoded(corners(), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x05\x01\x12\0\x03garbage")
    assert inspect_image(stream).taken_at is None
    assert looks_upright(render_one(stream, Rendition(80, None)))


def test_a_turn_inside_avif_is_undone() -> None:
    stored, exif = turned(corners(), 6)
    assert looks_upright(render_one(encoded(stored, "AVIF", exif=exif), Rendition(80, None, format="png")))


def test_renditions_come_in_the_order_asked_and_progress_counts_them(tmp_path: Path) -> None:
    renditions = [
        Rendition(40, None, format="png"),
        Rendition(120, None, format="webp"),
        Rendition(80, None),
        Rendition(80, None, format="png"),
    ]
    targets = [tmp_path / str(index) for index in range(4)]
    counted: list[int] = []
    written = render(SAMPLES / "photographer.png", renditions, targets, counted.append)
    assert counted == [1, 2, 3, 4]
    sizes = [target.stat().st_size for target in targets]
    assert written == [
        RenderedImage(40, 40, "png", "image/png", sizes[0]),
        RenderedImage(120, 120, "webp", "image/webp", sizes[1]),
        RenderedImage(80, 80, "png", "image/png", sizes[2]),
        RenderedImage(80, 80, "png", "image/png", sizes[3]),
    ]
    assert targets[2].read_bytes() == targets[3].read_bytes()


def test_what_the_listener_raises_ends_the_work() -> None:
    class Stopped(Exception):
        pass

    def stop(done: int) -> None:
        raise Stopped(done)

    targets = [io.BytesIO(), io.BytesIO()]
    with pytest.raises(Stopped, match="1"):
        render(encoded(corners(), "PNG"), [Rendition(20, None), Rendition(40, None)], targets, stop)
    assert reread(targets[1].getvalue()).size == (40, 25)
    assert not targets[0].getvalue()


@pytest.mark.parametrize("count", [(0, 0), (1, 2), (2, 1)])
def test_targets_must_match_the_renditions(count: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="one target for each rendition"):
        render(encoded(corners(), "PNG"), [Rendition(9, 9)] * count[0], [io.BytesIO()] * count[1])


def test_nothing_is_enlarged() -> None:
    stream = encoded(corners(), "PNG")
    (written, image, _), *_ = rendered(stream, Rendition(1600, None))
    assert (written.width, written.height) == (160, 100)
    assert image.tobytes() == corners().tobytes()


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 90), st.sampled_from(["JPEG", "PNG"]))
def test_what_is_written_has_the_size_promised(width: int, height: int, side: int, image_format: str) -> None:
    stream = encoded(corners(width, height), image_format)
    renditions = [Rendition(side, None), Rendition(None, side), Rendition(max(1, side // 3), side)]
    for (written, image, content), rendition in zip(rendered(stream, *renditions), renditions, strict=True):
        assert image.size == (written.width, written.height) == rendition.size_of((width, height))
        assert written.size == len(content)


def whole_deep_field() -> io.BytesIO:
    with Image.open(SAMPLES / "deep-field.jpg") as image:
        return encoded(image, "PNG", icc_profile=image.info["icc_profile"])


def test_a_cascade_is_as_good_as_a_single_rendition() -> None:
    cascade = rendered(whole_deep_field(), Rendition(600, None, format="png"), Rendition(120, None, format="png"))[1][1]
    alone = render_one(whole_deep_field(), Rendition(120, None, format="png"))
    assert 0 < mean_difference(cascade, alone) < 2


@pytest.mark.parametrize("widths", [(400,), (390, 120), (110,)])
def test_a_jpeg_decoded_at_a_fraction_is_as_good_as_the_whole(widths: tuple[int, ...]) -> None:
    renditions = [Rendition(width, None, format="png") for width in widths]
    partly = rendered(SAMPLES / "deep-field.jpg", *renditions)
    wholly = rendered(whole_deep_field(), *renditions)
    fraction = 1000 // (widths[0] * (2 if len(widths) == 1 else 1.25))
    for (_, some, _), (_, every, _) in zip(partly, wholly, strict=True):
        difference = mean_difference(some, every)
        assert difference < 2
        assert (difference > 0) == (fraction > 1), "the fraction is not the one that was meant"


def test_a_fraction_that_does_not_divide_the_width_moves_nothing() -> None:
    ramp = Image.linear_gradient("L").rotate(90).resize((41, 33))
    exact = render_one(encoded(ramp, "PNG"), Rendition(4, None, format="png"))
    image = render_one(encoded(ramp, "JPEG", quality=100), Rendition(4, None, format="png"))
    assert mean_difference(image, exact) < 4


@pytest.mark.parametrize("image_format", ["jpeg", "webp"])
def test_quality_decides_the_size(image_format: ImageFormat) -> None:
    asked = [Rendition(400, None, format=image_format, quality=quality) for quality in (20, 60, 95)]
    sizes = [written.size for written, *_ in rendered(SAMPLES / "deep-field.jpg", *asked)]
    assert sizes[0] * 1.5 < sizes[1] < sizes[2] / 1.5


def test_an_animation_gives_its_first_frame() -> None:
    frames = [Image.new("RGB", (50, 40), colour) for colour in (RED, GREEN, BLUE)]
    for image_format, kept in (("GIF", "PNG"), ("WEBP", "WEBP"), ("PNG", "PNG")):
        stream = encoded(frames[0], image_format, save_all=True, append_images=frames[1:])
        assert inspect_image(stream).frames == 3
        poster = render_one(stream, Rendition(25, None))
        assert (poster.format, getattr(poster, "n_frames", 1)) == (kept, 1)
        assert far_apart(colour_at(poster.convert("RGB"), (12, 10)), RED) <= 6


def test_further_pictures_in_a_jpeg_are_no_animation() -> None:
    stream = encoded(corners(), "MPO", save_all=True, append_images=[Image.new("RGB", (160, 100))])
    facts = inspect_image(stream)
    assert (facts.format, facts.media_type, facts.frames) == ("jpeg", "image/jpeg", 1)
    assert looks_upright(render_one(stream, Rendition(80, None)))


def test_a_stream_stays_open_and_a_file_does_not() -> None:
    stream = encoded(corners(), "WEBP")
    inspect_image(stream)
    rendered(stream, Rendition(10, None))
    assert not stream.closed
