"""Photographs of any size, made from the samples: their detail, enlarged and mirrored, with the noise of a sensor."""

import random
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

from PIL import Image, ImageOps
from PIL.Image import Transpose

from ops.paths import ROOT, VAR

PHOTOS = VAR / "bench" / "photos"
SIZES = {12: (4000, 3000), 24: (6000, 4000), 48: (8000, 6000)}
"""Pixels by megapixels."""

_SAMPLES = ROOT / "jobyard" / "samples"
_TILE = (1000, 1000)
_SEED = 4
# Uniform noise in this share has a standard deviation of 3.7 of 255: a small sensor's in daylight.
_NOISE_SHARE = 0.05
_QUALITY = 90


def photo(megapixels: int) -> Path:
    """Give the path of a photograph, which is made once and then kept."""
    path = PHOTOS / f"{megapixels}-megapixels.jpg"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        make_photo(SIZES[megapixels]).save(unfinished, "JPEG", quality=_QUALITY, subsampling="4:2:0")
        unfinished.replace(path)
    return path


def make_photo(size: tuple[int, int]) -> Image.Image:
    """Make a picture, the same one every time; it has neither profile nor EXIF, which not all rivals would heed."""
    picture = Image.new("RGB", size)
    tiles = _tiles()
    for top in range(0, size[1], _TILE[1]):
        for left in range(0, size[0], _TILE[0]):
            picture.paste(next(tiles), (left, top))
    return Image.blend(picture, _noise(size), _NOISE_SHARE)


def _tiles() -> Iterator[Image.Image]:
    paths = sorted(path for path in _SAMPLES.iterdir() if path.suffix in {".jpg", ".png"})
    tiles = [ImageOps.fit(Image.open(path).convert("RGB"), _TILE, Image.Resampling.LANCZOS) for path in paths]
    # The second time around all are mirrored, the third time turned, and so on.
    turns = (Transpose.FLIP_LEFT_RIGHT, Transpose.ROTATE_90, Transpose.FLIP_TOP_BOTTOM)
    return cycle([*tiles, *(tile.transpose(turn) for turn in turns for tile in tiles)])


def _noise(size: tuple[int, int]) -> Image.Image:
    # In bands: a whole picture's worth of bytes at once would be no problem for the memory, but for the generator.
    source = random.Random(_SEED)  # noqa: S311 - the same noise every time is the point
    noise = Image.new("RGB", size)
    for top in range(0, size[1], _TILE[1]):
        band = (size[0], min(_TILE[1], size[1] - top))
        noise.paste(Image.frombytes("RGB", band, source.randbytes(3 * band[0] * band[1])), (0, top))
    return noise
