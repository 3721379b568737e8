"""Judges renditions by their pixels, with Pillow alone: size, uprightness, transparency, nothing left of the EXIF."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image, ImageChops, ImageCms, ImageOps, ImageStat

from ops.demo_failure import DemoFailed

Box = Mapping[str, str | int]

BOXES: Sequence[Box] = (
    {"width": 640, "height": 640, "format": "jpeg", "quality": 85},
    {"width": 320, "height": 320, "format": "webp", "quality": 80},
    {"width": 96, "height": 96, "format": "png"},
)
"""The three renditions that are made of every picture."""

_TURNED_BY_EXIF = 6
# Of 255, averaged over all pixels. Encoding costs below 4; a picture turned wrongly is above 12.
_MOST_DIFFERENCE = 6.0
_METADATA = ("exif", "xmp", "icc_profile", "comment", "Raw profile type exif", "XML:com.adobe.xmp")


@dataclass(frozen=True)
class Original:
    """Is a sample as a viewer shows it: `upright` in sRGB, `orientation` as its EXIF says."""

    path: Path
    upright: Image.Image
    orientation: int

    @property
    def has_alpha(self) -> bool:
        """Whether a part of it is transparent."""
        return self.upright.mode == "RGBA"


def read_originals(directory: Path) -> list[Original]:
    """Read the samples.

    Raises DemoFailed unless one is turned by its EXIF and one is transparent: otherwise too little would be shown.
    """
    originals = [_read(path) for path in sorted(directory.glob("*.*")) if path.suffix in {".jpg", ".png"}]
    if not any(original.orientation == _TURNED_BY_EXIF for original in originals):
        raise DemoFailed(f"no photograph with EXIF orientation {_TURNED_BY_EXIF} in {directory}")
    if not any(original.has_alpha for original in originals):
        raise DemoFailed(f"no picture with transparency in {directory}")
    return originals


def check_rendition(original: Original, box: Box, made: Path, said: tuple[int, int]) -> None:
    """Compare one rendition with what was ordered, and its size with what was `said`. Raises DemoFailed."""
    with Image.open(made) as image:
        image.load()
        if image.format != str(box["format"]).upper():
            raise DemoFailed(f"{made.name} is a {image.format}, not a {box['format']}")
        if image.size != said:
            raise DemoFailed(f"{made.name} is {image.width} x {image.height}, its job says {said[0]} x {said[1]}")
        _check_size(original, box, image, made.name)
        _check_metadata(image, made.name)
        _check_alpha(original, image, made.name)
        _check_pixels(original, image, made.name)


def _read(path: Path) -> Original:
    with Image.open(path) as image:
        orientation = int(image.getexif().get(ExifTags.Base.Orientation, 1))
        upright = ImageOps.exif_transpose(image)
        profile: bytes | None = image.info.get("icc_profile")
    transparent = upright.has_transparency_data
    if profile is not None:
        own, srgb = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
        upright = ImageCms.profileToProfile(upright, own, srgb) or upright
    upright = upright.convert("RGBA" if transparent else "RGB")
    # A profile left here would go with every copy, and be applied twice.
    upright.info.clear()
    return Original(path, upright, orientation)


def _check_size(original: Original, box: Box, image: Image.Image, name: str) -> None:
    width, height = original.upright.size
    scale = min(Fraction(int(box["width"]), width), Fraction(int(box["height"]), height), Fraction(1))
    # Exact proportions would need parts of pixels: a side may be off by the half pixel of its rounding, and no more.
    for side, whole in zip(image.size, (width, height), strict=True):
        if abs(side - whole * scale) > Fraction(1, 2):
            raise DemoFailed(f"{name} is {image.width} x {image.height}: {width} x {height} in {box} is something else")


def _check_metadata(image: Image.Image, name: str) -> None:
    left = [key for key in _METADATA if key in image.info]
    if left or len(image.getexif()):
        raise DemoFailed(f"{name} still has metadata: {', '.join(left) or 'exif'}")


def _check_alpha(original: Original, image: Image.Image, name: str) -> None:
    expected = original.has_alpha and image.format != "JPEG"
    if image.has_transparency_data != expected:
        raise DemoFailed(f"{name} has {'lost its' if expected else 'got'} transparency")
    if expected:
        lowest, highest = image.convert("RGBA").getchannel("A").getextrema()
        if (lowest, highest) != (0, 255):
            raise DemoFailed(f"{name} has alpha from {lowest} to {highest}: its cut-out is gone")


def _check_pixels(original: Original, image: Image.Image, name: str) -> None:
    """Compare with the upright original in each of the four turns: the upright one must be the nearest, and near."""
    differences = {
        angle: _difference(original.upright.rotate(angle, expand=True).resize(image.size), image)
        for angle in (0, 90, 180, 270)
    }
    nearest = min(differences, key=lambda angle: differences[angle])
    if nearest:
        raise DemoFailed(f"{name} is turned by {nearest} degrees")
    if differences[0] > _MOST_DIFFERENCE:
        raise DemoFailed(f"{name} does not look like its original: it is off by {differences[0]:.1f} of 255 on average")


def _difference(one: Image.Image, other: Image.Image) -> float:
    mean: list[Any] = ImageStat.Stat(ImageChops.difference(_on_white(one), _on_white(other))).mean
    return float(sum(mean) / len(mean))


def _on_white(image: Image.Image) -> Image.Image:
    cut_out = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), cut_out).convert("RGB")
