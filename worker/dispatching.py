"""The dispatcher's statements: what is due, what goes out next, what must be sent again.

A dispatched row is marked and committed before its message is published. A crash in between leaves a marked row
without a message, which `find_undelivered` finds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from psycopg import Connection
from psycopg.rows import args_row

from shared.job_row import COLUMNS, JobRow


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Is a row that was marked as dispatched and must now be published."""

    job_id: UUID
    kind: str
    queue: str
    dispatch_seq: int
    urgent: bool = False


# A dispatcher that was killed leaves a lease, but no session: then nobody has to wait for the lease to lapse.
_HOLD_LEASE = """
UPDATE dispatcher_lease SET
    holder = %(holder)s, expires_at = clock_timestamp() + make_interval(secs => %(seconds)s),
    backend_pid = pg_backend_pid(),
    backend_start = (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid())
WHERE id = 1 AND (holder = %(holder)s OR expires_at < clock_timestamp() OR NOT EXISTS (
    SELECT 1 FROM pg_stat_activity AS session
    WHERE (session.pid, session.backend_start) = (dispatcher_lease.backend_pid, dispatcher_lease.backend_start)
))
"""
_GIVE_UP_LEASE = "UPDATE dispatcher_lease SET expires_at = clock_timestamp() WHERE id = 1 AND holder = %s"

_PROMOTE = f"""
UPDATE jobs SET state = 'queued', dispatched_at = NULL, version = version + 1
WHERE id IN (
    SELECT id FROM jobs WHERE state IN ('scheduled', 'retrying') AND run_at <= clock_timestamp()
    ORDER BY run_at LIMIT %s FOR NO KEY UPDATE SKIP LOCKED
)
RETURNING {COLUMNS}
"""  # noqa: S608 - the columns are a constant

_EXPIRE = f"""
UPDATE jobs SET state = 'expired', finished_at = clock_timestamp(), version = version + 1,
    error = '{{"code": "expired", "detail": "The job did not start before its time to live was over.",
              "retryable": true}}'::jsonb
WHERE id IN (
    SELECT id FROM jobs
    WHERE state IN ('scheduled', 'queued') AND started_at IS NULL AND ttl_at <= clock_timestamp()
    ORDER BY ttl_at LIMIT %s FOR NO KEY UPDATE SKIP LOCKED
)
RETURNING {COLUMNS}
"""  # noqa: S608 - the columns are a constant

# One look tells a round what there is to do, so that a nudge costs two statements and an idle second one.
_LOOK = """
SELECT
    EXISTS (SELECT 1 FROM jobs WHERE state IN ('scheduled', 'retrying') AND run_at <= clock_timestamp()),
    EXISTS (SELECT 1 FROM jobs
            WHERE state IN ('scheduled', 'queued') AND started_at IS NULL AND ttl_at <= clock_timestamp()),
    (SELECT coalesce(jsonb_object_agg(name, waiting), '{}') FROM (
        SELECT name, (SELECT count(*) FROM jobs
                      WHERE jobs.queue = name AND state = 'queued' AND dispatched_at IS NOT NULL) AS waiting
        FROM unnest(%(queues)s::text[]) AS queue (name)
        WHERE EXISTS (SELECT 1 FROM jobs WHERE jobs.queue = name AND state = 'queued' AND dispatched_at IS NULL)
          AND NOT EXISTS (SELECT 1 FROM queues WHERE queues.name = queue.name AND paused_at IS NOT NULL)
    ) AS ready),
    EXISTS (SELECT 1 FROM queues JOIN jobs ON jobs.queue = queues.name
            WHERE paused_at IS NOT NULL AND state = 'queued' AND dispatched_at IS NOT NULL),
    extract(epoch FROM least(
        (SELECT min(run_at) FROM jobs WHERE state IN ('scheduled', 'retrying')),
        (SELECT min(ttl_at) FROM jobs
         WHERE state IN ('scheduled', 'queued') AND ttl_at IS NOT NULL AND started_at IS NULL)
    ) - clock_timestamp())::float8,
    EXISTS (SELECT 1 FROM events)
"""

_TAKE_BACK_PAUSED = """
UPDATE jobs SET dispatched_at = NULL
FROM queues WHERE queues.name = queue AND paused_at IS NOT NULL AND state = 'queued' AND dispatched_at IS NOT NULL
"""

_UNDO = "UPDATE jobs SET dispatched_at = NULL WHERE id = %s AND state = 'queued' AND dispatch_seq = %s"

_OVERDUE = """
SELECT count(*) FROM jobs
WHERE queue = %s AND state = 'queued' AND dispatched_at < clock_timestamp() - make_interval(secs => %s)
"""

_SEND_AGAIN = """
UPDATE jobs SET dispatched_at = NULL
WHERE id IN (
    SELECT id FROM jobs
    WHERE queue = %s AND state = 'queued' AND dispatched_at < clock_timestamp() - make_interval(secs => %s)
    LIMIT 1000 FOR NO KEY UPDATE SKIP LOCKED
)
"""

BATCH = 500


def hold_lease(connection: Connection[Any], holder: UUID, seconds: float) -> bool:
    """Take or keep the dispatcher's lease, in database time; False while another one is active."""
    return connection.execute(_HOLD_LEASE, {"holder": holder, "seconds": seconds}).rowcount == 1


def give_up_lease(connection: Connection[Any], holder: UUID) -> None:
    """Let a stand-by take over at once."""
    connection.execute(_GIVE_UP_LEASE, (holder,))


@dataclass(frozen=True, slots=True)
class View:
    """Is what there is to do: due, late or paused rows, seconds until something becomes due, events to be told.

    `ready` names the queues with rows to dispatch, and how many of each are in Celery and not claimed.
    """

    due: bool
    late: bool
    ready: dict[str, int]
    paused_out: bool
    seconds_to_next: float | None
    events: bool


def look(connection: Connection[Any], queues: Sequence[str]) -> View:
    """See what there is to do."""
    with connection.cursor(row_factory=args_row(View)) as cursor:
        view = cursor.execute(_LOOK, {"queues": list(queues)}, prepare=True).fetchone()
    if view is None:
        raise RuntimeError("a SELECT without FROM gives one row")
    return view


def read_clock(connection: Connection[Any]) -> datetime:
    """Read the database's clock."""
    row = connection.execute("SELECT clock_timestamp()").fetchone()
    if row is None:
        raise RuntimeError("a SELECT without FROM gives one row")
    return row[0]


def promote(connection: Connection[Any]) -> list[JobRow]:
    """Queue what is due."""
    return _changes(connection, _PROMOTE)


def expire(connection: Connection[Any]) -> list[JobRow]:
    """End what did not start in time."""
    return _changes(connection, _EXPIRE)


def _changes(connection: Connection[Any], statement: LiteralString) -> list[JobRow]:
    with connection.cursor(row_factory=args_row(JobRow)) as cursor:
        return cursor.execute(statement, (BATCH,), prepare=True).fetchall()


def take_back_paused(connection: Connection[Any]) -> int:
    """Take back what paused queues have in Celery: a queue may be paused while a round is under way."""
    return connection.execute(_TAKE_BACK_PAUSED).rowcount


def undo_dispatch(connection: Connection[Any], dispatch: Dispatch) -> None:
    """Clear the mark of a job whose message could not be published."""
    connection.execute(_UNDO, (dispatch.job_id, dispatch.dispatch_seq))


def count_overdue(connection: Connection[Any], queue: str, seconds: float) -> int:
    """Count the jobs of a queue that were dispatched longer ago than this and not claimed."""
    row = connection.execute(_OVERDUE, (queue, seconds)).fetchone()
    return int(row[0]) if row else 0


def send_again(connection: Connection[Any], queue: str, seconds: float) -> int:
    """Let the overdue jobs of a queue be dispatched anew; a doubled message is refused at the claim."""
    return connection.execute(_SEND_AGAIN, (queue, seconds)).rowcount
