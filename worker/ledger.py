"""The worker's side of the ledger: claim, heartbeat, and the one write that ends an attempt.

Every write is guarded by the fence, which rises at each claim and never falls: zero rows mean that the claim was lost
and whatever was made must not be recorded. Times are the database's.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal, LiteralString
from uuid import UUID

from psycopg import Connection
from psycopg.rows import args_row, dict_row
from psycopg.types.json import Jsonb

from shared.job_queue import CANCELLED_ERROR
from shared.job_row import COLUMNS, JobRow

MAX_PUT_BACKS: LiteralString = "5"

EndedHow = Literal["errored", "failed", "cancelled", "snoozed", "put_back"]


@dataclass(frozen=True, slots=True)
class Claim:
    """Is a worker's right to run a job: it holds as long as the row carries its fence and is running.

    `row` is the job as it was claimed.
    """

    row: JobRow
    fence: int

    @property
    def job_id(self) -> UUID:
        """The job's id."""
        return self.row.id

    @property
    def owner_id(self) -> UUID:
        """The id of the job's owner."""
        return self.row.owner_id

    @property
    def attempt(self) -> int:
        """The number of this attempt, from 1."""
        return self.row.attempt


@dataclass(frozen=True, slots=True)
class Pulse:
    """Is what a heartbeat brings back."""

    cancel_requested: bool
    past_deadline: bool
    version: int
    progress_completed: int | None
    progress_total: int | None
    progress_message: str | None


_CLAIMED: LiteralString = f"fence, {COLUMNS}"

# What an attempt changes of its row; the rest is as it was claimed, and need not cross the wire again.
_NEWS: LiteralString = """
state, version, attempt, run_at, finished_at, error, last_error, cancel_requested,
progress_completed, progress_total, progress_message
"""

_CLAIM = f"""
WITH claimed AS (
    UPDATE jobs SET
        state = 'running', fence = fence + 1, attempt = attempt + 1, claim_id = %(claim_id)s, version = version + 1,
        started_at = coalesce(started_at, clock_timestamp()),
        lease_expires_at = clock_timestamp() + make_interval(secs => %(lease)s),
        deadline_at = clock_timestamp() + make_interval(secs => %(timeout)s),
        progress_completed = NULL, progress_total = NULL, progress_message = NULL
    WHERE id = %(job_id)s AND state = 'queued' AND dispatch_seq = %(dispatch_seq)s AND dispatched_at IS NOT NULL
      AND NOT cancel_requested
      AND (started_at IS NOT NULL OR ttl_at IS NULL OR ttl_at > clock_timestamp())
    RETURNING {_CLAIMED}
), attempted AS (
    INSERT INTO job_attempts (job_id, fence, attempt, worker, started_at)
    SELECT id, fence, attempt, %(worker)s, clock_timestamp() FROM claimed
)
SELECT {_CLAIMED} FROM claimed
"""  # noqa: S608 - the columns are a constant

_RECLAIM = f"SELECT {_CLAIMED} FROM jobs WHERE id = %(job_id)s AND claim_id = %(claim_id)s AND state = 'running'"  # noqa: S608 - the columns are a constant

_HEARTBEAT = """
UPDATE jobs SET
    lease_expires_at = clock_timestamp() + make_interval(secs => %(lease)s),
    version = version + CASE WHEN %(changed)s THEN 1 ELSE 0 END,
    progress_completed = coalesce(%(completed)s, progress_completed),
    progress_total = coalesce(%(total)s, progress_total),
    progress_message = coalesce(%(message)s, progress_message)
WHERE id = %(job_id)s AND fence = %(fence)s AND state = 'running' AND clock_timestamp() < deadline_at
RETURNING cancel_requested, false, version, progress_completed, progress_total, progress_message
"""

_WHY_NO_PULSE = """
SELECT cancel_requested, true, version, progress_completed, progress_total, progress_message
FROM jobs WHERE id = %(job_id)s AND fence = %(fence)s AND state = 'running'
"""

_SUCCEED = f"""
WITH ended AS (
    UPDATE jobs SET
        state = 'succeeded', result = %(result)s, last_error = NULL, finished_at = clock_timestamp(),
        lease_expires_at = NULL, version = version + 1,
        progress_completed = coalesce(%(completed)s, progress_completed),
        progress_total = coalesce(%(total)s, progress_total),
        progress_message = coalesce(%(message)s, progress_message)
    WHERE id = %(job_id)s AND fence = %(fence)s AND state = 'running'
    RETURNING id, fence, {_NEWS}
), attempted AS (
    UPDATE job_attempts SET ended_at = clock_timestamp(), outcome = 'succeeded'
    FROM ended WHERE job_id = ended.id AND job_attempts.fence = ended.fence
)
SELECT {_NEWS} FROM ended
"""  # noqa: S608 - the columns are a constant

# A cancel request beats every way back into a waiting state; a put-back beyond the limit counts as a failed attempt.
# `how` is a column of the held row so that rescue can use the same ladder for many rows at once.
NEXT_STATE = f"""
CASE
    WHEN how = 'failed' THEN 'failed'
    WHEN how = 'cancelled' OR cancel_requested THEN 'cancelled'
    WHEN how = 'snoozed' THEN 'retrying'
    WHEN how = 'put_back' AND put_backs < {MAX_PUT_BACKS} THEN 'queued'
    WHEN attempt >= max_attempts THEN 'failed'
    WHEN how = 'errored' THEN 'retrying'
    ELSE 'queued'
END
"""

RELEASE = f"""
    state = held.next,
    version = jobs.version + 1,
    lease_expires_at = NULL,
    dispatched_at = NULL,
    attempt = jobs.attempt - CASE WHEN held.gives_back THEN 1 ELSE 0 END,
    put_backs = jobs.put_backs + CASE WHEN held.how = 'put_back' THEN 1 ELSE 0 END,
    run_at = CASE WHEN held.next = 'retrying' THEN clock_timestamp() + held.delay ELSE jobs.run_at END,
    finished_at = CASE WHEN held.next IN ('failed', 'cancelled') THEN clock_timestamp() END,
    last_error = coalesce(held.error, jobs.last_error),
    error = CASE held.next WHEN 'failed' THEN held.error WHEN 'cancelled' THEN {CANCELLED_ERROR} END
"""

END_ATTEMPT = """
    UPDATE job_attempts SET ended_at = clock_timestamp(), outcome = ended.outcome,
        error_code = ended.attempt_error ->> 'code', error_message = ended.attempt_error ->> 'detail'
    FROM ended WHERE job_id = ended.id AND job_attempts.fence = ended.fence
"""

_END = f"""
WITH judged AS (
    SELECT jobs.*, %(how)s::text AS how, %(error)s::jsonb AS new_error,
           make_interval(secs => %(delay)s) AS delay
    FROM jobs WHERE id = %(job_id)s AND fence = %(fence)s AND state = 'running' FOR UPDATE
), held AS (
    SELECT id, how, new_error AS error, delay, {NEXT_STATE} AS next,
           how = 'snoozed' OR (how = 'put_back' AND put_backs < {MAX_PUT_BACKS}) AS gives_back
    FROM judged
), ended AS (
    UPDATE jobs SET {RELEASE} FROM held WHERE jobs.id = held.id
    RETURNING jobs.*, held.error AS attempt_error,
              CASE WHEN held.next = 'cancelled' THEN 'cancelled' ELSE held.how END AS outcome
), attempted AS ({END_ATTEMPT})
SELECT {_NEWS} FROM ended
"""  # noqa: S608 - the columns are a constant

_SETTLED = f"""
SELECT {COLUMNS} FROM jobs
WHERE id = %(job_id)s AND fence = %(fence)s AND state <> 'running'
"""  # noqa: S608 - the columns are a constant


def claim(
    connection: Connection[Any], *, job_id: UUID, dispatch_seq: int, claim_id: UUID, worker: str,
    lease_seconds: float, timeout_seconds: float,
) -> Claim | None:  # fmt: skip
    """Claim a dispatched job for this worker; None when the message is stale, doubled or the job is gone."""
    arguments = {
        "job_id": job_id,
        "dispatch_seq": dispatch_seq,
        "claim_id": claim_id,
        "worker": worker,
        "lease": lease_seconds,
        "timeout": timeout_seconds,
    }
    with connection.cursor(row_factory=args_row(_claimed)) as cursor:
        return cursor.execute(_CLAIM, arguments, prepare=True).fetchone()


def claim_again(connection: Connection[Any], *, job_id: UUID, claim_id: UUID) -> Claim | None:
    """Find out whether a claim whose answer was lost had been committed."""
    with connection.cursor(row_factory=args_row(_claimed)) as cursor:
        return cursor.execute(_RECLAIM, {"job_id": job_id, "claim_id": claim_id}).fetchone()


def _claimed(fence: int, *values: Any) -> Claim:
    return Claim(JobRow(*values), fence)


@dataclass(frozen=True, slots=True)
class Progress:
    """Is how far a handler says it is."""

    completed: int | None = None
    total: int | None = None
    message: str | None = None


def heartbeat(
    connection: Connection[Any], held: Claim, lease_seconds: float, progress: Progress | None
) -> Pulse | None:
    """Renew a claim's lease and write its progress; None when the claim is lost. Does not renew past the deadline."""
    report = progress or Progress()
    arguments = {
        "job_id": held.job_id,
        "fence": held.fence,
        "lease": lease_seconds,
        "changed": progress is not None,
        "completed": report.completed,
        "total": report.total,
        "message": report.message,
    }
    with connection.cursor(row_factory=args_row(Pulse)) as cursor:
        pulse = cursor.execute(_HEARTBEAT, arguments).fetchone()
        return pulse or cursor.execute(_WHY_NO_PULSE, arguments).fetchone()


def reported(held: Claim, pulse: Pulse) -> JobRow:
    """Give the row of a running job as a heartbeat has left it."""
    return replace(
        held.row,
        version=pulse.version,
        cancel_requested=pulse.cancel_requested,
        progress_completed=pulse.progress_completed,
        progress_total=pulse.progress_total,
        progress_message=pulse.progress_message,
    )


def succeed(
    connection: Connection[Any], held: Claim, result: dict[str, Any], progress: Progress | None
) -> JobRow | None:
    """Record success; None when the claim is lost. A recorded success beats a cancel request."""
    report = progress or Progress()
    arguments = {
        "job_id": held.job_id,
        "fence": held.fence,
        "result": Jsonb(result),
        "completed": report.completed,
        "total": report.total,
        "message": report.message,
    }
    with connection.cursor(row_factory=dict_row) as cursor:
        news = cursor.execute(_SUCCEED, arguments, prepare=True).fetchone()
    return replace(held.row, result=result, **news) if news else None


def end(
    connection: Connection[Any], held: Claim, how: EndedHow, error: dict[str, Any] | None, delay_seconds: float
) -> JobRow | None:
    """Record an ending other than success; None when the claim is lost.

    The database decides the next state: a cancel request, exhausted attempts and the limit of put-backs are known
    there. `delay_seconds` is when a retry or a snooze is due.
    """
    arguments = {
        "job_id": held.job_id,
        "fence": held.fence,
        "how": how,
        "error": Jsonb(error) if error else None,
        "delay": delay_seconds,
    }
    with connection.cursor(row_factory=dict_row) as cursor:
        news = cursor.execute(_END, arguments).fetchone()
    return replace(held.row, **news) if news else None


def settled(connection: Connection[Any], held: Claim) -> JobRow | None:
    """Read how this very claim has ended, if it has: the answer to its COMMIT was lost, or it was rescued."""
    with connection.cursor(row_factory=args_row(JobRow)) as cursor:
        return cursor.execute(_SETTLED, {"job_id": held.job_id, "fence": held.fence}).fetchone()
