"""What becomes of a delivery, written down for one attempt.

    pending ──► delivered (older ones of its subject that are pending: superseded)
            ──► pending, to be tried again ──► failed
            ──► cancelled (its endpoint is disabled)

Each statement first makes sure that this attempt still owns the job, and changes nothing when it is executed twice.
Jobs are locked before deliveries, these before endpoints; other jobs only if nobody has them.
"""
# ruff: noqa: S608 - the statements are composed of constants, each of them a LiteralString

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, LiteralString
from uuid import UUID

from shared.job_context import JobContext
from shared.job_outcome import Cancelled
from shared.webhook_queue import TEST_EVENT
from worker.handler_database import HandlerDatabase

REFUSED: LiteralString = "http_error"
"""The error of a delivery that its receiver itself did not take; others say that nobody was there to take it."""
ASKED_TO_WAIT: LiteralString = "asked_to_wait"
"""The error of a delivery whose receiver said when to come again."""

# A delivery that was refused keeps later ones of its subject waiting for 3 attempts (5 minutes), one that nobody was
# there to take for 5 (two and a half hours).
_BLOCKING: LiteralString = f"CASE WHEN earlier.error = '{REFUSED}' THEN 3 ELSE 5 END"

# An endpoint for single jobs does not rest itself, for its URLs have nothing in common: there a host rests for half a
# minute after it could not be reached.
_READ: LiteralString = f"""
SELECT d.state, d.event = '{TEST_EVENT}', coalesce(e.url, d.url), d.body, d.attempts, e.id,
       e.disabled_at IS NOT NULL, e.secret,
       CASE WHEN e.previous_secret_until > clock_timestamp() THEN e.previous_secret END,
       e.resting_until IS NOT NULL,
       extract(epoch FROM e.resting_until - clock_timestamp())::float8,
       CASE WHEN d.replay_of IS NULL THEN (
           SELECT extract(epoch FROM coalesce(min(earlier.next_attempt_at), clock_timestamp()) - clock_timestamp())
           FROM webhook_deliveries earlier
           WHERE earlier.endpoint_id = d.endpoint_id AND earlier.subject_id = d.subject_id
             AND earlier.version < d.version AND earlier.state = 'pending' AND earlier.replay_of IS NULL
             AND earlier.attempts < {_BLOCKING}
           HAVING count(*) > 0
       )::float8 END,
       CASE WHEN e.url IS NULL THEN (
           SELECT extract(epoch FROM max(fellow.last_attempt_at) - clock_timestamp()) + 30
           FROM webhook_deliveries fellow
           WHERE fellow.endpoint_id = e.id AND fellow.state = 'pending' AND fellow.id <> d.id
             AND fellow.error <> '{REFUSED}' AND split_part(fellow.url, '/', 3) = split_part(d.url, '/', 3)
       )::float8 END
FROM webhook_deliveries d JOIN webhook_endpoints e ON e.id = d.endpoint_id
WHERE d.id = %(delivery_id)s AND d.job_id = %(job_id)s
"""

_MINE: LiteralString = """
mine AS MATERIALIZED (
    SELECT FROM jobs WHERE id = %(job_id)s AND fence = %(fence)s AND state = 'running' FOR NO KEY UPDATE
)
"""

# Who gets it has 20 s, in which the others go on waiting.
_PROBE: LiteralString = f"""
WITH {_MINE}, probed AS (
    UPDATE webhook_endpoints SET resting_until = clock_timestamp() + interval '20 s' FROM mine
    WHERE id = %(endpoint_id)s AND resting_until <= clock_timestamp() RETURNING id
)
SELECT EXISTS (SELECT FROM mine), EXISTS (SELECT FROM probed)
"""

_PUT_OFF: LiteralString = f"""
WITH {_MINE}, put_off AS (
    UPDATE webhook_deliveries SET next_attempt_at = clock_timestamp() + %(delay)s FROM mine
    WHERE id = %(delivery_id)s AND state = 'pending'
)
SELECT EXISTS (SELECT FROM mine), true
"""

_CANCEL: LiteralString = f"""
WITH {_MINE}, cancelled AS (
    UPDATE webhook_deliveries SET state = 'cancelled', error = 'endpoint_disabled', next_attempt_at = NULL FROM mine
    WHERE id = %(delivery_id)s AND state = 'pending'
)
SELECT EXISTS (SELECT FROM mine), true
"""

# What waited for this one, or for its endpoint to come back, is due now; not what was refused or asked to wait. Apart,
# so that a delivery does not look at all that its endpoint has pending: with a flood of them that would be its square.
_DELIVERED: LiteralString = f"""
WITH {_MINE}, delivered AS (
    UPDATE webhook_deliveries d SET
        state = 'delivered', attempts = %(attempts)s, url = %(url)s, response_status = %(status)s,
        response_body = %(text)s, error = NULL, last_attempt_at = clock_timestamp(), next_attempt_at = NULL,
        delivered_at = clock_timestamp()
    FROM mine WHERE d.id = %(delivery_id)s AND d.state = 'pending' RETURNING d.*
), superseded AS (
    UPDATE webhook_deliveries o SET state = 'superseded', next_attempt_at = NULL FROM delivered d
    WHERE o.endpoint_id = d.endpoint_id AND o.subject_id = d.subject_id AND o.version < d.version
      AND o.state = 'pending' AND o.replay_of IS NULL AND d.replay_of IS NULL
), well AS (
    UPDATE webhook_endpoints e SET failures = 0, failing_since = NULL, resting_until = NULL FROM delivered d
    WHERE e.id = d.endpoint_id AND (e.failures > 0 OR e.resting_until IS NOT NULL)
), woken AS (
    UPDATE jobs SET run_at = clock_timestamp(), version = version + 1 WHERE id IN (
        SELECT job.id FROM delivered d
        JOIN LATERAL (
            SELECT job_id FROM webhook_deliveries
            WHERE endpoint_id = d.endpoint_id AND subject_id = d.subject_id AND state = 'pending' AND id <> d.id
            UNION ALL
            SELECT job_id FROM webhook_deliveries
            WHERE %(rested)s AND endpoint_id = d.endpoint_id AND subject_id <> d.subject_id AND state = 'pending'
              AND coalesce(error, '') NOT IN ('{REFUSED}', '{ASKED_TO_WAIT}')
        ) AS others ON true
        JOIN jobs job ON job.id = others.job_id
        WHERE job.state = 'retrying' AND job.run_at > clock_timestamp()
        ORDER BY job.id LIMIT 2000 FOR NO KEY UPDATE OF job SKIP LOCKED
    ) RETURNING id
), retimed AS (
    UPDATE webhook_deliveries o SET next_attempt_at = clock_timestamp() FROM woken, delivered d
    WHERE o.job_id = woken.id AND NOT (o.subject_id = d.subject_id AND o.version < d.version)
)
SELECT EXISTS (SELECT FROM mine), EXISTS (SELECT FROM woken)
"""

# A test that fails says something to who asked for it, and nothing else: its endpoint is as it was, even after a 410.
# Nor does the URL from which an endpoint moved during the attempt say anything about the one that it has now.
_GIVEN_UP: LiteralString = """
CASE WHEN e.disabled_at IS NOT NULL THEN NULL WHEN %(error)s = 'gone' THEN 'gone'
     WHEN e.failing_since < clock_timestamp() - interval '5 days' THEN 'failing' END
"""
_FAILED: LiteralString = f"""
WITH {_MINE}, failed AS (
    UPDATE webhook_deliveries d SET
        state = CASE WHEN %(last)s THEN 'failed' ELSE 'pending' END, attempts = %(attempts)s, url = %(url)s,
        response_status = %(status)s, response_body = %(text)s, error = %(error)s, last_attempt_at = clock_timestamp(),
        next_attempt_at = CASE WHEN NOT %(last)s THEN clock_timestamp() + %(delay)s END
    FROM mine WHERE d.id = %(delivery_id)s AND d.state = 'pending' AND d.attempts = %(attempts)s - 1
    RETURNING d.endpoint_id, d.event
), hurt AS (
    UPDATE webhook_endpoints e SET
        failures = e.failures + 1,
        failing_since = coalesce(e.failing_since, clock_timestamp()),
        resting_until = greatest(
            CASE WHEN %(retry_after)s::interval IS NOT NULL
                 THEN clock_timestamp() + least(%(retry_after)s, interval '5 min') END,
            CASE WHEN e.failures >= 2
                 THEN clock_timestamp() + least(interval '5 min', interval '5 s' * 2.0 ^ least(e.failures - 2, 10)) END
        ),
        disabled_at = CASE WHEN {_GIVEN_UP} IS NULL THEN e.disabled_at ELSE clock_timestamp() END,
        disabled_reason = coalesce({_GIVEN_UP}, e.disabled_reason)
    FROM failed
    WHERE e.id = failed.endpoint_id AND e.url = %(url)s AND failed.event <> '{TEST_EVENT}'
    RETURNING e.disabled_reason
)
SELECT EXISTS (SELECT FROM mine), EXISTS (SELECT FROM hurt WHERE disabled_reason IS NOT NULL)
"""


@dataclass(frozen=True, slots=True)
class Pending:
    """Is a delivery before an attempt. What waits is in seconds, and None when there is nothing to wait for."""

    state: str
    is_test: bool
    url: str
    body: str
    attempts: int
    endpoint_id: UUID
    disabled: bool
    secret: str = field(repr=False)
    previous_secret: str | None = field(repr=False)
    rests: bool
    rest_seconds: float | None
    earlier_seconds: float | None
    host_seconds: float | None

    @property
    def secrets(self) -> list[str]:
        """The secrets that sign it."""
        return [self.secret] if self.previous_secret is None else [self.secret, self.previous_secret]


@dataclass(frozen=True, slots=True)
class Attempt:
    """Is what is written down of an attempt, the `number`-th."""

    number: int
    url: str
    status: int | None = None
    text: str | None = None
    error: str | None = None


class WebhookLedger:
    """Writes for one attempt; every write raises `Cancelled` when the claim is lost."""

    def __init__(self, context: JobContext, database: HandlerDatabase, delivery_id: UUID) -> None:
        self._database = database
        self._job = {"job_id": context.job_id, "fence": context.fence, "delivery_id": delivery_id}

    async def read(self) -> Pending | None:
        """Read the delivery; None when it is gone."""
        rows = await self._database.insist(_READ, self._job)
        return Pending(*rows[0]) if rows else None

    async def probe(self, endpoint_id: UUID) -> bool:
        """Try to be the one that finds out whether an endpoint is back."""
        return await self._write(_PROBE, endpoint_id=endpoint_id)

    async def put_off(self, delay: timedelta) -> None:
        """Say when it is looked at again."""
        await self._write(_PUT_OFF, delay=delay)

    async def cancel(self) -> None:
        """Give it up because its endpoint is disabled."""
        await self._write(_CANCEL)

    async def delivered(self, made: Attempt, *, rested: bool) -> bool:
        """Record that it was taken; `rested` says that its endpoint was resting. Tells whether others are due now."""
        return await self._write(_DELIVERED, **_plain(made), rested=rested)

    async def failed(self, made: Attempt, *, delay: timedelta, retry_after: timedelta | None, last: bool) -> bool:
        """Record that it was not taken; tells whether its endpoint is disabled."""
        return await self._write(_FAILED, **_plain(made), delay=delay, retry_after=retry_after, last=last)

    async def _write(self, statement: LiteralString, **values: Any) -> bool:
        # The receiver has spoken: losing its answer to a short absence of PostgreSQL would tell it twice.
        [(mine, told)] = await self._database.insist(statement, self._job | values)
        if not mine:
            raise Cancelled
        return told


def _plain(made: Attempt) -> dict[str, Any]:
    return {
        "attempts": made.number, "url": made.url, "status": made.status, "text": made.text, "error": made.error,
    }  # fmt: skip
