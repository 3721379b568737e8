"""What is uploaded: a file by its path, bytes, or an open file, read block by block and never whole."""

import errno
import io
import os
import secrets
import stat
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from jobyard.errors import JobyardError
from jobyard.flows import Body
from jobyard.models import Progress

BLOCK_BYTES = 256 * 1024
BINARY = "application/octet-stream"
_LINE_END = b"\r\n"

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


@dataclass(frozen=True, slots=True)
class Form:
    """Is a multipart form of texts and of files, each a part of the same name."""

    sources: Sequence[Source]
    texts: Mapping[str, str] = field(default_factory=dict[str, str])
    part: str = "file"

    def body(self, on_progress: Callable[[Progress], None] | None) -> tuple[Body, str]:
        """Give its body, streamed, with its Content-Type; progress is that of all files together."""
        boundary = secrets.token_hex(16)
        texts = "".join(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'
            for name, text in self.texts.items()
        ).encode()
        heads = [self._head(source, boundary) for source in self.sources]
        tail = f"--{boundary}--\r\n".encode()
        frame_bytes = len(texts) + sum(len(head) + len(_LINE_END) for head in heads) + len(tail)
        total = sum_of(self.sources)
        meter = Meter(on_progress, total)

        def blocks() -> Generator[bytes]:
            # The frame does not count.
            meter.begin(-frame_bytes)
            yield texts
            for head, source in zip(heads, self.sources, strict=True):
                yield head
                yield from source.blocks()
                yield _LINE_END
            yield tail

        size = None if total is None else frame_bytes + total
        repeatable = all(source.repeatable for source in self.sources)
        return Body(blocks, size, meter.add, repeatable), f"multipart/form-data; boundary={boundary}"

    def _head(self, source: Source, boundary: str) -> bytes:
        disposition = f"form-data; name=\"{self.part}\"; filename*=UTF-8''{quote(source.name, safe='')}"
        return f"--{boundary}\r\nContent-Disposition: {disposition}\r\nContent-Type: {BINARY}\r\n\r\n".encode()


def sum_of(sources: Sequence[Source]) -> int | None:
    """Give how many bytes sources have together; None when nobody knows."""
    sizes = [source.size for source in sources if source.size is not None]
    return sum(sizes) if len(sizes) == len(sources) else None
