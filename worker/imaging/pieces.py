"""Counting what a file is made of, before any decoder sees it."""

from dataclasses import dataclass
from typing import BinaryIO

from worker.renditions import ImageLimits, ImageMetadataTooLarge, ImageTooManyFrames, ImageTooManyScans

MOST_SEGMENTS = 4_096
"""Of what is neither pixels nor long. An ICC profile has 255 at most, a megabyte of XMP 16."""
MOST_BLOCKS = 1_000_000
"""Of pixels: more than 256 MB have in any encoder's usual blocks, and counted within a second."""

MOST_PADDING_BYTES = 65_536
"""Between segments, where there is hardly ever any."""


@dataclass(slots=True)
class Pieces:
    """Counts a file's pieces and raises the limits' errors as soon as there are too many."""

    limits: ImageLimits
    segments: int = 0
    metadata_bytes: int = 0
    padding_bytes: int = 0
    blocks: int = 0
    scans: int = 0
    frames: int = 0

    def add_segment(self, size: int = 0) -> None:
        """Count something beside the pixels, `size` bytes of it."""
        self.segments += 1
        self.metadata_bytes += size
        if self.metadata_bytes > self.limits.metadata_bytes:
            limit = f"{self.limits.metadata_bytes:,}"
            raise ImageMetadataTooLarge(f"the picture has more than {limit} bytes of metadata")
        if self.segments > MOST_SEGMENTS:
            raise ImageMetadataTooLarge(f"the picture is made of more than {MOST_SEGMENTS:,} segments")

    def add_padding(self, size: int) -> None:
        """Count bytes between segments, which Pillow passes by one at a time."""
        self.padding_bytes += size
        if self.padding_bytes > MOST_PADDING_BYTES:
            raise ImageMetadataTooLarge(f"the picture has more than {MOST_PADDING_BYTES:,} bytes of padding")

    def add_block(self) -> None:
        """Count a block of compressed pixels, or what holds some and may be empty."""
        self.blocks += 1
        if self.blocks > MOST_BLOCKS:
            raise ImageMetadataTooLarge(f"the picture is made of more than {MOST_BLOCKS:,} blocks")

    def add_scan(self) -> None:
        """Count a JPEG's scan."""
        self.scans += 1
        if self.scans > self.limits.scans:
            raise ImageTooManyScans(f"the picture has more than {self.limits.scans:,} scans")

    def add_frames(self, count: int = 1) -> None:
        """Count frames of an animation, or pictures of a collection."""
        self.frames += count
        if self.frames > self.limits.frames:
            raise ImageTooManyFrames(f"the picture has more than {self.limits.frames:,} frames")


def skip(stream: BinaryIO, size: int) -> None:
    """Go on `size` bytes; the end of the file may be passed, and shows at the next reading."""
    stream.seek(size, 1)
