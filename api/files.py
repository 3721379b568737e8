"""Storing, reading and deleting files. A blob is committed before its file's row, and deleted after it."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from fastapi import Response
from sqlalchemy import delete, exists, func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from api.idempotent_uploads import HeldKey
from api.incoming_file import IncomingFile
from api.pages import Page, PageQuery, make_page, select_page
from api.resources import Resources
from api.transactions import session_connection
from api.upload_errors import NothingStored
from api.upload_rows import settle_uploads
from api.uploads import Form
from shared import models
from shared.errors import FileInUse, FileNotFound, StorageUnavailable
from shared.file_shapes import File, file_of
from shared.job_queue import Enqueued, NewJob, enqueue
from shared.job_state import TERMINAL
from shared.quota import Quota, QuotaExceeded, bound_waiting, read_quota

logger = logging.getLogger(__name__)


Answer = Callable[[Sequence[models.File], Enqueued | None], Response]
"""Makes the answer for stored files and the job that was enqueued with them."""


async def store(
    resources: Resources,
    owner_id: UUID,
    form: Form,
    held: HeldKey,
    answer: Answer,
    retention: timedelta,
    *,
    description: str | None = None,
    new_job: NewJob | None = None,
) -> Response:
    """Keep a form's files for so long: blobs first, then rows, a job and the answer under the key in one transaction.

    Raises `QuotaExceeded`, of a batch `NothingStored`, `UploadExpired`, and `IdempotencyKeyInUse` when the key was lost
    meanwhile; then nothing is kept. Of a batch, the files for which there is no room are refused, and no others.
    """
    await form.keep()
    async with resources.sessions() as session:
        connection = await session_connection(session)
        await bound_waiting(connection)
        await settle_uploads(connection, owner_id, [file.id for file in form.accepted])
        values = [file_columns(owner_id, file, description) for file in form.accepted]
        rows = await _insert(session, values, retention)
        if refused := await _refuse_excess(session, resources, owner_id, form):
            rows = [row for row in rows if row.id not in refused]
        enqueued = await enqueue(connection, new_job) if new_job else None
        response = answer(rows, enqueued)
        await held.keep(connection, form, response)
        # Whether a COMMIT without an answer happened nobody knows: then files.clean finds out and sweeps.
        for file in form.accepted:
            file.release()
        await session.commit()
    if enqueued is not None:
        resources.note_enqueued(owner_id)
    return response


async def _insert(session: AsyncSession, values: list[dict[str, Any]], retention: timedelta) -> list[models.File]:
    statement = insert(models.File).values(expires_at=func.now() + retention)
    return list(await session.scalars(statement.returning(models.File), values))


async def _refuse_excess(session: AsyncSession, resources: Resources, owner_id: UUID, form: Form) -> set[UUID]:
    """Refuse the files that do not fit now that their sizes are known, and delete their rows; gives their ids."""
    quota = await read_quota(await session_connection(session), resources.settings, owner_id)
    excess = _excess(quota, form.accepted) if quota is not None else {}
    if not excess:
        return set()
    await session.execute(delete(models.File).where(models.File.id.in_(file.id for file in excess)))
    try:
        for file, error in excess.items():
            form.refuse(file, error)
        form.require_accepted()
    except (QuotaExceeded, NothingStored):
        # What was reserved goes at this very moment: no rival is refused for the sake of a file that does not come.
        await session.commit()
        raise
    return {file.id for file in excess}


def _excess(quota: Quota, files: Sequence[IncomingFile]) -> dict[IncomingFile, QuotaExceeded]:
    """Tell which of these files, all counted in the quota, do not fit beside the others and those before them."""
    fitting = replace(quota, bytes=quota.bytes - sum(file.size for file in files), files=quota.files - len(files))
    excess: dict[IncomingFile, QuotaExceeded] = {}
    for file in files:
        more = replace(fitting, bytes=fitting.bytes + file.size, files=fitting.files + 1)
        try:
            more.require_room()
        except QuotaExceeded as error:
            excess[file] = error
        else:
            fitting = more
    return excess


def file_columns(owner_id: UUID, file: IncomingFile, description: str | None) -> dict[str, Any]:
    """Give the columns of an uploaded file, all but its expiry."""
    return {
        "id": file.id,
        "owner_id": owner_id,
        "name": file.name,
        "description": description,
        "media_type": file.media_type,
        "size": file.size,
        "sha256": file.sha256,
        "storage_key": file.storage_key,
        "purpose": "upload",
    }


async def list_files(resources: Resources, owner_id: UUID, page: PageQuery) -> Page[File]:
    """List an owner's files, newest first."""
    statement = select(models.File).where(models.File.owner_id == owner_id)
    statement = select_page(statement, page, models.File.created_at, models.File.id)
    async with resources.sessions() as session:
        rows = (await session.scalars(statement)).all()
    return make_page(rows, page, lambda row: (row.created_at, row.id), file_of)


async def read_file(resources: Resources, owner_id: UUID, file_id: UUID) -> models.File:
    """Read an owner's file; raises `FileNotFound`."""
    async with resources.sessions() as session:
        return await find_file(session, owner_id, file_id)


async def find_file(session: AsyncSession, owner_id: UUID, file_id: UUID, *, lock: bool = False) -> models.File:
    """Find an owner's file in a transaction, locked against jobs that would need it; raises `FileNotFound`."""
    statement = select(models.File).where(models.File.id == file_id, models.File.owner_id == owner_id)
    row = await session.scalar(statement.with_for_update() if lock else statement)
    if row is None:
        raise FileNotFound("No such file.")
    return row


async def delete_file(resources: Resources, owner_id: UUID, file_id: UUID) -> None:
    """Delete an owner's file; raises `FileNotFound`, and `FileInUse` while a live job needs it."""
    needed = exists().where(
        models.JobFile.file_id == file_id,
        models.JobFile.job_id == models.Job.id,
        models.Job.state.not_in(TERMINAL),
    )
    async with resources.sessions.begin() as session:
        row = await find_file(session, owner_id, file_id, lock=True)
        # A statement of its own: only now, behind the lock, it sees the job of an enqueue that came first.
        if await session.scalar(select(needed)):
            raise FileInUse("A job that is not done yet needs the file.")
        await session.delete(row)
    try:
        await resources.storage_calls.make(partial(resources.storage.delete, row.storage_key))
    except StorageUnavailable:
        logger.warning("the blob %s was not deleted; files.clean will", row.storage_key, exc_info=True)
