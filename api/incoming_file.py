"""A file on its way into the storage: told by its content, written in large blocks off the event loop."""

import asyncio
import hashlib
import logging
import time
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Self
from uuid import UUID

from api.file_names import clean_name
from api.resources import Resources
from api.storage_calls import StorageCalls
from api.upload_errors import EmptyFile
from api.upload_rows import UploadRows
from shared.errors import FileTooLarge, JobyardError, MediaTypeNotAllowed, StorageUnavailable
from shared.file_limits import NO_LIMITS, FileLimits
from shared.ids import new_id
from shared.media_type import HEAD_BYTES, sniff
from shared.quota import QuotaExceeded
from shared.settings import Settings
from shared.storage import BlobWriter, Storage, upload_key

logger = logging.getLogger(__name__)

BLOCK_BYTES = 256 * 1024
LARGE_BLOCK_BYTES = 1024 * 1024
"""Each block is a hop to a thread and back, which costs as much as hashing 64 KB."""
_LARGE_FROM_BYTES = 8 * LARGE_BLOCK_BYTES

EXACT_ONLY = frozenset({"text/html", "image/svg+xml", "application/xhtml+xml", "text/x-shellscript"})
"""Types that can carry programs: allowed when named in full, never by a pattern such as `text/*`."""


@dataclass(frozen=True, slots=True)
class UploadRules:
    """Says what may be uploaded: a form's parts, and what `limits` narrow further than the settings.

    With `kept` False nothing of it reaches the storage: its hash is all that is wanted. Without `rows` the file has a
    row already.
    """

    settings: Settings
    storage: Storage
    calls: StorageCalls
    rows: UploadRows | None
    file_part: str = "file"
    most_files: int = 1
    text_parts: frozenset[str] = frozenset()
    limits: FileLimits = NO_LIMITS
    kept: bool = True

    @classmethod
    def of(cls, resources: Resources, owner_id: UUID) -> Self:
        """Make the rules of an owner's uploads in this process."""
        return cls(resources.settings, resources.storage, resources.storage_calls, UploadRows(resources, owner_id))

    @property
    def max_file_bytes(self) -> int:
        """How large a file may be."""
        return min(self.settings.max_upload_bytes, self.limits.max_file_bytes or self.settings.max_upload_bytes)

    def allows(self, media_type: str) -> bool:
        """Tell whether content of this type may be stored."""
        if not self.limits.take(media_type):
            return False
        patterns = [pattern.lower() for pattern in self.settings.allowed_media_types]
        if media_type in EXACT_ONLY:
            return media_type in patterns
        return any(fnmatchcase(media_type, pattern) for pattern in patterns)

    def identify(self, head: bytes) -> str:
        """Tell the type of a content by its first bytes; raises `MediaTypeNotAllowed`."""
        media_type = sniff(head)
        if not self.allows(media_type):
            raise MediaTypeNotAllowed(f"The content is {media_type}, which is not allowed.")
        return media_type


class HashOnly:
    """Stands in for a blob of which nothing is to be kept but the hash."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """The hexadecimal SHA-256 of what came so far."""
        return self._hash.hexdigest()

    def write(self, chunk: bytearray) -> None:
        """Take a chunk into the hash."""
        self._hash.update(chunk)

    def commit(self) -> None:
        """Do nothing."""

    def abort(self) -> None:
        """Do nothing."""


class IncomingFile:
    """Is a file on its way into the storage."""

    def __init__(self, rules: UploadRules, name: str | None, expected: int = 0, file_id: UUID | None = None) -> None:
        """Await a file; `expected` is how many bytes it will have at least, as far as is known."""
        self.id = file_id or new_id()
        self.name = clean_name(name)
        self.media_type = ""
        self.size = 0
        self.refusal: JobyardError | None = None
        self._rules = rules
        self._block = bytearray()
        self._writer: BlobWriter | HashOnly | None = None
        self._committed = False
        self._released = False
        self._expected = expected
        self._renew_at: float | None = None

    @property
    def storage_key(self) -> str:
        """The key of the file's blob."""
        return upload_key(self.id)

    @property
    def sha256(self) -> str:
        """The hexadecimal SHA-256 of the content, once it is kept."""
        if self._writer is None:
            raise ValueError("nothing was written yet")
        return self._writer.sha256

    @property
    def counts(self) -> bool:
        """Whether its content is read to the end, to be compared when the upload is repeated.

        Whether there is room differs from day to day: a file refused for want of it is told by its content, as is one
        that was stored. That it was refused for any other reason tells enough of its content.
        """
        return self.refusal is None or isinstance(self.refusal, QuotaExceeded)

    async def write(self, chunk: bytes) -> None:
        """Append a chunk.

        Raises `FileTooLarge`, `MediaTypeNotAllowed`, `QuotaExceeded`, `StorageFull`, `StorageUnavailable`.
        """
        self.size += len(chunk)
        if self.size > self._rules.max_file_bytes:
            raise FileTooLarge(f"The file is larger than {self._rules.max_file_bytes} bytes.")
        self._block += chunk
        if not self.media_type and len(self._block) >= HEAD_BYTES:
            self._identify()
        if len(self._block) >= (BLOCK_BYTES if self.size < _LARGE_FROM_BYTES else LARGE_BLOCK_BYTES):
            await self._hold_row()
            await self._rules.calls.make(self._flush)

    def finish(self) -> None:
        """Check a file that has arrived whole; raises `EmptyFile`, `MediaTypeNotAllowed`."""
        if self.size == 0:
            raise EmptyFile("The file has no content.")
        if not self.media_type:
            self._identify()

    def refuse(self, error: JobyardError) -> None:
        """Say why it is not stored; of what comes from here on nothing but the hash is kept."""
        self.refusal = error
        self._rules = replace(self._rules, kept=False)

    async def keep(self) -> None:
        """Keep the blob, flushed to disk; raises `QuotaExceeded`, `StorageFull`, `StorageUnavailable`."""
        await self._hold_row()
        await self._rules.calls.make(self._commit)

    def release(self) -> None:
        """Give the blob over to its row: `discard()` does nothing from here on."""
        self._released = True

    async def discard(self) -> None:
        """Drop whatever is stored, unless it was released; what cannot be deleted is swept by `files.clean`."""
        self._block = bytearray()
        if self._released:
            return
        if self._writer is not None:
            try:
                await self._rules.calls.make(self._drop)
            except StorageUnavailable:
                logger.warning("the blob %s was not deleted; files.clean will", self.storage_key, exc_info=True)
        if self._rules.rows is not None and self._renew_at is not None:
            self._renew_at = None
            await asyncio.shield(self._rules.rows.forget(self.id))

    async def _hold_row(self) -> None:
        """Write the row before the first byte of the blob, and renew it while a long upload goes on."""
        rows = self._rules.rows
        if rows is None or not self._rules.kept:
            return
        if self._renew_at is None:
            # Set first: an answer that is lost may have been a commit.
            self._renew_at = time.monotonic() + rows.renewed_every
            await rows.begin(self.id, max(self._expected, self.size))
        elif time.monotonic() > self._renew_at:
            self._renew_at = time.monotonic() + rows.renewed_every
            await rows.renew(self.id)

    def _identify(self) -> None:
        self.media_type = self._rules.identify(bytes(self._block[:HEAD_BYTES]))

    def _flush(self) -> None:
        block, self._block = self._block, bytearray()
        if self._writer is None:
            self._writer = self._rules.storage.writer(self.storage_key) if self._rules.kept else HashOnly()
        self._writer.write(block)

    def _commit(self) -> None:
        self._flush()
        if self._writer is not None:
            self._writer.commit()
            self._committed = self._rules.kept

    def _drop(self) -> None:
        if self._committed:
            self._rules.storage.delete(self.storage_key)
        elif self._writer is not None:
            self._writer.abort()
