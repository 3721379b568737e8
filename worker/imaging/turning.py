"""Orientations: how a picture is stored, and how it is displayed."""

from PIL import Image
from PIL.Image import Transpose

from worker.rendition_layout import Region, Size

_UPRIGHT = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
ORIENTATIONS = frozenset({1, *_UPRIGHT})
_SIDEWAYS = frozenset({5, 6, 7, 8})
_RIGHT_TO_LEFT = frozenset({2, 3, 6, 7})
_BOTTOM_TO_TOP = frozenset({3, 4, 7, 8})


def swapped(size: Size, orientation: int) -> Size:
    """Give a displayed size as stored, or a stored one as displayed."""
    return (size[1], size[0]) if orientation in _SIDEWAYS else size


def upright(image: Image.Image, orientation: int) -> Image.Image:
    """Turn a stored picture as it is displayed."""
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


def stored_region(region: Region, displayed: Size, orientation: int) -> Region:
    """Give the place in the stored picture of a part of the displayed one."""
    left, top, right, bottom = region
    if orientation in _RIGHT_TO_LEFT:
        left, right = displayed[0] - right, displayed[0] - left
    if orientation in _BOTTOM_TO_TOP:
        top, bottom = displayed[1] - bottom, displayed[1] - top
    return (top, left, bottom, right) if orientation in _SIDEWAYS else (left, top, right, bottom)
