"""Making jobs of events: one for each endpoint that an event is to be told to, one for each listener.

    events ──► envelope ──► webhook_deliveries + a job each; a job per listener ──► the event's row is deleted

All of it is one transaction of the active dispatcher, whose lease is locked meanwhile: nobody else takes a later event
of the same subject before this one is told. A batch is bounded, and costs the same few statements whatever its size.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import psycopg
from psycopg import Connection
from psycopg.rows import args_row
from psycopg.types.json import Jsonb

from shared.event_listeners import listener_job
from shared.ids import new_id
from shared.job_kind import JobKind
from shared.job_queue import NewJob
from shared.recorded_events import EVENT_COLUMNS, RecordedEvent
from shared.settings import Settings
from shared.webhook_queue import KIND, delivery_job
from worker.event_audience import Audience, find_audience
from worker.event_envelopes import Told, tell
from worker.job_batch import enqueue_batch

logger = logging.getLogger(__name__)

BATCH = 200
MOST_JOBS = 500
"""A batch makes no more jobs than this and what its last event adds."""
_MOST_BYTES = 4 * 1024 * 1024

_TAKE = f"""
WITH lease AS MATERIALIZED (
    SELECT 1 FROM dispatcher_lease WHERE id = 1 AND holder = %(holder)s AND expires_at > clock_timestamp() FOR SHARE
), sized AS (
    SELECT sequence, sum(bytes) OVER (ORDER BY sequence) - bytes AS before
    FROM (SELECT sequence, pg_column_size(body) AS bytes FROM events ORDER BY sequence LIMIT %(limit)s) AS oldest
)
SELECT {EVENT_COLUMNS} FROM events
WHERE sequence = ANY(ARRAY(SELECT sequence FROM sized WHERE before < %(bytes)s)) AND EXISTS (SELECT FROM lease)
ORDER BY sequence FOR UPDATE SKIP LOCKED
"""  # noqa: S608 - the columns are a constant
_FORGET = "DELETE FROM events WHERE sequence = ANY(%s)"

_INSERT_DELIVERIES = """
INSERT INTO webhook_deliveries (id, endpoint_id, job_id, event_id, event, subject_id, version, url, body)
SELECT * FROM jsonb_to_recordset(%s) AS given (
    id uuid, endpoint_id uuid, job_id uuid, event_id uuid, event text, subject_id uuid, version bigint, url text,
    body text
)
"""


class FanOut:
    """Makes jobs of events, a batch at a time."""

    def __init__(self, settings: Settings, kinds: Mapping[str, JobKind]) -> None:
        self._settings = settings
        self._kinds = kinds

    def run(self, connection: Connection[Any], holder: UUID) -> int:
        """Make jobs of the oldest events; gives how many events that were, 0 when `holder` has lost the lease.

        An event that cannot be told is logged and dropped: the others do not wait for it.
        """
        with connection.transaction():
            rows = _take(connection, holder)
            audience = find_audience(connection, rows) if rows else Audience()
            rows = _within_bounds(rows, audience)
            self._write(connection, audience, [told for row in rows if (told := self._tell(row)) is not None])
            connection.execute(_FORGET, ([row.sequence for row in rows],))
        return len(rows)

    def _tell(self, row: RecordedEvent) -> Told | None:
        try:
            return tell(row, self._settings)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it, it must not stop the others
            _drop(row, error)
            return None

    def _write(self, connection: Connection[Any], audience: Audience, told: Sequence[Told]) -> None:
        # What PostgreSQL does not take is found by halves, each in a savepoint, so that it costs the others nothing.
        try:
            with connection.transaction():
                self._insert(connection, audience, told)
        except psycopg.OperationalError:
            raise
        except Exception as error:  # noqa: BLE001 - as above
            if len(told) == 1:
                _drop(told[0].row, error)
                return
            middle = len(told) // 2
            self._write(connection, audience, told[:middle])
            self._write(connection, audience, told[middle:])

    def _insert(self, connection: Connection[Any], audience: Audience, told: Sequence[Told]) -> None:
        jobs, deliveries = self._deliveries(audience, told)
        listening = [new for each in told for name in audience.kinds(each.row) for new in self._listening(each, name)]
        enqueue_batch(connection, [*jobs, *listening])
        if deliveries:
            connection.execute(_INSERT_DELIVERIES, (Jsonb(deliveries),), prepare=True)

    def _deliveries(self, audience: Audience, told: Sequence[Told]) -> tuple[list[NewJob], list[dict[str, Any]]]:
        kind = self._kinds.get(KIND)
        places = [(each, *place) for each in told for place in audience.places(each.row)]
        if kind is None:
            return [], []
        # Sorted: a lane's jobs go in the order of their ids, and those of one millisecond have none by themselves.
        job_ids, delivery_ids = (sorted(new_id() for _ in places) for _ in range(2))
        jobs: list[NewJob] = []
        deliveries: list[dict[str, Any]] = []
        for (each, endpoint_id, url), job_id, delivery_id in zip(places, job_ids, delivery_ids, strict=True):
            row = each.row
            new = delivery_job(kind, row.owner_id, delivery_id, endpoint_id, row.subject_id, self._settings)
            jobs.append(replace(new, id=job_id))
            deliveries.append(_delivery(each, delivery_id, endpoint_id, job_id, url))
        return jobs, deliveries

    def _listening(self, told: Told, name: str) -> list[NewJob]:
        kind = self._kinds.get(name)
        if kind is None:
            logger.warning("no module has the kind %s, which listens to %s", name, told.row.name)
            return []
        return [listener_job(kind, told.row.owner_id, told.event, self._settings)]


def _take(connection: Connection[Any], holder: UUID) -> list[RecordedEvent]:
    arguments = {"holder": holder, "limit": BATCH, "bytes": _MOST_BYTES}
    with connection.cursor(row_factory=args_row(RecordedEvent)) as cursor:
        return cursor.execute(_TAKE, arguments, prepare=True).fetchall()


def _within_bounds(rows: Sequence[RecordedEvent], audience: Audience) -> list[RecordedEvent]:
    taken: list[RecordedEvent] = []
    jobs = 0
    for row in rows:
        if jobs >= MOST_JOBS:
            break
        taken.append(row)
        jobs += len(audience.places(row)) + len(audience.kinds(row))
    return taken


def _delivery(told: Told, delivery_id: UUID, endpoint_id: UUID, job_id: UUID, url: str) -> dict[str, Any]:
    return {
        "id": str(delivery_id),
        "endpoint_id": str(endpoint_id),
        "job_id": str(job_id),
        "event_id": str(told.event.id),
        "event": told.row.name,
        "subject_id": str(told.row.subject_id),
        "version": told.row.version,
        "url": url,
        "body": told.body,
    }


def _drop(row: RecordedEvent, error: Exception) -> None:
    # Without the error's words, which may quote the row: it is gone with this, and holds what users sent.
    logger.error("event %s, %s of %s, cannot be told: %s", row.sequence, row.name, row.subject_id, type(error).__name__)
