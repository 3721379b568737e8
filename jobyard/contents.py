"""What is uploaded: a file by its path, bytes, or an open file, read block by block and never whole."""

import errno
import io
import os
import secrets
import stat
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from jobyard.errors import JobyardError
from jobyard.flows import Body
from jobyard.models import Progress

BLOCK_BYTES = 256 * 1024
BINARY = "application/octet-stream"

Content = str | Path | bytes | BinaryIO
"""A path, the content itself, or a file that is open for reading bytes; it is read from where it stands."""


class Source:
    """Is a content to be sent, maybe in parts, maybe again; `size` is None for what can only be read once."""

    def __init__(self, content: Content, name: str | None = None) -> None:
        self._path: Path | None = None
        self._start = 0
        self._read = False
        if isinstance(content, str | Path):
            self._path = Path(content)
            self.name = name or self._path.name
            self.size: int | None = _size_of(self._path)
            return
        self._stream: BinaryIO = io.BytesIO(content) if isinstance(content, bytes) else content
        self.name = name or Path(str(getattr(content, "name", "file"))).name
        self.size = None
        if self._stream.seekable():
            self._start = self._stream.tell()
            self.size = self._stream.seek(0, io.SEEK_END) - self._start
            self._stream.seek(self._start)

    @property
    def repeatable(self) -> bool:
        """Whether it can be read a second time."""
        return self.size is not None

    def blocks(self, offset: int = 0, length: int | None = None) -> Generator[bytes]:
        """Read a part of it; raises `JobyardError` when it has become shorter, or was read and cannot be again."""
        if self._path is not None:
            with self._path.open("rb") as stream:
                yield from self._blocks_of(stream, offset, length)
        else:
            yield from self._blocks_of(self._stream, offset, length)

    def _blocks_of(self, stream: BinaryIO, offset: int, length: int | None) -> Generator[bytes]:
        if self.size is None:
            if self._read:
                raise JobyardError(f"{self.name} can only be read once")
            self._read = True
        else:
            stream.seek(self._start + offset)
        left = self.size if length is None else length
        while left is None or left > 0:
            block = stream.read(BLOCK_BYTES if left is None else min(BLOCK_BYTES, left))
            if not block:
                break
            left = None if left is None else left - len(block)
            yield block
        if left:
            raise JobyardError(f"{self.name} became shorter while it was sent")


def _size_of(path: Path) -> int | None:
    known = path.stat()
    if stat.S_ISDIR(known.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    return known.st_size if stat.S_ISREG(known.st_mode) else None


class Meter:
    """Tells how far an upload or download is, each time that it gets further."""

    def __init__(
        self, on_progress: Callable[[Progress], None] | None, total: int | None, url: str | None = None
    ) -> None:
        self._on_progress = on_progress
        self._total = total
        self._url = url
        self._completed = 0

    def begin(self, completed: int) -> None:
        """Count from here."""
        self._completed = completed

    def add(self, count: int) -> None:
        """Count so many bytes more."""
        self._completed += count
        if self._on_progress is not None:
            most = self._completed if self._total is None else self._total
            self._on_progress(Progress(max(0, min(self._completed, most)), self._total, self._url))


def form_of(source: Source, texts: Mapping[str, str], meter: Meter) -> tuple[Body, str]:
    """Make a multipart form of texts and of a file, as its part `file`; gives it with its Content-Type."""
    boundary = secrets.token_hex(16)
    lines = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'
        for name, text in texts.items()
    ]
    disposition = f"form-data; name=\"file\"; filename*=UTF-8''{quote(source.name, safe='')}"
    lines.append(f"--{boundary}\r\nContent-Disposition: {disposition}\r\nContent-Type: {BINARY}\r\n\r\n")
    head, tail = "".join(lines).encode(), f"\r\n--{boundary}--\r\n".encode()

    def blocks() -> Generator[bytes]:
        # The frame does not count.
        meter.begin(-len(head))
        yield head
        yield from source.blocks()
        yield tail

    size = None if source.size is None else len(head) + source.size + len(tail)
    return Body(blocks, size, meter.add, source.repeatable), f"multipart/form-data; boundary={boundary}"
