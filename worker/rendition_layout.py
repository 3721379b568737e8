"""Where a rendition's pixels come from and where they go: sizes in whole pixels, each rounded once, half up."""

from dataclasses import dataclass

from shared.rendition import Fit, Gravity

Size = tuple[int, int]
Region = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Layout:
    """Is what one rendition becomes of one picture.

    `region` (left, top, right, bottom) is the part of the original as displayed that is shrunk to `content` pixels;
    that lies at `offset` on a canvas of `canvas` pixels, the size of what is written.
    """

    region: Region
    content: Size
    canvas: Size
    offset: tuple[int, int]

    @property
    def scale(self) -> float:
        """The larger of what both sides are multiplied by, without what rounding up adds to them at most."""
        left, top, right, bottom = self.region
        return max((self.content[0] - 0.5) / (right - left), (self.content[1] - 0.5) / (bottom - top))


def lay_out(
    original: Size, width: int | None, height: int | None, fit: Fit, gravity: Gravity, *, enlarge: bool
) -> Layout:
    """Work out a rendition of an original; `width` and `height` are the box, of which `inside` needs one side only.

    Unless `enlarge`, no pixel is made of less than a pixel of the original: where the box is larger, `inside` and `pad`
    take the original's size, and `cover` and `exact` the largest size of the box's proportions that it has pixels for.
    """
    whole: Region = (0.0, 0.0, float(original[0]), float(original[1]))
    if fit in {"cover", "exact"} and width and height:
        content = (width, height) if enlarge else inside((width, height), *original)
        region = _cut(original, (width, height), gravity) if fit == "cover" else whole
        return Layout(region, content, content, (0, 0))
    content = inside(original, width, height, enlarge=enlarge)
    if fit == "pad" and width and height:
        offset = _placed((width - content[0], height - content[1]), gravity)
        return Layout(whole, content, (width, height), (int(offset[0]), int(offset[1])))
    return Layout(whole, content, content, (0, 0))


def inside(original: Size, width: int | None, height: int | None, *, enlarge: bool = False) -> Size:
    """Give the largest size inside a box with the original's proportions, each side at least 1 pixel.

    The side that touches the box is exact, the other is rounded half up.
    """
    own_width, own_height = original
    if width is None and height is None:
        return original
    if not enlarge:
        width = min(width or own_width, own_width)
        height = min(height or own_height, own_height)
    if height is None or (width is not None and width * own_height <= height * own_width):
        assert width is not None  # noqa: S101 - one of both is there
        return width, max(1, (2 * own_height * width + own_width) // (2 * own_width))
    return max(1, (2 * own_width * height + own_height) // (2 * own_height)), height


def _cut(original: Size, box: Size, gravity: Gravity) -> Region:
    """Give the largest part of the original that has the box's proportions, to a fraction of a pixel."""
    width, height = original
    if box[0] * height <= box[1] * width:
        cut = box[0] * height / box[1], float(height)
    else:
        cut = float(width), box[1] * width / box[0]
    left, top = _placed((width - cut[0], height - cut[1]), gravity)
    return left, top, left + cut[0], top + cut[1]


def _placed(room: tuple[float, float], gravity: Gravity) -> tuple[float, float]:
    across = 0.0 if "west" in gravity else 1.0 if "east" in gravity else 0.5
    down = 0.0 if "north" in gravity else 1.0 if "south" in gravity else 0.5
    return room[0] * across, room[1] * down
