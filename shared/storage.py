"""Blobs on a local directory: written whole or not at all, streamed in both directions."""

import contextlib
import errno
import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from io import RawIOBase
from pathlib import Path
from typing import BinaryIO, Self, cast
from uuid import UUID

from shared.errors import StorageFull, StorageUnavailable
from shared.ids import new_id

_KEY = re.compile(r"[a-z0-9][a-z0-9-]*(/[a-z0-9][a-z0-9-]*)+")
_INCOMING = "incoming"
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def upload_key(file_id: UUID) -> str:
    """Name the blob of an uploaded file."""
    return f"uploads/{file_id.hex[-2:]}/{file_id}"


def output_key(job_id: UUID, fence: int, file_id: UUID) -> str:
    """Name the blob of an attempt's output; the fence keeps attempts apart."""
    return f"outputs/{job_id}/{fence}/{file_id}"


@dataclass(frozen=True, slots=True)
class Blob:
    """Describes a stored blob; `modified` is in seconds since 1970."""

    key: str
    size: int
    modified: float


class BlobWriter(RawIOBase):
    """Is a blob in the making: counts and hashes, is kept by `commit()` only."""

    def __init__(self, incoming: Path, target: Path) -> None:
        super().__init__()
        self._incoming = incoming
        self._target = target
        self._hash = hashlib.sha256()
        self.size = 0
        with _storage_errors():
            incoming.parent.mkdir(parents=True, exist_ok=True)
            self._file: BinaryIO | None = incoming.open("xb")

    def writable(self) -> bool:
        """Tell that this stream is for writing."""
        return True

    def write(self, chunk: "bytes | bytearray | memoryview") -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Append a chunk, whole; raises `StorageFull` or `StorageUnavailable`."""
        if self._file is None:
            raise ValueError("the blob is settled")
        with _storage_errors():
            written = self._file.write(chunk)
        self._hash.update(chunk)
        self.size += written
        return written

    @property
    def sha256(self) -> str:
        """The hexadecimal SHA-256 of what was written so far."""
        return self._hash.hexdigest()

    def commit(self) -> None:
        """Keep the blob: flushed to disk, then renamed into place."""
        if self._file is None:
            raise ValueError("the blob is settled")
        with _storage_errors():
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            _move(self._incoming, self._target)
        self._file = None

    def abort(self) -> None:
        """Drop what was written, unless it was committed."""
        if self._file is not None:
            # On a full disk closing fails as writing did: it flushes what is left.
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None
            with contextlib.suppress(OSError):
                self._incoming.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.abort()


class LocalStorage:
    """Stores blobs under a directory; keys are `folder/…/name` in lower case."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    def writer(self, key: str) -> BlobWriter:
        """Begin a blob; use it as a context manager, which drops it unless committed."""
        return BlobWriter(self._root / _INCOMING / str(new_id()), self.path(key))

    def open(self, key: str) -> BinaryIO:
        """Open a blob for reading; raises `FileNotFoundError`."""
        return cast("BinaryIO", self.path(key).open("rb"))

    def path(self, key: str) -> Path:
        """Give the path of a blob; raises `ValueError` for a key that is none of ours."""
        if not _KEY.fullmatch(key):
            raise ValueError(f"not a storage key: {key!r}")
        return self._root / key

    def delete(self, key: str) -> bool:
        """Delete a blob and its folders if they are empty then; False when it was not there."""
        path = self.path(key)
        try:
            path.unlink()
        except FileNotFoundError:
            return False
        for folder in path.parents:
            if folder.parent == self._root or not _remove_if_empty(folder):
                break
        return True

    def blobs(self) -> Iterator[Blob]:
        """Walk over all blobs, those still being written included (under `incoming/`)."""
        for folder, _, names in os.walk(self._root):
            for name in names:
                path = Path(folder, name)
                try:
                    status = path.stat()
                except FileNotFoundError:
                    continue
                yield Blob(path.relative_to(self._root).as_posix(), status.st_size, status.st_mtime)

    def check(self) -> None:
        """Make sure that the storage can be written; raises `StorageFull` or `StorageUnavailable`."""
        with self.writer("health/probe") as probe:
            probe.write(b"ok")


def _move(source: Path, target: Path) -> None:
    while True:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            source.replace(target)
        except FileNotFoundError:
            # A rival's delete() may take the empty folder away between the two calls; a missing source is an error.
            if not source.exists():
                raise
        else:
            return


def _remove_if_empty(folder: Path) -> bool:
    try:
        folder.rmdir()
    except OSError:
        return False
    return True


class _storage_errors:  # noqa: N801 - a context manager that reads as a verb
    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        if isinstance(error, OSError):
            if error.errno in _FULL:
                raise StorageFull("The storage has no room left.") from error
            raise StorageUnavailable("The storage cannot be written.") from error
