"""Making an upload of which every byte is stored a file: its parts become one blob, its row the row of the file.

Whoever finds such an upload finishes it: the request that brought the last byte, or, if that died, the next that asks.
One at a time does, by a turn in this process and a lock of a database session, which ends with its process.
"""

import contextlib
import logging
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any, LiteralString
from uuid import UUID

import psycopg
from sqlalchemy import func, insert

from api.files import file_columns
from api.incoming_file import IncomingFile, UploadRules
from api.resources import Resources
from api.transactions import session_connection
from api.tus_body import delete_parts
from api.tus_errors import UploadBusy, UploadDamaged, UploadNotFound
from api.tus_rows import Part, TusRows, WholeUpload
from shared import models
from shared.database import connection_options
from shared.errors import JobyardError
from shared.settings import Settings
from shared.storage import BlobReader, part_key

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 20.0
_READ_BYTES = 1024 * 1024
_HOPELESS = {410, 413, 415}
"""Statuses of errors that no other attempt can help."""

_LOCK: LiteralString = "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))"
_SETTLE: LiteralString = "DELETE FROM uploads WHERE id = %s AND claim_id = %s"


async def finish(resources: Resources, owner_id: UUID, upload_id: UUID) -> None:
    """Make an upload a file, unless it is one already or has bytes still to come.

    Raises `UploadBusy` while somebody else does. What can never be a file is deleted: raises `MediaTypeNotAllowed`,
    `FileTooLarge`, `UploadDamaged`. Raises `StorageFull`, `StorageUnavailable`; then it can be tried again.
    """
    rows = TusRows(resources, owner_id)
    async with _turn(resources, upload_id):
        state = await rows.read(upload_id)
        if state is None or state.finished:
            return
        async with _locked(resources.settings, upload_id):
            await _finish(resources, owner_id, rows, upload_id)


async def _finish(resources: Resources, owner_id: UUID, rows: TusRows, upload_id: UUID) -> None:
    claimed = await rows.claim_whole(upload_id)
    if claimed is None:
        return
    whole, parts = claimed
    try:
        await _make_file(resources, owner_id, whole, parts)
    except JobyardError as error:
        if error.status in _HOPELESS:
            await drop(resources, rows, upload_id, whole.claim_id)
        raise
    await delete_parts(resources.storage, resources.storage_calls, upload_id, parts)


async def drop(resources: Resources, rows: TusRows, upload_id: UUID, claim_id: UUID | None = None) -> bool:
    """Delete an upload and its parts, or only if it is under this claim; tells whether it was there."""
    parts = await rows.delete(upload_id, claim_id)
    await delete_parts(resources.storage, resources.storage_calls, upload_id, parts or ())
    return parts is not None


@contextlib.asynccontextmanager
async def _turn(resources: Resources, upload_id: UUID) -> AsyncGenerator[None]:
    async with contextlib.AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(resources.finishing.take(upload_id, PATIENCE_SECONDS))
        except TimeoutError:
            raise _busy() from None
        yield


@contextlib.asynccontextmanager
async def _locked(settings: Settings, upload_id: UUID) -> AsyncGenerator[None]:
    # A session of its own: a large file takes long, and the pool's connections are for short statements.
    async with await _connect(settings) as connection:
        row = await (await connection.execute(_LOCK, (str(upload_id),))).fetchone()
        if row is None or not row[0]:
            raise _busy()
        try:
            yield
        finally:
            # Its end would release it too, but only some time later, and the next in turn would find it held.
            with contextlib.suppress(psycopg.Error):
                await connection.execute("SELECT pg_advisory_unlock_all()")


def _busy() -> UploadBusy:
    return UploadBusy("Another request makes this upload a file; ask again.", headers={"Retry-After": "1"})


async def _connect(settings: Settings) -> psycopg.AsyncConnection[Any]:
    options = connection_options("jobyard-web-upload")
    return await psycopg.AsyncConnection.connect(settings.database_url, autocommit=True, **options)


async def _make_file(resources: Resources, owner_id: UUID, whole: WholeUpload, parts: Sequence[Part]) -> None:
    # Its row is there already, and reserves its bytes.
    rules = replace(UploadRules.of(resources, owner_id), rows=None)
    incoming = IncomingFile(rules, whole.name, file_id=whole.id)
    try:
        for part in parts:
            await _copy_part(resources, incoming, part)
        incoming.finish()
        await incoming.keep()
        # From here on it is deleted only when nobody can need it: had this session lost its lock, a rival may have
        # finished the upload with a blob of the same name and content.
        incoming.release()
    finally:
        await incoming.discard()
    if await _settle(resources, owner_id, whole, incoming):
        return
    if await TusRows(resources, owner_id).read(whole.id) is not None:
        raise _busy()
    await resources.storage_calls.make(partial(resources.storage.delete, incoming.storage_key))
    raise UploadNotFound("The upload was ended meanwhile.")


async def _copy_part(resources: Resources, incoming: IncomingFile, part: Part) -> None:
    key = part_key(incoming.id, part.blob_id)
    try:
        reader: BlobReader = await resources.storage_calls.make(partial(resources.storage.open, key))
    except FileNotFoundError:
        logger.error("the blob %s is lost", key)  # noqa: TRY400 - where it was looked for says nothing
        raise UploadDamaged("The storage lost a part of it: upload the file anew.") from None
    with reader:
        before = incoming.size
        while chunk := await resources.storage_calls.make(partial(reader.read, _READ_BYTES)):
            await incoming.write(chunk)
    if incoming.size - before != part.size:
        raise UploadDamaged("The storage lost bytes of it: upload the file anew.")


async def _settle(resources: Resources, owner_id: UUID, whole: WholeUpload, incoming: IncomingFile) -> bool:
    # Its bytes were reserved when it began and count until then: that it fits need not be asked again.
    kept = func.now() + timedelta(seconds=whole.kept_seconds)
    values = file_columns(owner_id, incoming, whole.description) | {"expires_at": kept}
    async with resources.sessions.begin() as session:
        connection = await session_connection(session)
        if (await connection.execute(_SETTLE, (whole.id, whole.claim_id))).rowcount == 0:
            return False
        await session.execute(insert(models.File).values(values))
    return True
