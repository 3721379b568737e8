"""Renditions: what may be asked of a picture, what is told of it, and what can be wrong with it. Decodes nothing."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Literal

from shared.rendition import Fit, Gravity
from worker.rendition_layout import Layout, Size, lay_out

ImageFormat = Literal["jpeg", "png", "webp", "avif"]
SourceFormat = Literal["jpeg", "png", "webp", "avif", "gif", "heic"]

MEDIA_TYPES: Mapping[SourceFormat, str] = MappingProxyType(
    {
        "jpeg": "image/jpeg",
        "png": "image/png",
        "webp": "image/webp",
        "avif": "image/avif",
        "gif": "image/gif",
        "heic": "image/heic",
    }
)
DEFAULT_QUALITY: Mapping[ImageFormat, int] = MappingProxyType({"jpeg": 85, "png": 100, "webp": 80, "avif": 65})
"""What looks much the same to the eye; PNG loses nothing at any."""

_KEPT: Mapping[SourceFormat, ImageFormat] = MappingProxyType(
    {"jpeg": "jpeg", "png": "png", "webp": "webp", "avif": "avif", "gif": "png", "heic": "jpeg"}
)
_BACKGROUND = re.compile(r"#[0-9a-fA-F]{6}([0-9a-fA-F]{2})?")
_LONGEST_BOX = 65_500
_NEED_BOTH_SIDES = ("cover", "pad", "exact")


class ImageError(ValueError):
    """Is the base of what can be wrong with a picture; `str(error)` is public, `code` is stable."""

    code: ClassVar[str] = "image_error"


class UnreadableImage(ImageError):
    """Says that a picture is broken, cut short or of a format that is not read."""

    code = "image_unreadable"


class ImageTooLarge(ImageError):
    """Says that a picture has more pixels than may be decoded, or needs more memory than there is for it."""

    code = "image_too_large"


class ImageFileTooLarge(ImageError):
    """Says that a picture's file has too many bytes."""

    code = "image_file_too_large"


class ImageTooManyFrames(ImageError):
    """Says that an animation has too many frames."""

    code = "image_too_many_frames"


class ImageTooManyScans(ImageError):
    """Says that a JPEG goes over its pixels too often."""

    code = "image_too_many_scans"


class ImageMetadataTooLarge(ImageError):
    """Says that a picture carries too much beside its pixels, or in too many pieces."""

    code = "image_metadata_too_large"


class RenditionTooLarge(ImageError):
    """Says that a rendition has more pixels than may be made, or a longer side than its format can hold."""

    code = "rendition_too_large"


class RenditionNotEncoded(ImageError):
    """Says that an encoder refused a rendition."""

    code = "rendition_not_encoded"


@dataclass(frozen=True, slots=True)
class Rendition:
    """Is what is asked for: a box in pixels, how the picture fits it, and how it is written.

    - `inside`: the whole picture within the box, of which one side is enough.
    - `cover`: the box filled; what lies outside of it is cut off, and `gravity` says what stays.
    - `pad`: as `inside`, on a canvas of exactly the box in the colour of `background`; `gravity` says where.
    - `exact`: the whole picture stretched to the box.

    Without `enlarge` no pixel is made of less than a pixel of the original. Where the box is larger, `inside` and `pad`
    take the picture at its own size (the canvas of `pad` is the box all the same), while `cover` and `exact` give the
    largest picture of the box's proportions that fits into the original: 300 by 200 of 150 by 150 is 150 by 100.

    `format` None keeps the picture's own; GIF becomes PNG and HEIC JPEG. `quality` is from 1 to 100 (None: by format);
    PNG ignores it, and from 90 on more of the original is decoded. `background` is `#rrggbb` or `#rrggbbaa`; JPEG has
    no alpha and takes the colour as opaque.
    Raises `ValueError` for a side that is missing or out of range, and for a quality or background that is none.
    """

    width: int | None
    height: int | None
    fit: Fit = "inside"
    gravity: Gravity = "center"
    format: ImageFormat | None = None
    quality: int | None = None
    progressive: bool = False
    background: str = "#ffffff"
    enlarge: bool = False

    def __post_init__(self) -> None:
        sides = [side for side in (self.width, self.height) if side is not None]
        if not sides:
            raise ValueError("a rendition needs a width, a height or both")
        if self.fit in _NEED_BOTH_SIDES and None in (self.width, self.height):
            raise ValueError(f"{self.fit} needs a width and a height")
        if any(not 1 <= side <= _LONGEST_BOX for side in sides):
            raise ValueError(f"a rendition's side is from 1 to {_LONGEST_BOX} pixels")
        if self.quality is not None and not 1 <= self.quality <= 100:  # noqa: PLR2004 - the range of every encoder
            raise ValueError("a rendition's quality is from 1 to 100")
        if not _BACKGROUND.fullmatch(self.background):
            raise ValueError("a background is #rrggbb or #rrggbbaa")

    def layout_of(self, original: Size) -> Layout:
        """Work out which part of an original becomes how many pixels, and where they lie."""
        return lay_out(original, self.width, self.height, self.fit, self.gravity, enlarge=self.enlarge)

    def size_of(self, original: Size) -> Size:
        """Give the size of what is written for an original of this size as displayed."""
        return self.layout_of(original).canvas

    def format_of(self, source: SourceFormat) -> ImageFormat:
        """Give the format to write: the one asked for, else the picture's own or what comes nearest."""
        return self.format or _KEPT[source]

    def quality_in(self, image_format: ImageFormat) -> int:
        """Give the quality to write with: the one asked for, else the format's default."""
        return self.quality or DEFAULT_QUALITY[image_format]


@dataclass(frozen=True, slots=True)
class RenderedImage:
    """Is a rendition that was written: `width` and `height` in pixels, `size` in bytes."""

    width: int
    height: int
    format: ImageFormat
    media_type: str
    size: int


@dataclass(frozen=True, slots=True)
class RenditionFailure:
    """Says why a rendition could not be made though the picture is fine; what its target holds is worth nothing.

    `code` and `detail` are those of `RenditionTooLarge` or `RenditionNotEncoded`; both are public.
    """

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """Is what a picture's header says: `width` and `height` as displayed, that is after its EXIF orientation.

    `mode` is the decoder's name for the pixels (`RGB`, `P`, `I;16` …), `orientation` is from 1 to 8, `frames` counts an
    animation's (1 for a HEIC, whatever pictures are in it), `taken_at` is the camera's local time in ISO 8601 without a
    zone, which EXIF does not give.
    """

    width: int
    height: int
    format: SourceFormat
    media_type: str
    mode: str
    orientation: int
    has_alpha: bool
    frames: int
    taken_at: str | None


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """Is how much of a picture is decoded, and how much is made of it; the defaults fit a worker's child of 2 GiB.

    All is counted before pixels are decoded: `bytes` first; `frames`, `scans` and `metadata_bytes` by walking the file,
    but of AVIF and HEIC when their library has opened it; `pixels` from the opened header; `output_pixels` last.

    - `pixels`: 60 megapixels, above what phones and nearly all cameras write; they take 240 MB, up to 1 GB in between.
    - `frames`: of an animation, though only its first is decoded: what has more is a film. Of a HEIC its pictures, of
      which only the primary one is used.
    - `scans`: of a JPEG. Progressive ones have 10 or so, and each goes over all pixels again.
    - `metadata_bytes`: all there is beside the pixels; of AVIF and HEIC the EXIF, XMP and ICC profile of the picture
      that is used. Depth maps and the like in XMP take a few megabytes.
    - `output_pixels`: of all renditions together: the original's size once, and two thirds of it in smaller ones.
    - `bytes`: of the file. WebP, AVIF and HEIC are held in memory whole.
    """

    pixels: int = 60_000_000
    frames: int = 1_000
    scans: int = 64
    metadata_bytes: int = 16 * 1024 * 1024
    output_pixels: int = 100_000_000
    bytes: int = 256 * 1024 * 1024
