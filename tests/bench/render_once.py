"""Makes the renditions of one picture in one of the ways, and measures it: `python -m tests.bench.render_once`.

It is a process of its own because memory that was freed is not always given back, and because libvips has threads.
"""

import importlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from tests.bench.memory import PeakMemory
from tests.bench.naive.pictures import make_renditions
from worker import imaging
from worker.renditions import Rendition

Way = Callable[[Path, Sequence[int], Sequence[Path]], None]

QUALITY = 85


def _jobyard(source: Path, widths: Sequence[int], targets: Sequence[Path]) -> None:
    renditions = [
        Rendition(width=width, height=None, format="jpeg", quality=QUALITY, progressive=False) for width in widths
    ]
    imaging.render(source, renditions, list(targets), lambda _: None)


def _libvips(source: Path, widths: Sequence[int], targets: Sequence[Path]) -> None:
    """Decode once, through shrink-on-load; each smaller size comes from the larger one, in memory."""
    vips = _pyvips()
    original = vips.Image.new_from_file(str(source), access="sequential")
    picture: Any = None
    for width, target in zip(widths, targets, strict=True):
        # Left to itself it keeps the exact scale, and is up to half a pixel row off the reference.
        box = {"height": (2 * original.height * width + original.width) // (2 * original.width), "size": "force"}
        if picture is None:
            picture = vips.Image.thumbnail(str(source), width, **box).copy_memory()
        else:
            picture = picture.thumbnail_image(width, **box).copy_memory()
        picture.jpegsave(str(target), Q=QUALITY, keep="none")


def _pyvips() -> Any:
    # Not an import statement: only `make bench` installs it, but `make lint` reads this file.
    return importlib.import_module("pyvips")


WAYS: dict[str, Way] = {
    "guide": make_renditions,
    "libvips": _libvips,
    "jobyard": _jobyard,
}


def main(name: str, source: str, *pairs: str) -> None:
    """Print the CPU seconds and the growth of memory in MB as JSON; `pairs` are targets and their widths."""
    targets, widths = [Path(each) for each in pairs[::2]], [int(each) for each in pairs[1::2]]
    way = WAYS[name]
    _warm_up(way)
    memory = PeakMemory(os.getpid())
    began = time.process_time()
    way(Path(source), widths, targets)
    print(json.dumps([time.process_time() - began, memory.growth()]))


def _warm_up(way: Way) -> None:
    # A worker's child has its codecs loaded after its first picture.
    with tempfile.TemporaryDirectory() as name:
        small = Path(name, "small.jpg")
        Image.linear_gradient("L").convert("RGB").save(small)
        way(small, [128, 64, 16], [Path(name, f"{number}.jpg") for number in range(3)])


if __name__ == "__main__":
    main(*sys.argv[1:])
