"""Pictures: facts from the header, and renditions from a single decode. The only module that imports Pillow."""

import io
import math
import struct
import warnings
import zlib
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, cast

from PIL import ExifTags, Image, ImageCms, ImageFile, UnidentifiedImageError
from PIL.Image import Resampling, Transpose

from worker.counted_stream import CountedStream
from worker.renditions import (
    MEDIA_TYPES,
    ImageError,
    ImageFacts,
    ImageFormat,
    ImageTooLarge,
    RenderedImage,
    Rendition,
    Size,
    SourceFormat,
    UnreadableImage,
    plan,
)

Source = Path | BinaryIO
Target = Path | BinaryIO

MAX_PIXELS = 100_000_000

# Naming the formats is what keeps PostScript away from Ghostscript, and TIFF, ICNS and others from their decoders.
_FORMATS: dict[str, SourceFormat] = {"JPEG": "jpeg", "PNG": "png", "GIF": "gif", "WEBP": "webp", "AVIF": "avif"}
_DECODER_ERRORS = (
    *(OSError, ValueError, SyntaxError, EOFError, LookupError, TypeError, ArithmeticError, RuntimeError),
    *(struct.error, zlib.error),
)

_UPRIGHT = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
_SIDEWAYS = range(5, 9)

# How much larger than the rendition its source must be. A cascade gets by with less: what it loses, at most 0.3 dB
# after encoding, is worth a decode of half to a quarter of the pixels.
_LONE_GAP = 2.0
_CASCADE_GAP = 1.25
_REDUCING_GAP = 3.0


def inspect_image(source: Source) -> ImageFacts:
    """Read a picture's facts without decoding its pixels; a stream is left open.

    Raises `UnreadableImage`, `ImageTooLarge` above 178 megapixels, and `OSError` when the disk fails.
    """
    with _opened(source) as image, _decoding():
        return _facts_of(image)


def render(
    source: Source,
    renditions: Sequence[Rendition],
    targets: Sequence[Target],
    on_rendered: Callable[[int], None] = lambda _done: None,
    *,
    max_pixels: int = MAX_PIXELS,
) -> list[RenderedImage]:
    """Decode a picture once and write each rendition to its target: upright, in sRGB, without any metadata.

    An animation gives its first frame. Transparency is kept, or laid on white for JPEG. `on_rendered` is told how many
    are written, after each, largest first; what it raises ends the work. The list is in the order asked for.
    Raises `UnreadableImage`, `ImageTooLarge` from the header (178 megapixels at most, whatever `max_pixels` says),
    `RenditionTooLarge` before anything is decoded, and `OSError` when a disk fails.
    """
    if not renditions or len(renditions) != len(targets):
        raise ValueError("one target for each rendition, and at least one of both")
    with _opened(source) as image:
        facts = _checked_facts(image, max_pixels)
        planned = plan(renditions, facts)
        written: dict[int, RenderedImage] = {}
        cascade = _Cascade(_decode(image, facts.orientation, [each.size for each in planned]), [])
        for each in planned:
            size = _write(cascade.picture(each.size), targets[each.index], each.format, each.quality)
            written[each.index] = RenderedImage(*each.size, each.format, MEDIA_TYPES[each.format], size)
            on_rendered(len(written))
    return [written[index] for index in range(len(renditions))]


@dataclass(frozen=True, slots=True)
class _Decoded:
    """Is a picture as it is stored, turned and in its own colours; `box` is the part that the original covers."""

    image: Image.Image
    box: tuple[float, float, float, float]
    orientation: int
    profile: bytes | None

    def shrunk(self, size: Size) -> Image.Image:
        """Give it at a displayed size, upright and in sRGB: both are cheaper on the smaller picture."""
        stored_size = _swapped(size, self.orientation)
        smaller = self.image.resize(stored_size, Resampling.LANCZOS, self.box, _REDUCING_GAP)
        image = _to_srgb(smaller, self.profile)
        if self.orientation in _UPRIGHT:
            image = image.transpose(_UPRIGHT[self.orientation])
        # The encoders copy comments, profiles and transparency from here.
        image.info.clear()
        return image


@dataclass(frozen=True, slots=True)
class _Cascade:
    """Makes each size from the smallest picture that is large enough."""

    decoded: _Decoded
    done: list[Image.Image]

    def picture(self, size: Size) -> Image.Image:
        for larger in reversed(self.done):
            if larger.size == size:
                return larger
            if larger.width >= _CASCADE_GAP * size[0] and larger.height >= _CASCADE_GAP * size[1]:
                self.done.append(larger.resize(size, Resampling.LANCZOS, reducing_gap=_REDUCING_GAP))
                return self.done[-1]
        self.done.append(self.decoded.shrunk(size))
        return self.done[-1]


@contextmanager
def _decoding() -> Generator[None]:
    """Turn what decoders raise for bad input into errors of ours; a failing disk has an errno and stays what it is."""
    try:
        with warnings.catch_warnings():
            # Pillow warns of large pictures and corrupt metadata: the first are judged here, the second ignored.
            warnings.simplefilter("ignore")
            yield
    except ImageError:
        raise
    except (Image.DecompressionBombError, MemoryError) as error:
        raise ImageTooLarge("the picture has more pixels than may be decoded") from error
    except UnidentifiedImageError as error:
        raise UnreadableImage("the file is not a readable JPEG, PNG, WebP, GIF or AVIF picture") from error
    except _DECODER_ERRORS as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise UnreadableImage("the picture is broken or cut short") from error


@contextmanager
def _opened(source: Source) -> Generator[ImageFile.ImageFile]:
    if isinstance(source, Path):
        with source.open("rb") as stream, _opened(stream) as image:
            yield image
        return
    with _decoding():
        image = Image.open(source, formats=list(_FORMATS))
    # Closing the picture would close the stream, which is its giver's.
    yield image


def _facts_of(image: ImageFile.ImageFile) -> ImageFacts:
    exif = _exif_of(image)
    orientation = _orientation_in(exif)
    width, height = _swapped(image.size, orientation)
    # A JPEG with further pictures in it (stereo pairs, gain maps) is opened as MPO; they are no animation.
    image_format = _FORMATS.get(image.format or "", "jpeg")
    return ImageFacts(
        width=width,
        height=height,
        format=image_format,
        media_type=MEDIA_TYPES[image_format],
        mode=image.mode,
        orientation=orientation,
        has_alpha=image.has_transparency_data,
        frames=1 if image_format == "jpeg" else int(getattr(image, "n_frames", 1)),
        taken_at=_taken_at_in(exif),
    )


def _checked_facts(image: ImageFile.ImageFile, max_pixels: int) -> ImageFacts:
    if math.prod(image.size) > max_pixels:
        width, height = image.size
        raise ImageTooLarge(f"the picture has {width} by {height} pixels; at most {max_pixels:,} are decoded")
    with _decoding():
        return _facts_of(image)


def _exif_of(image: Image.Image) -> Image.Exif:
    # Not getexif(): it decodes a PNG to look for EXIF after the pixels, and believes XMP, which browsers do not.
    exif = Image.Exif()
    try:
        exif.load(image.info.get("exif", b""))
    except _DECODER_ERRORS:
        return Image.Exif()
    return exif


def _orientation_in(exif: Image.Exif) -> int:
    try:
        orientation: object = exif.get(ExifTags.Base.Orientation)
    except _DECODER_ERRORS:
        return 1
    return orientation if isinstance(orientation, int) and orientation in _UPRIGHT else 1


def _taken_at_in(exif: Image.Exif) -> str | None:
    try:
        text: object = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.DateTimeOriginal)
        taken_at = datetime.strptime(str(text).strip("\0 "), "%Y:%m:%d %H:%M:%S")  # noqa: DTZ007 - EXIF has no zone
    except _DECODER_ERRORS:
        return None
    return taken_at.isoformat()


def _swapped(size: Size, orientation: int) -> Size:
    return (size[1], size[0]) if orientation in _SIDEWAYS else size


def _decode(image: ImageFile.ImageFile, orientation: int, sizes: Sequence[Size]) -> _Decoded:
    """Decode once, a JPEG no larger than the first and largest size needs."""
    largest = _swapped(sizes[0], orientation)
    gap = _LONE_GAP if len(set(sizes)) == 1 else _CASCADE_GAP
    with _decoding():
        drafted = image.draft(None, (math.ceil(gap * largest[0]), math.ceil(gap * largest[1])))
        image.load()
        profile: object = image.info.get("icc_profile")
        box = drafted[1] if drafted else (0, 0, *image.size)
        return _Decoded(_continuous(image), box, orientation, profile if isinstance(profile, bytes) else None)


def _continuous(image: Image.Image) -> Image.Image:
    """Give a picture whose pixels may be averaged: 8 bits a channel, no palette, transparency as a channel."""
    if image.mode.startswith("I"):
        return _from_16_bits(image)
    if image.has_transparency_data:
        return image.convert("LA" if image.mode in {"1", "L", "LA"} else "RGBA")
    if image.mode in {"L", "RGB", "CMYK"}:
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def _from_16_bits(image: Image.Image) -> Image.Image:
    # Converting to L would clip at 255, and only I takes a table as long as this.
    wide = image.convert("I")
    grey = wide.point([(value * 255 + 32_767) // 65_535 for value in range(65_536)], "L")
    transparent: object = image.info.get("transparency")
    if isinstance(transparent, int):
        grey.putalpha(wide.point([0 if value == transparent else 255 for value in range(65_536)], "L"))
    return grey


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert to sRGB and out of CMYK; a profile that is broken or made for other channels counts as none."""
    colour = image.getchannel("L") if image.mode == "LA" else image
    converted = _by_profile(colour, profile) if profile else None
    if converted is None:
        return image.convert("RGB") if image.mode == "CMYK" else image
    if image.mode == "LA":
        return Image.merge("LA", [converted.convert("L"), image.getchannel("A")])
    return converted.convert("L") if image.mode == "L" else converted


def _by_profile(image: Image.Image, profile: bytes) -> Image.Image | None:
    intent, flags = ImageCms.Intent.RELATIVE_COLORIMETRIC, ImageCms.Flags.BLACKPOINTCOMPENSATION
    to_mode = "RGBA" if image.mode == "RGBA" else "RGB"
    try:
        own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        transform = ImageCms.buildTransform(own, ImageCms.createProfile("sRGB"), image.mode, to_mode, intent, flags)
        return ImageCms.applyTransform(image, transform)
    except (ImageCms.PyCMSError, *_DECODER_ERRORS):
        return None


def _write(picture: Image.Image, target: Target, image_format: ImageFormat, quality: int) -> int:
    if isinstance(target, Path):
        with target.open("wb") as stream:
            return _write(picture, stream, image_format, quality)
    if image_format == "jpeg" and picture.mode in {"LA", "RGBA"}:
        picture = _on_white(picture)
    counted = CountedStream(target)
    picture.save(cast("BinaryIO", counted), image_format, quality=quality)
    return counted.size


def _on_white(picture: Image.Image) -> Image.Image:
    mode, white = ("L", 255) if picture.mode == "LA" else ("RGB", (255, 255, 255))
    flat = Image.new(mode, picture.size, white)
    flat.paste(picture.convert(mode), mask=picture.getchannel("A"))
    return flat
