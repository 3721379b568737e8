"""Colours: pixels that may be averaged, and their way to sRGB."""

import io

from PIL import Image, ImageCms

from worker.imaging.opening import DECODER_ERRORS


def continuous(image: Image.Image) -> Image.Image:
    """Give a picture whose pixels may be averaged: 8 bits a channel, no palette, transparency as a channel."""
    if image.mode.startswith("I"):
        return _from_16_bits(image)
    if image.has_transparency_data:
        return image.convert("LA" if image.mode in {"1", "L", "LA"} else "RGBA")
    if image.mode in {"L", "RGB", "CMYK"}:
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert to sRGB and out of CMYK; a profile that is broken or made for other channels counts as none."""
    colour = image.getchannel("L") if image.mode == "LA" else image
    converted = _by_profile(colour, profile) if profile else None
    if converted is None:
        return image.convert("RGB") if image.mode == "CMYK" else image
    if image.mode == "LA":
        return Image.merge("LA", [converted.convert("L"), image.getchannel("A")])
    return converted.convert("L") if image.mode == "L" else converted


def _from_16_bits(image: Image.Image) -> Image.Image:
    # Converting to L would clip at 255, and only I takes a table as long as this.
    wide = image.convert("I")
    grey = wide.point([(value * 255 + 32_767) // 65_535 for value in range(65_536)], "L")
    transparent: object = image.info.get("transparency")
    if isinstance(transparent, int):
        grey.putalpha(wide.point([0 if value == transparent else 255 for value in range(65_536)], "L"))
    return grey


def _by_profile(image: Image.Image, profile: bytes) -> Image.Image | None:
    intent, flags = ImageCms.Intent.RELATIVE_COLORIMETRIC, ImageCms.Flags.BLACKPOINTCOMPENSATION
    to_mode = "RGBA" if image.mode == "RGBA" else "RGB"
    try:
        own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        transform = ImageCms.buildTransform(own, ImageCms.createProfile("sRGB"), image.mode, to_mode, intent, flags)
        return ImageCms.applyTransform(image, transform)
    except (ImageCms.PyCMSError, *DECODER_ERRORS):
        return None
