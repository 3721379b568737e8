"""Where blobs are kept: what every storage promises, how blobs are named, and which storage the settings choose."""

import hashlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from io import RawIOBase
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self
from uuid import UUID

from shared.settings import Settings

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


def upload_key(file_id: UUID) -> str:
    """Name the blob of an uploaded file."""
    return f"uploads/{file_id.hex[-2:]}/{file_id}"


def output_key(job_id: UUID, fence: int, file_id: UUID) -> str:
    """Name the blob of an attempt's output; the fence keeps attempts apart."""
    return f"outputs/{job_id}/{fence}/{file_id}"


def part_key(upload_id: UUID, blob_id: UUID) -> str:
    """Name a piece of a resumable upload: by an id of its own, for rivals may write the same piece at once."""
    return f"parts/{upload_id}/{blob_id}"


@dataclass(frozen=True, slots=True)
class Blob:
    """Describes a stored blob; `modified` is in seconds since 1970."""

    key: str
    size: int
    modified: float


class BlobWriter(RawIOBase):
    """Is a blob in the making: counts and hashes, is kept by `commit()` only.

    As a context manager it drops the blob unless it was committed.
    """

    def __init__(self, *, hashed: bool) -> None:
        super().__init__()
        self._hash = hashlib.sha256() if hashed else None
        self._settled = False
        self.size = 0

    def writable(self) -> bool:
        """Tell that this stream is for writing."""
        return True

    def write(self, chunk: "ReadableBuffer") -> int:
        """Append a chunk, whole; raises `StorageFull` or `StorageUnavailable`."""
        if self._settled:
            raise ValueError("the blob is settled")
        length = memoryview(chunk).nbytes
        self._append(chunk)
        if self._hash is not None:
            self._hash.update(chunk)
        self.size += length
        return length

    @property
    def sha256(self) -> str:
        """The hexadecimal SHA-256 of what was written so far; raises `ValueError` for a writer that does not hash."""
        if self._hash is None:
            raise ValueError("this blob is not hashed")
        return self._hash.hexdigest()

    def commit(self) -> None:
        """Keep the blob: from here on it is durable and can be seen, whole; raises as `write`."""
        if self._settled:
            raise ValueError("the blob is settled")
        self._keep()
        self._settled = True

    def abort(self) -> None:
        """Drop what was written, unless it was committed; raises nothing."""
        if not self._settled:
            self._settled = True
            self._drop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.abort()

    def _append(self, chunk: "ReadableBuffer") -> None:
        raise NotImplementedError

    def _keep(self) -> None:
        raise NotImplementedError

    def _drop(self) -> None:
        raise NotImplementedError


class BlobReader(RawIOBase):
    """Is a blob, or a range of it, being read from front to back; `total` is the whole blob's size in bytes.

    Reading raises `StorageUnavailable`. A blob that was cut short behind our back ends early.
    """

    total: int

    def readable(self) -> bool:
        """Tell that this stream is for reading."""
        return True


class Storage(Protocol):
    """Keeps blobs under keys such as `folder/…/name`, in lower case; safe from any thread.

    All methods raise `StorageUnavailable` when the storage cannot be reached, and `ValueError` for a key that is none.
    """

    def writer(self, key: str, *, hashed: bool = True) -> BlobWriter:
        """Begin a blob; what stood under the key is replaced when it is committed."""
        ...

    def open(self, key: str, start: int = 0, end: int | None = None) -> BlobReader:
        """Read a blob's bytes from `start` to before `end`, which is greater; raises `FileNotFoundError`."""
        ...

    def local_path(self, key: str) -> AbstractContextManager[Path]:
        """Give a path to read a blob at within this block, a copy if need be; raises `FileNotFoundError`."""
        ...

    def holds(self, key: str) -> bool:
        """Tell whether there is such a blob."""
        ...

    def delete(self, *keys: str) -> None:
        """Delete blobs; those that are not there do not matter."""
        ...

    def blobs(self) -> Iterator[Blob]:
        """Walk over all blobs in no order, in flat memory; a directory shows those being written, under `incoming/`."""
        ...

    def check(self) -> None:
        """Make sure that the storage can be written; raises `StorageFull` or `StorageUnavailable`."""
        ...


def open_storage(settings: Settings) -> Storage:
    """Open the storage that the settings name: an object store, or a local directory."""
    if settings.storage_url:
        from shared.object_storage import ObjectStorage  # noqa: PLC0415 - 10 MB that a local directory does not need

        return ObjectStorage(settings)
    from shared.local_storage import LocalStorage  # noqa: PLC0415 - it imports what this module defines

    return LocalStorage(settings.storage_dir)
