"""How near a rendition is to the best that 8 bits and the same encoder can do.

The reference is Lanczos over all pixels of the photograph in floating point, each channel for itself. Its own distance
from what comes out of the encoder is what any rendition has to live with; a rendition's loss is what it has beyond.
"""

import io
import math
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from PIL import Image, ImageMath

_WHITE = 255.0


class Reference:
    """Is a photograph at one width, in floating point."""

    def __init__(self, channels: Sequence[Image.Image], width: int, quality: int) -> None:
        size = width, (2 * channels[0].height * width + channels[0].width) // (2 * channels[0].width)
        self._planes = [_clipped(channel.resize(size, Image.Resampling.LANCZOS)) for channel in channels]
        self._encoded_psnr = self._psnr(self._encode(quality))

    def loss(self, rendition: Path) -> float:
        """Tell how many dB a rendition lies above (below: negative) the reference that went through the encoder."""
        with Image.open(rendition) as picture:
            return self._psnr(picture) - self._encoded_psnr

    def _encode(self, quality: int) -> Image.Image:
        # Converting cuts fractions off.
        whole = [ImageMath.lambda_eval(lambda args: args["plane"] + 0.5, plane=plane) for plane in self._planes]
        output = io.BytesIO()
        Image.merge("RGB", [plane.convert("L") for plane in whole]).save(output, "JPEG", quality=quality)
        return Image.open(output)

    def _psnr(self, picture: Image.Image) -> float:
        if picture.size != self._planes[0].size:
            raise ValueError(f"the rendition is {picture.size}, the reference {self._planes[0].size}")
        channels = picture.convert("RGB").split()
        errors = [_mean_square(*each) for each in zip(channels, self._planes, strict=True)]
        return 10 * math.log10(_WHITE**2 / fmean(errors))


def float_channels(photo: Path) -> list[Image.Image]:
    """Decode all pixels of a photograph, each channel in floating point."""
    with Image.open(photo) as picture:
        return [channel.convert("F") for channel in picture.convert("RGB").split()]


def _clipped(plane: Image.Image) -> Image.Image:
    # Lanczos overshoots at edges; no file can hold that.
    return ImageMath.lambda_eval(lambda args: args["max"](args["min"](args["plane"], _WHITE), 0.0), plane=plane)


def _mean_square(channel: Image.Image, plane: Image.Image) -> float:
    squares = ImageMath.lambda_eval(
        lambda args: (args["channel"] - args["plane"]) ** 2, channel=channel.convert("F"), plane=plane
    )
    # The box filter over everything is the mean, in double precision.
    mean = squares.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    return float(mean)
