"""`records.purge`: forgets what is kept for a while: answers, tokens, tickets, broadcasts, deliveries, lost workers."""

from collections.abc import Sequence
from datetime import timedelta

from pydantic import Field
from sqlalchemy import ColumnElement, delete, func, inspect, or_, select, tuple_

from shared.event_models import Broadcast, StreamTicket, WebhookDelivery
from shared.job_context import JobContext
from shared.job_kind import JobInput, JobResult, job
from shared.models import TOKEN_KEPT_AFTER_EXPIRY, Base, RefreshToken
from shared.service_models import IdempotencyKey, Worker

KEY_KEPT = timedelta(hours=24)
WORKER_KEPT = timedelta(days=1)
BROADCAST_KEPT = timedelta(days=1)


class RecordsPurgeInput(JobInput):
    """Says how many records go at once."""

    batch_size: int = Field(500, ge=1, le=10_000)


class RecordsPurgeResult(JobResult):
    """Counts the records that were deleted."""

    idempotency_keys: int
    refresh_tokens: int
    workers: int
    stream_tickets: int
    broadcasts: int
    webhook_deliveries: int


@job("records.purge", queue="maintenance", access="operator", timeout=timedelta(hours=1))
def purge_records(job_input: RecordsPurgeInput, context: JobContext) -> RecordsPurgeResult:
    """Delete records that are past their time, in batches. A delivery goes with the jobs of its age, if it is over."""
    purging = _Purging(context, job_input.batch_size)
    # An upload under way holds its key by a lease, however old the key is.
    free = or_(IdempotencyKey.lease_expires_at.is_(None), IdempotencyKey.lease_expires_at <= func.now())
    told = WebhookDelivery.created_at < func.now() - context.settings.job_retention
    return RecordsPurgeResult(
        idempotency_keys=purging.purge(IdempotencyKey, IdempotencyKey.created_at <= func.now() - KEY_KEPT, free),
        refresh_tokens=purging.purge(RefreshToken, RefreshToken.expires_at < func.now() - TOKEN_KEPT_AFTER_EXPIRY),
        workers=purging.purge(Worker, Worker.seen_at < func.now() - WORKER_KEPT),
        stream_tickets=purging.purge(StreamTicket, StreamTicket.expires_at <= func.now()),
        broadcasts=purging.purge(Broadcast, Broadcast.created_at < func.now() - BROADCAST_KEPT),
        webhook_deliveries=purging.purge(WebhookDelivery, told, WebhookDelivery.state != "pending"),
    )


class _Purging:
    def __init__(self, context: JobContext, batch_size: int) -> None:
        self._context = context
        self._batch_size = batch_size
        self._purged = 0

    def purge(self, table: type[Base], *conditions: ColumnElement[bool]) -> int:
        """Delete the rows of a table that meet the conditions; gives how many there were."""
        purged, count = 0, self._batch_size
        while count == self._batch_size:
            count = self._purge_batch(table, conditions)
            purged += count
            self._purged += count
            self._context.progress(self._purged, None, f"{self._purged} records deleted")
        return purged

    def _purge_batch(self, table: type[Base], conditions: Sequence[ColumnElement[bool]]) -> int:
        key = inspect(table).primary_key
        over = select(*key).where(*conditions).limit(self._batch_size).with_for_update(skip_locked=True)
        with self._context.session() as session:
            rows = session.execute(over).all()
            if rows:
                session.execute(delete(table).where(tuple_(*key).in_(rows)))
            return len(rows)
