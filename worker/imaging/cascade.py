"""The cascade: each size is made from the smallest picture at hand that is large enough and shows enough."""

from dataclasses import dataclass, field

from PIL import Image

from worker.imaging.decoding import REDUCING_GAP, Decoded
from worker.rendition_layout import Layout, Region

# From a picture of which all pixels are real, Lanczos loses 0.01 dB at this gap, and 0.04 at 1.25.
_GAP = 1.5


@dataclass(frozen=True, slots=True)
class Cascade:
    """Makes pictures for layouts that come largest first, and keeps them for those to come."""

    decoded: Decoded
    _done: list[tuple[Region, Image.Image]] = field(default_factory=list[tuple[Region, Image.Image]])

    def picture(self, layout: Layout) -> Image.Image:
        """Give the content of a layout; it is kept, so it must not be changed."""
        for region, larger in reversed(self._done):
            if region == layout.region and larger.size == layout.content:
                return larger
            if (box := _box_in(larger, region, layout)) is not None:
                made = larger.resize(layout.content, Image.Resampling.LANCZOS, box, REDUCING_GAP)
                break
        else:
            made = self.decoded.shrunk(layout)
        self._done.append((layout.region, made))
        return made


def _box_in(larger: Image.Image, shown: Region, layout: Layout) -> Region | None:
    """Give where a picture holds a layout's region, if it does and has pixels enough there."""
    wanted = layout.region
    if wanted[0] < shown[0] or wanted[1] < shown[1] or wanted[2] > shown[2] or wanted[3] > shown[3]:
        return None
    across, down = larger.width / (shown[2] - shown[0]), larger.height / (shown[3] - shown[1])
    left, top = (wanted[0] - shown[0]) * across, (wanted[1] - shown[1]) * down
    right, bottom = (wanted[2] - shown[0]) * across, (wanted[3] - shown[1]) * down
    if right - left < _GAP * layout.content[0] or bottom - top < _GAP * layout.content[1]:
        return None
    return left, top, min(right, larger.width), min(bottom, larger.height)
