"""A desk: events are made into deliveries and these are made, by the real dispatcher's and worker's code."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, LiteralString
from uuid import UUID

import psycopg
import pytest
from celery.exceptions import Ignore
from celery.exceptions import Retry as CeleryRetry
from psycopg.rows import dict_row

from shared.ids import new_id
from shared.job_kind import JobKind
from shared.settings import Settings
from shared.webhook_queue import KIND
from shared.webhook_signing import new_secret
from tests import factories
from tests.conftest import Owner
from tests.webhook_receiver import WebhookReceiver
from worker.event_fan_out import FanOut
from worker.runner import JobFailed, Runner

Row = dict[str, Any]

LOOPBACK_NETWORKS = ["127.0.0.0/8", "::1/128"]
_INSERT_ENDPOINT = "INSERT INTO webhook_endpoints (id, owner_id, url, events, secret) VALUES (%s, %s, %s, %s, %s)"
_MOVE_JOBS = "UPDATE jobs SET run_at = run_at - %(step)s WHERE state = 'retrying'"
_MOVE_DELIVERIES = """
UPDATE webhook_deliveries SET next_attempt_at = next_attempt_at - %(step)s, last_attempt_at = last_attempt_at - %(step)s
"""
_MOVE_ENDPOINTS = """
UPDATE webhook_endpoints SET resting_until = resting_until - %(step)s, failing_since = failing_since - %(step)s,
    previous_secret_until = previous_secret_until - %(step)s
"""


@dataclass
class Desk:
    """Is a ledger with an owner, the dispatcher's fan-out and a worker."""

    settings: Settings
    database: psycopg.Connection[Any]
    runner: Runner
    kinds: dict[str, JobKind]
    owner: Owner
    sent: list[UUID] = field(default_factory=list[UUID])

    def endpoint(self, url: str | None, *events: str, owner: Owner | None = None) -> UUID:
        """Make an endpoint that wants these events, all of jobs unless said."""
        endpoint_id = new_id()
        values = endpoint_id, (owner or self.owner).id, url, list(events or ("job.*",)), new_secret()
        self.database.execute(_INSERT_ENDPOINT, values)
        return endpoint_id

    def enqueue(self, **options: Any) -> UUID:
        """Make a job: an event."""
        return factories.enqueue(self.database, factories.new_job(self.kinds["test.echo"], self.owner.id, **options))

    def run(self, *job_ids: UUID) -> None:
        """Run jobs of that kind: two events each."""
        due = factories.dispatch(self.database, "default")
        for job_id in job_ids:
            self.runner.run(self.kinds["test.echo"], str(job_id), due[job_id])

    def fan_out(self) -> int:
        """Make jobs of a batch of events."""
        return FanOut(self.settings, self.kinds).run(self.database, factories.take_lease(self.database))

    def work(self) -> None:
        """Make attempts until no delivery is due."""
        kind = self.kinds[KIND]
        while due := factories.dispatch(self.database, kind.queue, kinds=[kind]):
            for job_id, sequence in due.items():
                self.sent.append(job_id)
                with suppress(CeleryRetry, Ignore, JobFailed):
                    self.runner.run(kind, str(job_id), sequence)

    def tell(self) -> None:
        """Make all that has happened known."""
        while self.fan_out():
            pass
        self.work()

    def move_time(self, **step: float) -> None:
        """Let time pass, in the ledger alone."""
        for statement in (_MOVE_JOBS, _MOVE_DELIVERIES, _MOVE_ENDPOINTS):
            self.database.execute(statement, {"step": timedelta(**step)})

    def rows(self, table: LiteralString = "webhook_deliveries") -> list[Row]:
        """Read a table, oldest first."""
        with self.database.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(f"SELECT * FROM {table} ORDER BY id").fetchall()  # noqa: S608 - a literal

    def delivery(self) -> Row:
        """Read the only delivery."""
        [row] = self.rows()
        return row

    def deliver_one(self, receiver: WebhookReceiver, **options: Any) -> Row:
        """Tell a new endpoint of a new job; gives the delivery."""
        self.endpoint(receiver.url(), "job.queued")
        self.enqueue(**options)
        self.tell()
        return self.delivery()


@pytest.fixture
def desk(
    settings: Settings, database: psycopg.Connection[Any], kinds: dict[str, JobKind], owner: Owner
) -> Iterator[Desk]:
    told = settings.model_copy(update={"webhook_allowed_networks": LOOPBACK_NETWORKS})
    with factories.open_runner(told, kinds) as runner:
        yield Desk(told, database, runner, kinds, owner)


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as receiver:
        yield receiver
