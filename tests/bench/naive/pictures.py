"""The guide's way with pictures (its section 9.1): whole files in memory, and a request for each size.

Unlike the guide's it names the format: `image.format` is None after `resize()`, and its save raises.
"""

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image


def make_renditions(source: Path, widths: Sequence[int], targets: Sequence[Path]) -> None:
    """Write a JPEG of each width."""
    for width, target in zip(widths, targets, strict=True):
        image = Image.open(io.BytesIO(source.read_bytes()))
        height = round(image.height * width / image.width)
        resized = image.resize((width, height), Image.Resampling.LANCZOS)
        output = io.BytesIO()
        resized.save(output, format="JPEG", quality=85)
        target.write_bytes(output.getvalue())
