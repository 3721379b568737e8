"""Decoding a picture once, a JPEG at no more pixels than its renditions need.

libjpeg-turbo decodes at eighths of the size: 8 (whole), 4, 2 and 1 through `draft()`, and 3, which Pillow can but does
not offer. How many times the rendition's pixels a fraction must have for a loss below 0.15 dB was measured
(docs/decisions/0008-pictures-with-pillow.md): 3/8 takes the low frequencies of each block and loses least, the others
average neighbours.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageFile
from PIL.JpegImagePlugin import JpegImageFile

from worker.imaging.colours import continuous, to_srgb
from worker.imaging.opening import decoding
from worker.imaging.turning import stored_region, swapped, upright
from worker.rendition_layout import Layout, Size
from worker.renditions import ImageFacts

_LANCZOS, _SHARPER = Image.Resampling.LANCZOS, Image.Resampling.MKS2013
REDUCING_GAP = 3.0

EXACTING_GAP = 2.0
"""For a single size, and where quality is asked for."""
# Numerators of eighths, in libjpeg's terms the denominator, and the gap that keeps the loss of a cascade below 0.15 dB.
_FRACTIONS = ((1, 8, 1.75), (2, 4, 1.6), (3, 3, 1.25), (4, 2, 1.25))
_WHOLE, _TRUE_BLOCKS = 8, (3, 8)


@dataclass(frozen=True, slots=True)
class Decoded:
    """Is a picture as it is stored, turned and in its own colours, at some eighths of its size."""

    image: Image.Image
    eighths: int
    facts: ImageFacts
    profile: bytes | None

    def shrunk(self, layout: Layout) -> Image.Image:
        """Give a part of it at a displayed size, upright and in sRGB: both are cheaper on the smaller picture."""
        original = self.facts.width, self.facts.height
        region = stored_region(layout.region, original, self.facts.orientation)
        left, top, right, bottom = (edge * self.eighths / _WHOLE for edge in region)
        box = (left, top, min(right, self.image.width), min(bottom, self.image.height))
        smaller = self._resized(swapped(layout.content, self.facts.orientation), box)
        image = upright(to_srgb(smaller, self.profile), self.facts.orientation)
        # The encoders copy comments, profiles and transparency from here.
        image.info.clear()
        return image

    def _resized(self, size: Size, box: tuple[float, float, float, float]) -> Image.Image:
        if self.eighths in _TRUE_BLOCKS:
            return self.image.resize(size, _LANCZOS, box, REDUCING_GAP)
        # Averaging has dulled fine detail by up to a tenth. A sharper filter makes up for it; in both directions it
        # would be too much.
        across = self.image.resize(
            (size[0], self.image.height), _SHARPER, (box[0], 0, box[2], self.image.height), REDUCING_GAP
        )
        return across.resize(size, _LANCZOS, (0, box[1], size[0], box[3]), REDUCING_GAP)


def decode(image: ImageFile.ImageFile, facts: ImageFacts, layouts: Sequence[tuple[Layout, bool]]) -> Decoded:
    """Decode for renditions that are exacting or not; raises `ImageError`, and `OSError` when the disk fails."""
    with decoding():
        eighths = _draft(image, layouts) if isinstance(image, JpegImageFile) else _WHOLE
        image.load()
        profile: object = image.info.get("icc_profile")
        return Decoded(continuous(image), eighths, facts, profile if isinstance(profile, bytes) else None)


def _draft(image: JpegImageFile, layouts: Sequence[tuple[Layout, bool]]) -> int:
    for eighths, denominator, gap in _FRACTIONS:
        if all(
            eighths / _WHOLE >= layout.scale * (EXACTING_GAP if is_exacting else gap) for layout, is_exacting in layouts
        ):
            _decode_at(image, eighths, denominator)
            return eighths
    return _WHOLE


def _decode_at(image: JpegImageFile, eighths: int, denominator: int) -> None:
    # What draft() does. It knows powers of two only, but hands its number on to libjpeg, which takes 1/3 for 3/8.
    size = math.ceil(image.width * eighths / _WHOLE), math.ceil(image.height * eighths / _WHOLE)
    [tile] = image.tile
    image.tile = [tile._replace(extents=(0, 0, *size))]
    image._size = size  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - as draft() does
    image.decoderconfig = (denominator, 0)
