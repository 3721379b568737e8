"""`files.clean`: deletes expired files, abandoned uploads and blobs that nobody knows; tells which files have no blob.

How it does that without locking anything for long, whatever happens meanwhile, is told in `worker.cleaning`.
"""

import logging
from contextlib import closing
from datetime import timedelta
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field

from shared.database import connect
from shared.job_context import JobContext
from shared.job_kind import JobInput, JobResult, job

logger = logging.getLogger(__name__)


class FilesCleanInput(JobInput):
    """Says whether to only tell what would be deleted, and how many files are dealt with at once."""

    dry_run: bool = False
    batch_size: int = Field(500, ge=1, le=10_000)


class Deletion(BaseModel):
    """Is what would be deleted: a blob, or an upload by the blob that it would become; `size` is in bytes."""

    reason: Literal["expired", "abandoned", "orphaned"]
    storage_key: str
    size: int


class FilesCleanResult(JobResult):
    """Counts what was deleted, or would be."""

    expired: int = Field(description="Files past their time that no live job needed.")
    abandoned: int = Field(description="Uploads that nobody went on with.")
    orphaned: int = Field(description="Blobs without a row, older than the grace.")
    missing: int = Field(description="Files without a blob: only reported, never deleted.")
    missing_ids: list[UUID] = Field(description="The first 100 of them.")
    bytes_freed: int = Field(description="Bytes, as the rows of files and uploads and the list of blobs say.")
    dry_run: bool
    would_delete: list[Deletion] = Field(description="Of a dry run: the first 100 of each sort.")


@job("files.clean", queue="maintenance", access="operator", timeout=timedelta(hours=2))
def clean_files(job_input: FilesCleanInput, context: JobContext) -> FilesCleanResult:
    """Delete expired files, abandoned uploads and orphaned blobs, and tell which files have no blob."""
    from worker.cleaning.abandoned import remove_abandoned  # noqa: PLC0415 - the front imports this module
    from worker.cleaning.blobs import compare_blobs  # noqa: PLC0415 - likewise
    from worker.cleaning.expired import remove_expired  # noqa: PLC0415 - likewise
    from worker.cleaning.sweep import LONGEST_WAIT, Sweep  # noqa: PLC0415 - likewise

    with closing(connect(context.settings, "jobyard-cleaning", lock_timeout=LONGEST_WAIT)) as connection:
        sweep = Sweep(context, connection, dry_run=job_input.dry_run, batch_size=job_input.batch_size)
        remove_expired(sweep)
        remove_abandoned(sweep)
        missing = compare_blobs(sweep)
    if missing.count:
        logger.warning("%s files have no blob, the first: %s", missing.count, ", ".join(map(str, missing.first[:10])))
    return FilesCleanResult(
        expired=sweep.count["expired"],
        abandoned=sweep.count["abandoned"],
        orphaned=sweep.count["orphaned"],
        missing=missing.count,
        missing_ids=missing.first,
        bytes_freed=sweep.bytes_freed,
        dry_run=job_input.dry_run,
        would_delete=[
            Deletion(reason=reason, storage_key=doomed.key, size=doomed.size) for reason, doomed in sweep.listed
        ],
    )
