"""Blobs in a local directory: written beside their place, flushed to disk, then renamed into it."""

import contextlib
import errno
import os
import re
from collections.abc import Generator, Iterator
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from shared.errors import StorageFull, StorageUnavailable
from shared.ids import new_id
from shared.storage import Blob, BlobReader, BlobWriter

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

KEY = re.compile(r"[a-z0-9][a-z0-9-]*(/[a-z0-9][a-z0-9-]*)+")
"""What a key looks like, in every storage: it is a path of ours, whatever a client says."""

_INCOMING = "incoming"
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class _LocalWriter(BlobWriter):
    def __init__(self, incoming: Path, target: Path, *, hashed: bool) -> None:
        super().__init__(hashed=hashed)
        self._incoming = incoming
        self._target = target
        with writing():
            incoming.parent.mkdir(parents=True, exist_ok=True)
            self._file: BinaryIO = incoming.open("xb", buffering=0)

    def _append(self, chunk: "ReadableBuffer") -> None:
        rest = memoryview(chunk)
        with writing():
            while rest.nbytes:
                rest = rest[self._file.write(rest) :]

    def _keep(self) -> None:
        with writing():
            os.fsync(self._file.fileno())
            self._file.close()
            for folder in _move(self._incoming, self._target):
                _flush_folder(folder)

    def _drop(self) -> None:
        with contextlib.suppress(OSError):
            self._file.close()
        with contextlib.suppress(OSError):
            self._incoming.unlink(missing_ok=True)


class _LocalReader(BlobReader):
    def __init__(self, path: Path, start: int, end: int | None) -> None:
        super().__init__()
        self._file = FileIO(path)
        self.total = os.fstat(self._file.fileno()).st_size
        self._left = None if end is None else end - start
        if start:
            self._file.seek(start)

    def read(self, size: int | None = -1, /) -> bytes:
        """Read up to `size` bytes, all without; nothing at the end."""
        wanted = -1 if size is None else size
        if self._left is not None:
            wanted = self._left if wanted < 0 else min(wanted, self._left)
        with _reading():
            chunk = self._file.read(wanted) or b""
        if self._left is not None:
            self._left -= len(chunk)
        return chunk

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        """Fill a buffer as far as there is something."""
        target = memoryview(buffer).cast("B")
        if self._left is not None:
            target = target[: self._left]
        with _reading():
            length = self._file.readinto(target) or 0
        if self._left is not None:
            self._left -= length
        return length

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


class LocalStorage:
    """Stores blobs under a directory; see `Storage` for what its methods promise."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    def writer(self, key: str, *, hashed: bool = True) -> BlobWriter:
        """Begin a blob."""
        return _LocalWriter(self._root / _INCOMING / str(new_id()), self.path(key), hashed=hashed)

    def open(self, key: str, start: int = 0, end: int | None = None) -> BlobReader:
        """Read a blob or a range of it."""
        with _reading():
            return _LocalReader(self.path(key), start, end)

    @contextlib.contextmanager
    def local_path(self, key: str) -> Generator[Path]:
        """Give the blob's own path."""
        path = self.path(key)
        if not path.is_file():
            raise FileNotFoundError(path)
        yield path

    def path(self, key: str) -> Path:
        """Give the path of a blob, whether it is there or not."""
        if not KEY.fullmatch(key):
            raise ValueError(f"not a storage key: {key!r}")
        return self._root / key

    def holds(self, key: str) -> bool:
        """Tell whether there is such a blob."""
        return self.path(key).is_file()

    def delete(self, *keys: str) -> None:
        """Delete blobs, and folders that are empty then."""
        for path in [self.path(key) for key in keys]:
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise StorageUnavailable("The storage cannot be written.") from error
            for folder in path.parents:
                if folder.parent == self._root or not _remove_if_empty(folder):
                    break

    def blobs(self) -> Iterator[Blob]:
        """Walk over all blobs, those still being written included."""
        for folder, _, names in os.walk(self._root):
            for name in names:
                path = Path(folder, name)
                key = path.relative_to(self._root).as_posix()
                if not KEY.fullmatch(key):
                    continue
                try:
                    status = path.stat()
                except FileNotFoundError:
                    continue
                yield Blob(key, status.st_size, status.st_mtime)

    def check(self) -> None:
        """Make sure that the directory can be written."""
        with self.writer("health/probe") as probe:
            probe.write(b"ok")


def _move(source: Path, target: Path) -> list[Path]:
    """Move a file, making the folders that it takes; gives those that have a new entry."""
    changed = [target.parent]
    while True:
        while not changed[-1].exists():
            changed.append(changed[-1].parent)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            source.replace(target)
        except (FileNotFoundError, FileExistsError):
            # A rival's delete() may take an empty folder away at any step, even while mkdir() looks at the one it met;
            # a missing source is an error, and so is a file where the folder should be.
            if not source.exists() or target.parent.is_file():
                raise
        else:
            return changed


def _flush_folder(folder: Path) -> None:
    # Without it the renamed file may be gone after a power cut, while PostgreSQL remembers its row.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_if_empty(folder: Path) -> bool:
    try:
        folder.rmdir()
    except OSError:
        return False
    return True


@contextlib.contextmanager
def writing() -> Generator[None]:
    """Raise `StorageFull` or `StorageUnavailable` for what goes wrong while a file is written."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFull("The storage has no room left.") from error
        raise StorageUnavailable("The storage cannot be written.") from error


@contextlib.contextmanager
def _reading() -> Generator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StorageUnavailable("The storage cannot be read.") from error
