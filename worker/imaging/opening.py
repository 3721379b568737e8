"""Opening pictures by named decoders only, and what their errors mean."""

import errno
import importlib
import struct
import warnings
import zlib
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

from PIL import AvifImagePlugin, Image, ImageFile, UnidentifiedImageError

from worker.renditions import ImageError, ImageMetadataTooLarge, ImageTooLarge, SourceFormat, UnreadableImage

Source = Path | BinaryIO

DECODER_ERRORS = (
    *(OSError, ValueError, SyntaxError, EOFError, LookupError, TypeError, ArithmeticError, RuntimeError),
    *(AssertionError, AttributeError, MemoryError, struct.error, zlib.error, Image.DecompressionBombError),
)
"""What decoders raise for bad input. Not `Exception`: what breaks into a handler (its time limit, a cancel) is one."""

# What Pillow says when compressed metadata unpacks to more than its MAX_TEXT_CHUNK or MAX_TEXT_MEMORY.
_UNPACKED_TOO_MUCH = ("Decompressed data too large", "Too much memory used in text chunks")
# A broken picture can send a decoder to a place before the file's beginning.
_NOT_THE_DISKS_FAULT = (None, errno.EINVAL)

# One child runs one job; its neighbours' cores are not its own.
AvifImagePlugin.DEFAULT_MAX_THREADS = 1


def _formats() -> Mapping[str, SourceFormat]:
    # Naming them is what keeps PostScript away from Ghostscript, and TIFF, ICNS and others from their decoders.
    formats: dict[str, SourceFormat] = {"JPEG": "jpeg", "PNG": "png", "GIF": "gif", "WEBP": "webp", "AVIF": "avif"}
    try:
        heif = importlib.import_module("pillow_heif")
    except ImportError:
        return MappingProxyType(formats)
    heif.register_heif_opener(thumbnails=False, decode_threads=1)
    formats["HEIF"] = "heic"
    return MappingProxyType(formats)


FORMATS = _formats()
"""What is read, by Pillow's names; HEIC where the optional package pillow-heif is installed."""


@contextmanager
def opened(stream: BinaryIO) -> Generator[ImageFile.ImageFile]:
    """Open a picture from its header; the stream stays its giver's. Raises `ImageError`."""
    with decoding():
        image = Image.open(stream, formats=list(FORMATS))
    # Closing the picture would close the stream.
    yield image


@contextmanager
def stream_of(source: Source) -> Generator[BinaryIO]:
    """Give a stream at its beginning; a path is opened and closed again, a stream stays open."""
    if isinstance(source, Path):
        with source.open("rb") as stream:
            yield stream
        return
    source.seek(0)
    yield source


@contextmanager
def decoding() -> Generator[None]:
    """Turn what decoders raise for bad input into an `ImageError`; a failing disk has an errno and stays `OSError`."""
    try:
        with warnings.catch_warnings():
            # Pillow warns of large pictures and corrupt metadata: the first are judged here, the second ignored.
            warnings.simplefilter("ignore")
            yield
    except ImageError:
        raise
    except DECODER_ERRORS as error:
        if isinstance(error, OSError) and error.errno not in _NOT_THE_DISKS_FAULT:
            raise
        raise _meaning_of(error) from error


def _meaning_of(error: BaseException) -> ImageError:
    match error:
        case Image.DecompressionBombError():
            return ImageTooLarge("the picture has more pixels than may be decoded")
        case MemoryError():
            return ImageTooLarge("the picture needs more memory than there is for one")
        case UnidentifiedImageError():
            return UnreadableImage(f"the file is not a readable {_listed()} picture")
        case ValueError() if str(error).startswith(_UNPACKED_TOO_MUCH):
            return ImageMetadataTooLarge("the picture's metadata unpack to more than is read")
        case _:
            return UnreadableImage("the picture is broken or cut short")


def _listed() -> str:
    names = ["JPEG", "PNG", "WebP", "GIF", "AVIF", *(["HEIC"] if "HEIF" in FORMATS else [])]
    return f"{', '.join(names[:-1])} or {names[-1]}"
