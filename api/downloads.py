"""Blobs read for sending, block by block."""

import asyncio
import logging
from concurrent.futures import Future
from functools import partial
from typing import TypeVar

from api.file_access import StoredContent
from api.storage_calls import StorageCalls
from shared.errors import JobyardError, StorageUnavailable
from shared.storage import BlobReader, Storage

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 60
"""A storage that takes longer for one block counts as away."""

GONE = "The file's content is gone."
DAMAGED = "The file's content is damaged."

_T = TypeVar("_T")


class ContentGone(JobyardError):
    """Is raised when a file's row is there, but its blob is not, or not as it was."""

    status = 410
    code = "content_gone"
    title = "Content gone"


class OpenContent:
    """Is a part of a blob being read from front to back; `left` is how many bytes are still to come.

    A connection to a storage may break while a slow client takes its time: it is opened again where it broke, as long
    as something came since it was opened last.
    """

    def __init__(self, storage: Storage, calls: StorageCalls, file: StoredContent, start: int, end: int) -> None:
        self._storage = storage
        self._calls = calls
        self._key, self._size = file.storage_key, file.size
        self._position, self._end = start, end
        self._reader: BlobReader | None = None
        self._reading: Future[bytes] | None = None

    @property
    def left(self) -> int:
        """Bytes still to come."""
        return self._end - self._position

    async def read(self, size: int) -> bytes:
        """Read up to `size` bytes, at least one unless none is left; raises `ContentGone`, `StorageUnavailable`."""
        self._reading = self._calls.begin(partial(self._read, size))
        return await _patiently(self._reading)

    def close(self) -> None:
        """Close the blob, after the thread that may still be reading it."""
        if self._reading is not None:
            self._reading.add_done_callback(lambda _: self._drop())

    def _read(self, size: int) -> bytes:
        while True:
            fresh = self._reader is None
            try:
                reader = self._reader = self._reader or self._open()
                block = reader.read(min(size, self.left)) or b""
            except FileNotFoundError as error:
                raise ContentGone(GONE) from error
            except (StorageUnavailable, OSError) as error:
                self._drop()
                if fresh:
                    raise StorageUnavailable("The storage cannot be read.") from error
                logger.info("the blob %s is opened again at byte %d", self._key, self._position)
                continue
            if not block and self.left:
                raise ContentGone(DAMAGED)
            self._position += len(block)
            return block

    def _open(self) -> BlobReader:
        # An empty blob has no range that could be asked for.
        end = self._end if (self._position, self._end) != (0, self._size) else None
        reader = self._storage.open(self._key, self._position, end)
        if reader.total != self._size:
            reader.close()
            raise ContentGone(DAMAGED)
        return reader

    def _drop(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None


class Downloads:
    """Reads blobs for one process."""

    def __init__(self, storage: Storage, calls: StorageCalls) -> None:
        self._storage = storage
        self._calls = calls

    def open(self, file: StoredContent, start: int, end: int) -> OpenContent:
        """Give what reads a file's bytes from `start` to before `end`; the first read opens it."""
        return OpenContent(self._storage, self._calls, file, start, end)

    def close(self) -> None:
        """Drop the reads that have not begun."""
        self._calls.close()

    async def require(self, file: StoredContent) -> None:
        """Make sure that a file's blob is there, without reading it; raises `ContentGone`, `StorageUnavailable`."""
        if not await _patiently(self._calls.begin(partial(self._storage.holds, file.storage_key))):
            raise ContentGone(GONE)


async def _patiently(future: Future[_T]) -> _T:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await asyncio.wrap_future(future)
    except TimeoutError as error:
        raise StorageUnavailable("The storage does not answer.") from error
