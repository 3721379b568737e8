"""From one picture to its renditions."""

from collections.abc import Callable, Sequence

from PIL import ExifTags, Image, ImageFile

from worker.imaging.cascade import Cascade
from worker.imaging.decoding import decode
from worker.imaging.encoding import Target, encode
from worker.imaging.facts import checked_facts, count_pieces, exif_of
from worker.imaging.opening import DECODER_ERRORS, Source, opened, stream_of
from worker.imaging.planning import Plan, PlannedRendition, plan
from worker.renditions import (
    MEDIA_TYPES,
    ImageLimits,
    RenderedImage,
    Rendition,
    RenditionFailure,
    RenditionNotEncoded,
    RenditionTooLarge,
)

Result = RenderedImage | RenditionFailure

_COPYRIGHT_TAGS = (ExifTags.Base.Artist, ExifTags.Base.Copyright)
_LONGEST_COPYRIGHT = 4_096


def render(
    source: Source,
    renditions: Sequence[Rendition],
    targets: Sequence[Target],
    on_rendered: Callable[[int], None] = lambda _done: None,
    *,
    limits: ImageLimits | None = None,
    keep_copyright: bool = False,
) -> list[Result]:
    """Decode a picture once and write each rendition to its target: upright, in sRGB, without any metadata.

    An animation gives its first frame. `keep_copyright` keeps two tags of the EXIF, Artist and Copyright. `on_rendered`
    is told how many are done, after each, largest first; what it raises ends the work. The list is in the order asked
    for. A rendition that is too large by itself, or that its encoder refuses, is a `RenditionFailure` in the list; what
    is wrong with the picture is an `ImageError`. Most of them are raised before anything is decoded: `UnreadableImage`,
    `ImageTooLarge` (178 megapixels at most, whatever the limits say), `ImageFileTooLarge`, `ImageTooManyFrames`,
    `ImageTooManyScans`, `ImageMetadataTooLarge`. Raises `OSError` when a disk fails.
    """
    if not renditions or len(renditions) != len(targets):
        raise ValueError("one target for each rendition, and at least one of both")
    limits = limits or ImageLimits()
    with stream_of(source) as stream:
        pieces = count_pieces(stream, limits)
        with opened(stream) as image:
            facts = checked_facts(image, pieces)
            planned = plan(renditions, facts, limits)
            exif = _copyright_of(image) if keep_copyright else b""
            if not planned.planned:
                return _in_order(planned, {})
            cascade = Cascade(decode(image, facts, planned.layouts()))
    made: dict[int, Result] = {}
    for done, each in enumerate(planned.planned, start=1):
        made[each.index] = _render_one(cascade, each, targets[each.index], exif)
        on_rendered(done)
    return _in_order(planned, made)


def _render_one(cascade: Cascade, planned: PlannedRendition, target: Target, exif: bytes) -> Result:
    try:
        size = encode(_content(cascade, planned), planned, target, exif)
    except (RenditionTooLarge, RenditionNotEncoded) as error:
        return RenditionFailure(error.code, str(error))
    return RenderedImage(*planned.layout.canvas, planned.format, MEDIA_TYPES[planned.format], size)


def _content(cascade: Cascade, planned: PlannedRendition) -> Image.Image:
    try:
        return cascade.picture(planned.layout)
    except MemoryError as error:
        width, height = planned.layout.canvas
        raise RenditionTooLarge(f"{width} by {height} pixels: it needs more memory than there is for one") from error


def _in_order(planned: Plan, made: dict[int, Result]) -> list[Result]:
    results: dict[int, Result] = {**planned.failures, **made}
    return [results[index] for index in sorted(results)]


def _copyright_of(image: ImageFile.ImageFile) -> bytes:
    exif, kept = exif_of(image), Image.Exif()
    for tag in _COPYRIGHT_TAGS:
        try:
            text: object = exif.get(tag)
        except DECODER_ERRORS:
            continue
        if isinstance(text, str) and text.strip("\0 "):
            # As bytes: Pillow reads Latin-1, but writes ASCII, and a © would become a question mark.
            kept[tag] = text[:_LONGEST_COPYRIGHT].encode("latin-1", "replace")
    return kept.tobytes() if len(kept) else b""
