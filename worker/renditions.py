"""Renditions: what may be asked of a picture, how large it becomes, and what can be wrong with it. Decodes nothing."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Literal

ImageFormat = Literal["jpeg", "png", "webp"]
SourceFormat = Literal["jpeg", "png", "webp", "gif", "avif"]
Size = tuple[int, int]

MEDIA_TYPES: Mapping[SourceFormat, str] = MappingProxyType(
    {"jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp", "gif": "image/gif", "avif": "image/avif"}
)
_KEPT: Mapping[SourceFormat, ImageFormat] = MappingProxyType(
    {"jpeg": "jpeg", "png": "png", "webp": "webp", "gif": "png", "avif": "webp"}
)
_LONGEST_SIDE: Mapping[ImageFormat, int] = MappingProxyType({"jpeg": 65_500, "png": 2**31 - 1, "webp": 16_383})
_LONGEST_BOX = 65_500


class ImageError(ValueError):
    """Is the base of what can be wrong with a picture; `str(error)` is public, `code` is stable."""

    code: ClassVar[str] = "image_error"


class UnreadableImage(ImageError):
    """Says that a picture is broken, cut short or of a format that is not read."""

    code = "image_unreadable"


class ImageTooLarge(ImageError):
    """Says that a picture has more pixels than may be decoded."""

    code = "image_too_large"


class RenditionTooLarge(ImageError):
    """Says that a rendition would be longer than its format can hold."""

    code = "rendition_too_large"


@dataclass(frozen=True, slots=True)
class Rendition:
    """Is a bounding box in pixels, a format (None keeps the picture's own) and a quality from 1 to 100.

    Raises `ValueError` for a box without a side, or a side or quality out of range. PNG ignores the quality.
    """

    width: int | None
    height: int | None
    format: ImageFormat | None = None
    quality: int = 85

    def __post_init__(self) -> None:
        sides = [side for side in (self.width, self.height) if side is not None]
        if not sides:
            raise ValueError("a rendition needs a width, a height or both")
        if any(not 1 <= side <= _LONGEST_BOX for side in sides):
            raise ValueError(f"a rendition's side is from 1 to {_LONGEST_BOX} pixels")
        if not 1 <= self.quality <= 100:  # noqa: PLR2004 - the range that every encoder shares
            raise ValueError("a rendition's quality is from 1 to 100")

    def size_of(self, original: Size) -> Size:
        """Give the largest size inside the box with the original's proportions, each side at least 1 pixel.

        The side that touches the box is exact, the other is rounded half up. Never larger than the original.
        """
        width, height = original
        box_width = width if self.width is None else min(self.width, width)
        box_height = height if self.height is None else min(self.height, height)
        if box_width * height <= box_height * width:
            return box_width, max(1, (2 * height * box_width + width) // (2 * width))
        return max(1, (2 * width * box_height + height) // (2 * height)), box_height

    def format_of(self, source: SourceFormat) -> ImageFormat:
        """Give the format to write: the one asked for, else the picture's own; GIF becomes PNG and AVIF WebP."""
        return self.format or _KEPT[source]


@dataclass(frozen=True, slots=True)
class RenderedImage:
    """Is a rendition that was written: `width` and `height` in pixels, `size` in bytes."""

    width: int
    height: int
    format: ImageFormat
    media_type: str
    size: int


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """Is what a picture's header says: `width` and `height` as displayed, that is after its EXIF orientation.

    `mode` is the decoder's name for the pixels (`RGB`, `P`, `I;16` …), `orientation` is from 1 to 8, `frames` counts an
    animation's, `taken_at` is the camera's local time in ISO 8601 without a zone, which EXIF does not give.
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
class PlannedRendition:
    """Is what one rendition becomes for one picture; `index` is its place among those asked for."""

    index: int
    size: Size
    format: ImageFormat
    quality: int


def plan(renditions: Sequence[Rendition], facts: ImageFacts) -> list[PlannedRendition]:
    """Give what each rendition becomes, the largest first.

    Raises `RenditionTooLarge` when a format cannot hold its rendition's size.
    """
    planned = [
        PlannedRendition(index, each.size_of((facts.width, facts.height)), each.format_of(facts.format), each.quality)
        for index, each in enumerate(renditions)
    ]
    for each in planned:
        limit = _LONGEST_SIDE[each.format]
        if max(each.size) > limit:
            width, height = each.size
            raise RenditionTooLarge(f"{width} by {height} pixels: a side of a {each.format} has {limit} at most")
    return sorted(planned, key=lambda each: math.prod(each.size), reverse=True)
