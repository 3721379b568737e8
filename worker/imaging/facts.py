"""What a picture's header says, and whether that is within the limits."""

import math
from collections.abc import Callable
from datetime import datetime
from typing import BinaryIO

from PIL import ExifTags, Image, ImageFile

from worker.imaging.block_walks import walk_gif, walk_png, walk_webp
from worker.imaging.jpeg_walk import walk_jpeg
from worker.imaging.opening import DECODER_ERRORS, FORMATS, Source, decoding, opened, stream_of
from worker.imaging.pieces import Pieces
from worker.imaging.turning import ORIENTATIONS, swapped
from worker.renditions import MEDIA_TYPES, ImageFacts, ImageFileTooLarge, ImageLimits, ImageTooLarge

_ANY_NUMBER = 2**63
# To tell what a picture is, nothing is decoded; but all metadata are read, and every piece is counted.
_INSPECTION = ImageLimits(pixels=_ANY_NUMBER, frames=_ANY_NUMBER, scans=_ANY_NUMBER, bytes=_ANY_NUMBER)

_WALKS: tuple[tuple[bytes, Callable[[BinaryIO, Pieces], None]], ...] = (
    (b"\xff\xd8\xff", walk_jpeg),
    (b"\x89PNG\r\n\x1a\n", walk_png),
    (b"GIF8", walk_gif),
    (b"RIFF", walk_webp),
)
# Boxes in boxes, which only their libraries read; that decodes nothing yet.
_NOT_WALKED = frozenset({"avif", "heic"})
_METADATA = ("exif", "xmp", "icc_profile")


def inspect_image(source: Source, limits: ImageLimits = _INSPECTION) -> ImageFacts:
    """Read a picture's facts without decoding its pixels; a stream is left open.

    Raises `UnreadableImage`, `ImageTooLarge` above 178 megapixels, `ImageMetadataTooLarge` above 16 MiB unless other
    limits are given, then all that `render` raises from the header; and `OSError` when the disk fails.
    """
    with stream_of(source) as stream:
        pieces = count_pieces(stream, limits)
        with opened(stream) as image:
            return checked_facts(image, pieces)


def count_pieces(stream: BinaryIO, limits: ImageLimits) -> Pieces:
    """Count what a file is made of, in bounded time and memory; the stream is at its beginning again afterwards.

    Of AVIF and HEIC only the bytes are counted; the rest is when they are open.
    Raises `ImageFileTooLarge`, `ImageTooManyFrames`, `ImageTooManyScans` and `ImageMetadataTooLarge`.
    """
    size = stream.seek(0, 2)
    if size > limits.bytes:
        raise ImageFileTooLarge(f"the file has {size:,} bytes; at most {limits.bytes:,} are read")
    stream.seek(0)
    head, pieces = stream.read(16), Pieces(limits)
    stream.seek(0)
    for signature, walk in _WALKS:
        if head.startswith(signature):
            with decoding():
                walk(stream, pieces)
            stream.seek(0)
    return pieces


def checked_facts(image: ImageFile.ImageFile, pieces: Pieces) -> ImageFacts:
    """Read the facts of a picture that shall be decoded.

    Raises `ImageTooLarge`, and of AVIF and HEIC `ImageTooManyFrames` and `ImageMetadataTooLarge`.
    """
    limits = pieces.limits
    if math.prod(image.size) > limits.pixels:
        width, height = image.size
        raise ImageTooLarge(f"the picture has {width} by {height} pixels; at most {limits.pixels:,} are decoded")
    with decoding():
        return facts_of(image, pieces)


def facts_of(image: ImageFile.ImageFile, pieces: Pieces) -> ImageFacts:
    """Read the facts of an opened picture whose pieces were counted."""
    # A JPEG with further pictures in it (stereo pairs, gain maps) is opened as MPO; they are no animation.
    image_format = FORMATS.get(image.format or "", "jpeg")
    if image_format in _NOT_WALKED:
        _count_opened(image, pieces)
    exif = exif_of(image)
    orientation = _orientation_in(exif)
    width, height = swapped(image.size, orientation)
    return ImageFacts(
        width=width,
        height=height,
        format=image_format,
        media_type=MEDIA_TYPES[image_format],
        mode=image.mode,
        orientation=orientation,
        has_alpha=image.has_transparency_data,
        # Further pictures of a HEIC are a burst or the like: no animation either.
        frames=1 if image_format == "heic" else max(1, pieces.frames),
        taken_at=_taken_at_in(exif),
    )


def _count_opened(image: ImageFile.ImageFile, pieces: Pieces) -> None:
    """Count what the decoder's library found: frames, and the metadata of the one picture that is used."""
    pieces.add_frames(int(getattr(image, "n_frames", 1)))
    others: list[dict[str, object]] = image.info.get("metadata") or []
    for found in (*map(image.info.get, _METADATA), *(other.get("data") for other in others)):
        if isinstance(found, bytes):
            pieces.add_segment(len(found))


def exif_of(image: Image.Image) -> Image.Exif:
    """Read the EXIF before the pixels; what is broken counts as none."""
    # Not getexif(): it decodes a PNG to look for EXIF after the pixels, and believes XMP, which browsers do not.
    exif = Image.Exif()
    try:
        exif.load(image.info.get("exif", b""))
    except DECODER_ERRORS:
        return Image.Exif()
    return exif


def _orientation_in(exif: Image.Exif) -> int:
    try:
        orientation: object = exif.get(ExifTags.Base.Orientation)
    except DECODER_ERRORS:
        return 1
    return orientation if isinstance(orientation, int) and orientation in ORIENTATIONS else 1


def _taken_at_in(exif: Image.Exif) -> str | None:
    try:
        text: object = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.DateTimeOriginal)
        taken_at = datetime.strptime(str(text).strip("\0 "), "%Y:%m:%d %H:%M:%S")  # noqa: DTZ007 - EXIF has no zone
    except DECODER_ERRORS:
        return None
    return taken_at.isoformat()
