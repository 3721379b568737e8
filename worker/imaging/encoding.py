"""Laying pictures on their canvas and writing them, without anything beside the pixels."""

from pathlib import Path
from typing import BinaryIO, cast

from PIL import Image, ImageColor

from worker.counted_stream import CountedStream
from worker.imaging.opening import DECODER_ERRORS
from worker.imaging.planning import PlannedRendition
from worker.renditions import RenditionNotEncoded, RenditionTooLarge

Target = Path | BinaryIO

_OPAQUE = 255


def encode(picture: Image.Image, planned: PlannedRendition, target: Target, exif: bytes) -> int:
    """Write a rendition whose content is given, and tell how many bytes it has; the picture stays as it is.

    Raises `RenditionTooLarge` when there is not the memory for it, `RenditionNotEncoded`, and whatever the target does.
    """
    if isinstance(target, Path):
        with target.open("wb") as stream:
            return encode(picture, planned, stream, exif)
    counted = CountedStream(target)
    options = _options(planned) | ({"exif": exif} if exif else {})
    try:
        _composed(picture, planned).save(cast("BinaryIO", counted), planned.format, **options)
    except DECODER_ERRORS as error:
        if counted.failure is not None:
            raise counted.failure from None
        width, height = planned.layout.canvas
        detail = f"{width} by {height} pixels"
        if isinstance(error, MemoryError):
            raise RenditionTooLarge(f"{detail}: it needs more memory than there is for one") from error
        raise RenditionNotEncoded(f"{detail}: the encoder refuses to write this as {planned.format}") from error
    return counted.size


def _options(planned: PlannedRendition) -> dict[str, object]:
    match planned.format:
        case "jpeg":
            return {"quality": planned.quality, "progressive": planned.rendition.progressive}
        case "png":
            return {}
        case "webp":
            return {"quality": planned.quality}
        case "avif":
            # One child runs one job; its neighbours' cores are not its own.
            return {"quality": planned.quality, "max_threads": 1}


def _composed(picture: Image.Image, planned: PlannedRendition) -> Image.Image:
    """Lay a picture on its background if it is padded, or has an alpha that the format has not."""
    background = (*ImageColor.getrgb(planned.rendition.background), _OPAQUE)[:4]
    takes_alpha = planned.format != "jpeg"
    has_alpha = picture.mode in {"LA", "RGBA"}
    if planned.rendition.fit != "pad":
        return picture if takes_alpha or not has_alpha else _laid_on(background[:3], picture, planned)
    if takes_alpha and background[3] != _OPAQUE:
        canvas = Image.new("RGBA", planned.layout.canvas, background)
        canvas.alpha_composite(picture.convert("RGBA"), planned.layout.offset)
        return canvas
    return _laid_on(background[:3], picture, planned)


def _laid_on(colour: tuple[int, ...], picture: Image.Image, planned: PlannedRendition) -> Image.Image:
    is_grey = picture.mode in {"L", "LA"} and len(set(colour)) == 1
    mode = "L" if is_grey else "RGB"
    canvas = Image.new(mode, planned.layout.canvas, colour[0] if is_grey else colour)
    mask = picture.getchannel("A") if picture.mode in {"LA", "RGBA"} else None
    canvas.paste(picture.convert(mode), planned.layout.offset, mask)
    return canvas
