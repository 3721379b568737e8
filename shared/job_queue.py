"""Writing jobs down: enqueue, cancel, retry. Each statement is one step of docs/architecture.md.

A job is accepted when its row is committed. The row is the outbox: the dispatcher finds it there, the nudge after the
commit only makes it look sooner.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from psycopg import AsyncConnection, Connection
from psycopg.rows import args_row, tuple_row
from psycopg.types.json import Jsonb

from shared.errors import FileNotFound
from shared.file_limits import NO_LIMITS, FileLimits, NeededFile
from shared.ids import new_id
from shared.job_kind import JobInput, JobKind
from shared.job_row import COLUMNS, JobRow
from shared.settings import Settings

READY_CHANNEL = "jobyard_ready"

NUDGE = f"NOTIFY {READY_CHANNEL}"
"""Wakes the dispatcher. Send it outside the transaction: inside it would serialise commits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """Is a job about to be written down; times are absolute, `run_at` None means now.

    `input_pointer` says where the input stands in a client's body, as a JSON pointer; None when it is in none.
    """

    owner_id: UUID
    kind: str
    queue: str
    input: dict[str, Any]
    max_attempts: int
    id: UUID = field(default_factory=new_id)
    priority: int = 0
    tags: Sequence[str] = ()
    unique_key: str | None = None
    concurrency_key: str = ""
    run_at: datetime | None = None
    ttl_seconds: float | None = None
    retried_from: UUID | None = None
    parent_id: UUID | None = None
    webhook_url: str | None = None
    silent: bool = False
    file_ids: Sequence[UUID] = ()
    file_limits: FileLimits = NO_LIMITS
    input_pointer: str | None = None


def job_of(kind: JobKind, owner_id: UUID, checked: JobInput, settings: Settings) -> NewJob:
    """Make a job of a checked input, with the kind's own defaults; `dataclasses.replace` says what differs."""
    return NewJob(
        owner_id=owner_id,
        kind=kind.name,
        queue=kind.queue,
        input=checked.model_dump(mode="json"),
        max_attempts=kind.max_attempts,
        silent=kind.silent,
        file_ids=checked.file_ids(),
        file_limits=kind.file_limits(settings),
    )


# A job that is due at once is born queued. Its ttl counts from when it may first start.
_INSERT = """
INSERT INTO jobs (id, owner_id, kind, queue, state, priority, input, tags, unique_key, run_at, ttl_at, max_attempts,
                  retried_from, parent_id, concurrency_key, webhook_url, silent)
VALUES (%(id)s, %(owner_id)s, %(kind)s, %(queue)s,
        CASE WHEN %(run_at)s::timestamptz > now() THEN 'scheduled' ELSE 'queued' END,
        %(priority)s, %(input)s, %(tags)s, %(unique_key)s, coalesce(%(run_at)s::timestamptz, now()),
        greatest(%(run_at)s::timestamptz, now()) + make_interval(secs => %(ttl_seconds)s::float8),
        %(max_attempts)s, %(retried_from)s, %(parent_id)s, %(concurrency_key)s, %(webhook_url)s, %(silent)s)
ON CONFLICT DO NOTHING
RETURNING state, run_at, ttl_at, created_at
"""

_EXISTING = f"""
SELECT {COLUMNS} FROM jobs
WHERE id = %(id)s
   OR (owner_id = %(owner_id)s AND kind = %(kind)s AND unique_key = %(unique_key)s
       AND state IN ('scheduled', 'queued', 'running', 'retrying'))
LIMIT 1
"""  # noqa: S608 - constants of this module

_LOCK_FILES = "SELECT id, media_type, size FROM files WHERE owner_id = %s AND id = ANY(%s) FOR KEY SHARE"
_LINK_FILES = "INSERT INTO job_files (job_id, file_id) SELECT %s, unnest(%s::uuid[])"

CANCELLED_ERROR: LiteralString = (
    """'{"code": "cancelled", "detail": "The job was cancelled.", "retryable": false}'::jsonb"""
)
"""The error of a cancelled job, as SQL."""

# What waits ends at once; what runs is asked to stop. The one ladder, for one job and for many.
_CANCEL: LiteralString = f"""
UPDATE jobs SET
    cancel_requested = true,
    version = version + 1,
    state = CASE WHEN state = 'running' THEN state ELSE 'cancelled' END,
    error = CASE WHEN state = 'running' THEN error
                 ELSE {CANCELLED_ERROR} END,
    finished_at = CASE WHEN state = 'running' THEN NULL ELSE clock_timestamp() END
WHERE owner_id = %(owner_id)s AND NOT cancel_requested AND state IN ('scheduled', 'queued', 'running', 'retrying')
"""  # noqa: S608 - a constant of this module
_CANCEL_ONE = f"{_CANCEL} AND id = %(id)s RETURNING {COLUMNS}"
_CANCEL_MANY = f"{_CANCEL} AND id = ANY(%(ids)s)"
_CANCEL_AND_READ = f"{_CANCEL_MANY} RETURNING {COLUMNS}"

_READ = f"SELECT {COLUMNS} FROM jobs WHERE id = %(id)s AND owner_id = %(owner_id)s"  # noqa: S608 - constants of this module


def _parameters(new: NewJob) -> dict[str, Any]:
    return {
        "id": new.id,
        "owner_id": new.owner_id,
        "kind": new.kind,
        "queue": new.queue,
        "priority": new.priority,
        "input": Jsonb(new.input),
        "tags": list(new.tags),
        "unique_key": new.unique_key,
        "run_at": new.run_at,
        "ttl_seconds": new.ttl_seconds,
        "max_attempts": new.max_attempts,
        "retried_from": new.retried_from,
        "parent_id": new.parent_id,
        "concurrency_key": new.concurrency_key,
        "webhook_url": new.webhook_url,
        "silent": new.silent,
    }


@dataclass(frozen=True, slots=True)
class Enqueued:
    """Is the outcome of `enqueue`: the row, and whether it stood there before (same id or live `unique_key`)."""

    row: JobRow
    existing: bool


def _born(
    new: NewJob, state: str, run_at: datetime, ttl_at: datetime | None, created_at: datetime
) -> JobRow:  # fmt: skip
    # Only what the database decided crosses the wire back; the rest is as it was sent, or as every job begins.
    return JobRow(
        id=new.id,
        owner_id=new.owner_id,
        kind=new.kind,
        queue=new.queue,
        state=state,
        priority=new.priority,
        input=new.input,
        result=None,
        error=None,
        last_error=None,
        tags=list(new.tags),
        attempt=0,
        max_attempts=new.max_attempts,
        run_at=run_at,
        ttl_at=ttl_at,
        created_at=created_at,
        started_at=None,
        finished_at=None,
        cancel_requested=False,
        progress_completed=None,
        progress_total=None,
        progress_message=None,
        version=1,
        retried_from=new.retried_from,
        parent_id=new.parent_id,
        concurrency_key=new.concurrency_key,
        webhook_url=new.webhook_url,
        silent=new.silent,
    )


async def enqueue(connection: AsyncConnection[Any], new: NewJob) -> Enqueued:
    """Write a job down on the caller's connection, in its transaction if there is one.

    A job that needs files must be enqueued inside a transaction: they are locked until its end.
    Raises `FileNotFound` when a needed file is not the owner's, `MediaTypeNotAllowed` and `FileTooLarge` when the kind
    does not take it.
    """
    async with connection.cursor(row_factory=tuple_row) as cursor:
        if new.file_ids:
            await cursor.execute(_LOCK_FILES, (new.owner_id, list(new.file_ids)), prepare=True)
            _require_files(new, await cursor.fetchall())
        while True:
            await cursor.execute(_INSERT, _parameters(new), prepare=True)
            decided = await cursor.fetchone()
            if decided is not None:
                row = _born(new, *decided)
                break
            await cursor.execute(_EXISTING, {"id": new.id, "owner_id": new.owner_id, "kind": new.kind,
                                             "unique_key": new.unique_key})  # fmt: skip
            # None again: the rival with our unique_key just became terminal, so the place is free.
            existing = await cursor.fetchone()
            if existing is not None:
                return Enqueued(JobRow(*existing), existing=True)
        if new.file_ids:
            await cursor.execute(_LINK_FILES, (new.id, list(set(new.file_ids))))
    return Enqueued(row, existing=False)


def enqueue_in_worker(connection: Connection[Any], new: NewJob) -> bool:
    """Write a job down from a worker; False when it stood there before. Raises as `enqueue`."""
    with connection.cursor() as cursor:
        if new.file_ids:
            cursor.execute(_LOCK_FILES, (new.owner_id, list(new.file_ids)))
            _require_files(new, cursor.fetchall())
        cursor.execute(_INSERT, _parameters(new))
        if cursor.rowcount == 0:
            return False
        if new.file_ids:
            cursor.execute(_LINK_FILES, (new.id, list(set(new.file_ids))))
    return True


def _require_files(new: NewJob, found: Sequence[NeededFile]) -> None:
    if len(found) != len(set(new.file_ids)):
        raise FileNotFound("A file that the job needs does not exist.")
    new.file_limits.require(found, new.input, new.input_pointer)


async def read_job(connection: AsyncConnection[Any], owner_id: UUID, job_id: UUID) -> JobRow | None:
    """Read a job of an owner's."""
    async with connection.cursor(row_factory=args_row(JobRow)) as cursor:
        await cursor.execute(_READ, {"id": job_id, "owner_id": owner_id}, prepare=True)
        return await cursor.fetchone()


async def cancel_job(connection: AsyncConnection[Any], owner_id: UUID, job_id: UUID) -> JobRow | None:
    """Cancel a waiting job, or ask a running one to stop. None when there was nothing (more) to do."""
    async with connection.cursor(row_factory=args_row(JobRow)) as cursor:
        await cursor.execute(_CANCEL_ONE, {"id": job_id, "owner_id": owner_id})
        return await cursor.fetchone()


async def cancel_jobs(connection: AsyncConnection[Any], owner_id: UUID, job_ids: Sequence[UUID]) -> list[JobRow]:
    """Cancel an owner's jobs as `cancel_job` does, which the caller has locked; gives those there was work for."""
    async with connection.cursor(row_factory=args_row(JobRow)) as cursor:
        await cursor.execute(_CANCEL_AND_READ, {"ids": list(job_ids), "owner_id": owner_id})
        return await cursor.fetchall()


def cancel_jobs_in_worker(connection: Connection[Any], owner_id: UUID, job_ids: Sequence[UUID]) -> int:
    """Cancel an owner's jobs as `cancel_job` does; gives how many there was something to do for."""
    return connection.execute(_CANCEL_MANY, {"ids": list(job_ids), "owner_id": owner_id}).rowcount


async def delete_job(connection: AsyncConnection[Any], owner_id: UUID, job_id: UUID) -> bool:
    """Delete a terminal job of an owner's; False when there is none. Its files stay."""
    cursor = await connection.execute(
        "DELETE FROM jobs WHERE id = %s AND owner_id = %s AND finished_at IS NOT NULL", (job_id, owner_id)
    )
    return cursor.rowcount == 1
