"""Blobs in an object store (S3 and what speaks its language), through obstore.

A small blob is one PUT. A larger one is a multipart upload that a thread of its own feeds to obstore: given an
iterator, obstore completes the upload when it ends and aborts it when it raises, while its file-like writer would
leave the parts of a dropped upload in the bucket for good.
"""

import contextlib
import tempfile
import threading
from collections.abc import Generator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from shared.errors import StorageUnavailable
from shared.local_storage import KEY, writing
from shared.settings import Settings
from shared.storage import Blob, BlobReader, BlobWriter

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer
    from obstore.store import ClientConfig, ObjectStore, RetryConfig, S3Config

PART_BYTES = 8 * 1024 * 1024
"""S3 takes 10,000 parts of an upload, so this bounds a blob at 80 GB."""
PARTS_UNDER_WAY = 2
_COPY_BYTES = 1024 * 1024
_TIMEOUTS: "ClientConfig" = {"connect_timeout": timedelta(seconds=3), "timeout": timedelta(seconds=30)}
_RETRIES: "RetryConfig" = {"max_retries": 3, "retry_timeout": timedelta(seconds=20)}


class _Feed:
    """Hands blocks from the writer's thread to the one that uploads; either side learns when the other gave up."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._block: bytes | None = None
        self._over = False
        self._dropped = False
        self.error: BaseException | None = None
        self.finished = False

    def give(self, block: bytes) -> None:
        with self._condition:
            self._condition.wait_for(lambda: self._block is None or self.finished)
            self._block = block
            self._condition.notify_all()

    def end(self, *, dropped: bool) -> None:
        with self._condition:
            self._over = True
            self._dropped = dropped
            self._condition.notify_all()

    def finish(self, error: BaseException | None) -> None:
        with self._condition:
            self.error = error
            self.finished = True
            self._condition.notify_all()

    def __iter__(self) -> Iterator[bytes]:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._block is not None or self._over)
                if self._dropped:
                    raise _Dropped
                block, self._block = self._block, None
                self._condition.notify_all()
            if block is None:
                return
            yield block


class _Dropped(Exception):
    """Makes obstore abort an upload."""


class _ObjectWriter(BlobWriter):
    def __init__(self, store: "ObjectStore", key: str, *, hashed: bool) -> None:
        super().__init__(hashed=hashed)
        self._store = store
        self._key = key
        self._block = bytearray()
        self._feed: _Feed | None = None
        self._thread: threading.Thread | None = None

    def _append(self, chunk: "ReadableBuffer") -> None:
        self._block += chunk
        if len(self._block) >= PART_BYTES:
            self._give(bytes(self._block))
            self._block = bytearray()

    def _give(self, block: bytes) -> None:
        if self._feed is None:
            self._feed = _Feed()
            self._thread = threading.Thread(target=self._upload, args=(self._feed,), name="blob-upload", daemon=True)
            self._thread.start()
        self._feed.give(block)
        self._raise_if_failed(self._feed)

    def _upload(self, feed: _Feed) -> None:
        error: BaseException | None = None
        try:
            obstore.put(self._store, self._key, iter(feed), chunk_size=PART_BYTES, max_concurrency=PARTS_UNDER_WAY)
        except BaseException as raised:  # noqa: BLE001 - it is raised again in the writer's thread
            error = raised
        feed.finish(error)

    def _raise_if_failed(self, feed: _Feed) -> None:
        if feed.error is not None:
            raise _unavailable(feed.error) from feed.error

    def _keep(self) -> None:
        if self._feed is None:
            with _translating():
                obstore.put(self._store, self._key, bytes(self._block), use_multipart=False)
            return
        if self._block:
            self._give(bytes(self._block))
        self._end(self._feed, dropped=False)
        self._raise_if_failed(self._feed)

    def _drop(self) -> None:
        self._block = bytearray()
        if self._feed is not None:
            self._end(self._feed, dropped=True)

    def _end(self, feed: _Feed, *, dropped: bool) -> None:
        feed.end(dropped=dropped)
        if self._thread is not None:
            self._thread.join()


class _ObjectReader(BlobReader):
    def __init__(self, store: "ObjectStore", key: str, start: int, end: int | None) -> None:
        super().__init__()
        with _translating():
            # Not asked for as a range when it is none: an empty blob has no range that could be satisfied.
            whole = start == 0 and end is None
            options: Any = None if whole else {"range": (start, end) if end is not None else {"offset": start}}
            found = obstore.get(store, key, options=options)
            self.total = found.meta["size"]
            self._chunks = iter(found.stream(min_chunk_size=_COPY_BYTES))
        self._rest = memoryview(b"")

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        """Fill a buffer as far as there is something at hand."""
        while not self._rest.nbytes:
            with _translating():
                chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        target = memoryview(buffer).cast("B")
        length = min(target.nbytes, self._rest.nbytes)
        target[:length] = self._rest[:length]
        self._rest = self._rest[length:]
        return length


class ObjectStorage:
    """Stores blobs in a bucket; see `Storage` for what its methods promise."""

    def __init__(self, settings: Settings) -> None:
        given: S3Config = {
            "endpoint": settings.bucket_endpoint,
            "region": settings.bucket_region,
            "access_key_id": settings.bucket_key_id,
            "secret_access_key": settings.bucket_secret.get_secret_value(),
        }
        # What is not given obstore looks for where Amazon's tools do: session tokens, roles of machines and pods.
        config = cast("S3Config", {name: value for name, value in given.items() if value})
        options: ClientConfig = {"allow_http": settings.bucket_endpoint.startswith("http://"), **_TIMEOUTS}
        self._store: ObjectStore = S3Store.from_url(
            settings.storage_url, config=config, client_options=options, retry_config=_RETRIES
        )

    def writer(self, key: str, *, hashed: bool = True) -> BlobWriter:
        """Begin a blob."""
        return _ObjectWriter(self._store, _checked(key), hashed=hashed)

    def open(self, key: str, start: int = 0, end: int | None = None) -> BlobReader:
        """Read a blob or a range of it."""
        return _ObjectReader(self._store, _checked(key), start, end)

    @contextlib.contextmanager
    def local_path(self, key: str) -> Generator[Path]:
        """Give the path of a copy, which goes with the block."""
        with tempfile.TemporaryDirectory(prefix="jobyard-") as folder:
            path = Path(folder, "blob")
            with self.open(key) as source, writing(), path.open("wb") as copy:
                while chunk := source.read(_COPY_BYTES):
                    copy.write(chunk)
            yield path

    def holds(self, key: str) -> bool:
        """Tell whether there is such a blob."""
        try:
            with _translating():
                obstore.head(self._store, _checked(key))
        except FileNotFoundError:
            return False
        return True

    def delete(self, *keys: str) -> None:
        """Delete blobs, many in one request."""
        with _translating():
            obstore.delete(self._store, [_checked(key) for key in keys])

    def blobs(self) -> Iterator[Blob]:
        """Walk over all blobs."""
        pages = obstore.list(self._store)
        while True:
            with _translating():
                page = next(pages, None)
            if page is None:
                return
            yield from (
                Blob(found["path"], found["size"], found["last_modified"].timestamp())
                for found in page
                if KEY.fullmatch(found["path"])
            )

    def check(self) -> None:
        """Make sure that the bucket can be written."""
        with _translating():
            obstore.put(self._store, "health/probe", b"ok", use_multipart=False)


def _checked(key: str) -> str:
    if not KEY.fullmatch(key):
        raise ValueError(f"not a storage key: {key!r}")
    return key


@contextlib.contextmanager
def _translating() -> Generator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except (BaseError, OSError) as error:
        raise _unavailable(error) from error


def _unavailable(error: BaseException) -> BaseException:
    if isinstance(error, (BaseError, OSError)):
        # The text names the bucket and the request, which is the operators' business.
        return StorageUnavailable("The storage cannot be reached.")
    return error
