"""`files.clean`: deletes files past their time and blobs that nobody knows, and counts files that lost their blob.

Each step works in batches, so that memory stays flat however much there is. A row goes before its blob: a crash in
between leaves an orphaned blob, which the next run finds.
"""

import re
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field
from sqlalchemy import ColumnElement, Select, and_, delete, exists, func, select, tuple_
from sqlalchemy.sql.selectable import TypedReturnsRows

from shared.job_context import JobContext
from shared.job_kind import JobInput, JobResult, job
from shared.job_state import TERMINAL, JobState
from shared.models import File, Job, JobFile
from shared.storage import Blob

MOST_LISTED = 100

_CLEANED = ("uploads/", "outputs/", "incoming/")
_OUTPUT = re.compile(r"outputs/([0-9a-f-]{36})/(\d{1,9})/.+")


class FilesCleanInput(JobInput):
    """Says whether to only tell what would be deleted, and how many files are dealt with at once."""

    dry_run: bool = False
    batch_size: int = Field(500, ge=1, le=10_000)


class Deletion(BaseModel):
    """Is one blob to be deleted; `size` is in bytes."""

    reason: Literal["expired", "orphaned"]
    storage_key: str
    size: int


class FilesCleanResult(JobResult):
    """Counts what was deleted, or would be; `missing` are files without a blob, which are only reported."""

    expired: int
    orphaned: int
    missing: int
    bytes_freed: int
    dry_run: bool
    would_delete: list[Deletion] = Field(description=f"The first {MOST_LISTED} of a dry run.")


@job("files.clean", queue="maintenance", access="operator", timeout=timedelta(hours=2))
def clean_files(job_input: FilesCleanInput, context: JobContext) -> FilesCleanResult:
    """Delete expired files and orphaned blobs, and count the files whose blob is missing."""
    cleaning = _Cleaning(context, dry_run=job_input.dry_run, batch_size=job_input.batch_size)
    cleaning.remove_expired()
    cleaning.remove_orphans()
    return FilesCleanResult(
        expired=cleaning.count["expired"],
        orphaned=cleaning.count["orphaned"],
        missing=cleaning.count_missing(),
        bytes_freed=cleaning.bytes_freed,
        dry_run=job_input.dry_run,
        would_delete=cleaning.listed,
    )


class _Cleaning:
    def __init__(self, context: JobContext, *, dry_run: bool, batch_size: int) -> None:
        self._context = context
        self._dry_run = dry_run
        self._batch_size = batch_size
        self._seen = 0
        self.count = {"expired": 0, "orphaned": 0}
        self.bytes_freed = 0
        self.listed: list[Deletion] = []

    def remove_expired(self) -> None:
        """Delete the files past their time that no live job needs."""
        position: ColumnElement[bool] | None = None
        while True:
            with self._context.session() as session:
                batch = session.execute(self._page(position)).all()
                ids = [row.id for row in batch]
                deletable = session.execute(self._take(ids)).all() if ids else []
            self._remove("expired", ((row.storage_key, row.size) for row in deletable))
            if len(batch) < self._batch_size:
                return
            position = tuple_(File.expires_at, File.id) > (batch[-1].expires_at, batch[-1].id)
            self._report(len(batch), "expired files")

    def _page(self, position: ColumnElement[bool] | None) -> Select[UUID, datetime]:
        statement = select(File.id, File.expires_at).where(_is_expired()).order_by(File.expires_at, File.id)
        if position is not None:
            statement = statement.where(position)
        statement = statement.limit(self._batch_size)
        # A file that is locked is being given to a job right now.
        return statement if self._dry_run else statement.with_for_update(skip_locked=True)

    def _take(self, ids: Sequence[UUID]) -> TypedReturnsRows[str, int]:
        # The page was read before its rows were locked. This statement sees the jobs that came in between, and none can
        # come after it: enqueueing locks the rows of its files.
        condition = and_(File.id.in_(ids), _is_expired())
        if self._dry_run:
            return select(File.storage_key, File.size).where(condition)
        return delete(File).where(condition).returning(File.storage_key, File.size)

    def remove_orphans(self) -> None:
        """Delete the blobs that have no file, once they are older than the grace that uploads and jobs get."""
        cutoff = time.time() - self._context.settings.orphan_grace_minutes * 60
        for batch in _batches(self._context.storage.blobs(), self._batch_size):
            old = [blob for blob in batch if blob.modified < cutoff and blob.key.startswith(_CLEANED)]
            orphans = self._without_file(old)
            self._remove("orphaned", ((blob.key, blob.size) for blob in orphans))
            self._report(len(batch), "blobs")

    def _without_file(self, blobs: Sequence[Blob]) -> list[Blob]:
        # In this order: what a job wrote is registered when it ends, so an output is in one of the two answers.
        kept = self._running_outputs([blob.key for blob in blobs])
        rest = [blob for blob in blobs if blob.key not in kept]
        if not rest:
            return []
        with self._context.session() as session:
            known = set(session.scalars(select(File.storage_key).where(File.storage_key.in_([b.key for b in rest]))))
        return [blob for blob in rest if blob.key not in known]

    def _running_outputs(self, keys: Sequence[str]) -> set[str]:
        attempts = {key: (UUID(match[1]), int(match[2])) for key in keys if (match := _OUTPUT.fullmatch(key))}
        if not attempts:
            return set()
        job_ids = {job_id for job_id, _ in attempts.values()}
        statement = select(Job.id, Job.fence).where(Job.id.in_(job_ids), Job.state == JobState.RUNNING.value)
        with self._context.session() as session:
            running = {(row.id, row.fence) for row in session.execute(statement)}
        return {key for key, attempt in attempts.items() if attempt in running}

    def count_missing(self) -> int:
        """Count the files whose blob is not there."""
        missing, last = 0, UUID(int=0)
        while True:
            statement = select(File.id, File.storage_key).where(File.id > last).order_by(File.id)
            with self._context.session() as session:
                batch = session.execute(statement.limit(self._batch_size)).all()
            lost = [row.id for row in batch if not self._context.storage.holds(row.storage_key)]
            if lost:
                # Those deleted meanwhile, row before blob, are not missing.
                with self._context.session() as session:
                    missing += session.scalars(select(func.count()).where(File.id.in_(lost))).one()
            if len(batch) < self._batch_size:
                return missing
            last = batch[-1].id
            self._report(len(batch), "files")

    def _remove(self, reason: Literal["expired", "orphaned"], blobs: Iterable[tuple[str, int]]) -> None:
        for key, size in blobs:
            self.count[reason] += 1
            self.bytes_freed += size
            if not self._dry_run:
                self._context.storage.delete(key)
                continue
            if len(self.listed) < MOST_LISTED:
                self.listed.append(Deletion(reason=reason, storage_key=key, size=size))

    def _report(self, count: int, of_what: str) -> None:
        self._seen += count
        self._context.progress(self._seen, None, f"Looked at {self._seen} rows and blobs, now {of_what}")


def _is_expired() -> ColumnElement[bool]:
    live = [state.value for state in JobState if state not in TERMINAL]
    needed = exists().where(JobFile.file_id == File.id, JobFile.job_id == Job.id, Job.state.in_(live))
    return and_(File.expires_at < func.clock_timestamp(), ~needed)


def _batches(blobs: Iterator[Blob], size: int) -> Iterator[list[Blob]]:
    while batch := list(islice(blobs, size)):
        yield batch
