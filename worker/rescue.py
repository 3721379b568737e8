"""Rescue: jobs whose worker stopped renewing its lease get another attempt, or end as failed."""

from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import args_row

from shared.job_row import COLUMNS, JobRow
from worker.ledger import END_ATTEMPT, NEXT_STATE, RELEASE

# No rescue until one full lease after PostgreSQL started: during its absence nobody could renew.
_RESCUE = f"""
WITH judged AS (
    SELECT jobs.*, 'lost'::text AS how,
           jsonb_build_object('code', CASE WHEN clock_timestamp() >= deadline_at THEN 'timeout' ELSE 'worker_lost' END,
               'detail', CASE WHEN clock_timestamp() >= deadline_at THEN 'The attempt ran into its time limit.'
                              ELSE 'The worker that ran the job was lost.' END,
               'retryable', true) AS new_error
    FROM jobs
    WHERE state = 'running' AND lease_expires_at < least(clock_timestamp(), %(before)s::timestamptz)
      AND clock_timestamp() > pg_postmaster_start_time() + make_interval(secs => %(lease)s)
    ORDER BY queue
    LIMIT %(limit)s
    FOR NO KEY UPDATE SKIP LOCKED
), held AS (
    SELECT id, how, new_error AS error, interval '0' AS delay, {NEXT_STATE} AS next, false AS gives_back FROM judged
), ended AS (
    UPDATE jobs SET {RELEASE} FROM held WHERE jobs.id = held.id
    RETURNING jobs.*, held.error AS attempt_error,
              CASE WHEN held.next = 'cancelled' THEN 'cancelled' ELSE held.error ->> 'code' END AS outcome
), attempted AS ({END_ATTEMPT})
SELECT {COLUMNS} FROM ended
"""  # noqa: S608 - composed of constants


def rescue(
    connection: Connection[Any], lease_seconds: float, before: datetime | None = None, limit: int = 500
) -> list[JobRow]:
    """End the attempts whose lease has lapsed, by `before` if given; give the rows of their jobs."""
    arguments = {"lease": lease_seconds, "before": before, "limit": limit}
    with connection.cursor(row_factory=args_row(JobRow)) as cursor:
        return cursor.execute(_RESCUE, arguments).fetchall()
