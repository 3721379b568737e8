"""A request's piece of a resumable upload on its way into the storage, in parts that are durable one by one."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Iterable
from functools import partial
from uuid import UUID

import psycopg

from api.incoming_file import BLOCK_BYTES, UploadRules
from api.request_body import Body
from api.storage_calls import StorageCalls
from api.tus_errors import ChecksumMismatch, TooManyUploadParts, UploadTakenOver
from api.tus_headers import Checksum
from api.tus_rows import Claim, Part, TusRows
from api.upload_errors import UploadAborted
from shared.errors import StorageUnavailable
from shared.ids import new_id
from shared.media_type import HEAD_BYTES
from shared.storage import BlobWriter, Storage, part_key

logger = logging.getLogger(__name__)

PART_BYTES = 16 * 1024 * 1024
"""A part is at most so large: what a killed process loses of an upload."""
MOST_PARTS = 10_000


async def append(body: Body, rules: UploadRules, rows: TusRows, claim: Claim, checksum: Checksum | None) -> int:
    """Append a body to an upload; gives the new offset.

    A body that breaks off is kept as far as it came, unless it has a checksum: then all of it counts or nothing.
    Raises `ChecksumMismatch`, `MediaTypeNotAllowed`, `TooManyUploadParts`, `UploadTakenOver`, `UploadAborted`,
    `StorageFull`, `StorageUnavailable`.
    """
    async with _discarding(_Piece(rules, rows, claim, checksum)) as piece:
        try:
            async with contextlib.aclosing(body.chunks()) as chunks:
                async for chunk in chunks:
                    await piece.write(chunk)
        except UploadAborted:
            if checksum is None:
                await piece.finish()
            raise
        await piece.finish()
        return piece.offset


@contextlib.asynccontextmanager
async def _discarding(piece: "_Piece") -> AsyncGenerator["_Piece"]:
    try:
        yield piece
    finally:
        await piece.discard()


class _Piece:
    def __init__(self, rules: UploadRules, rows: TusRows, claim: Claim, checksum: Checksum | None) -> None:
        self.offset = claim.offset
        self._rules = rules
        self._rows = rows
        self._claim = claim
        self._checksum = checksum
        self._hash = None if checksum is None else checksum.new_hash()
        self._identified = claim.offset > 0
        self._block = bytearray()
        self._writer: BlobWriter | None = None
        self._blob_id = claim.id
        self._stored: list[Part] = []
        self._count = claim.parts

    async def write(self, chunk: bytes) -> None:
        self._block += chunk
        if not self._identified and len(self._block) >= HEAD_BYTES:
            self._identified = True
            self._rules.identify(bytes(self._block[:HEAD_BYTES]))
        if len(self._block) >= BLOCK_BYTES:
            await self._flush()

    async def finish(self) -> None:
        if self._block:
            await self._flush()
        if self._checksum is not None and self._hash is not None and self._hash.digest() != self._checksum.digest:
            raise ChecksumMismatch("The body does not have the checksum that was announced; nothing of it was kept.")
        await self._end_part()
        await self._record()

    async def discard(self) -> None:
        """Drop what is stored and was not recorded."""
        self._block = bytearray()
        writer, self._writer = self._writer, None
        if writer is not None:
            await self._rules.calls.make(writer.abort)
        stored, self._stored = self._stored, []
        await delete_parts(self._rules.storage, self._rules.calls, self._claim.id, stored)

    async def _flush(self) -> None:
        # A part ends only when more comes: of a body that is too long, its last part is not kept.
        if self._writer is not None and self._writer.size + len(self._block) > PART_BYTES:
            await self._end_part()
            if self._checksum is None:
                await self._record()
        if self._writer is None:
            self._count += 1
            if self._count > MOST_PARTS:
                raise TooManyUploadParts(f"An upload comes in {MOST_PARTS} pieces at most: begin anew, in larger ones.")
        block, self._block = self._block, bytearray()
        await self._rules.calls.make(partial(self._append, block))

    def _append(self, block: bytearray) -> None:
        if self._writer is None:
            self._blob_id = new_id()
            self._writer = self._rules.storage.writer(part_key(self._claim.id, self._blob_id), hashed=False)
        self._writer.write(block)
        if self._hash is not None:
            self._hash.update(block)

    async def _end_part(self) -> None:
        if self._writer is None:
            return
        await self._rules.calls.make(self._writer.commit)
        self._stored.append(Part(self._blob_id, self._writer.size))
        self._writer = None

    async def _record(self) -> None:
        if not self._stored:
            return
        try:
            recorded = await self._rows.add(self._claim, self.offset, self._stored)
        except (psycopg.OperationalError, asyncio.CancelledError):
            # Whether that was committed nobody knows: without a row the parts are swept by files.clean.
            self._stored = []
            raise
        if not recorded:
            raise UploadTakenOver("Another request continues this upload, or ended it.")
        self.offset += sum(part.size for part in self._stored)
        self._stored = []


async def delete_parts(storage: Storage, calls: StorageCalls, upload_id: UUID, parts: Iterable[Part]) -> None:
    """Delete the blobs of parts that no row names any more; what cannot be deleted is swept by `files.clean`."""
    keys = [part_key(upload_id, part.blob_id) for part in parts]
    if not keys:
        return
    try:
        await calls.make(partial(storage.delete, *keys))
    except StorageUnavailable:
        logger.warning("parts of upload %s were not deleted; files.clean will", upload_id, exc_info=True)
