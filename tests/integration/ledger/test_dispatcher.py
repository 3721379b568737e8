"""The dispatcher's rounds against a real broker, one at a time."""

import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
import redis
from celery import Celery

from ops.redis import LocalRedis
from shared.database import connect
from shared.job_kind import JobKind
from shared.settings import Settings
from tests import factories
from tests.conftest import Owner
from worker import dispatching, ledger
from worker.celery_app import create_celery_app
from worker.dispatcher import OVERDUE_SECONDS, Dispatcher
from worker.publisher import ORDINARY

Database = psycopg.Connection
SEPARATOR = "\x06\x16"
"""What kombu puts between a queue and a priority."""


@pytest.fixture
def celery_app(settings: Settings) -> Celery:
    return create_celery_app(settings)


@pytest.fixture
def dispatcher(settings: Settings, celery_app: Celery) -> Iterator[Dispatcher]:
    dispatcher = Dispatcher(settings, celery_app)
    yield dispatcher
    dispatcher.retire()


@pytest.fixture
def broker(settings: Settings) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(settings.redis_url) as client:
        yield client


def enqueue(database: Database, kinds: dict[str, JobKind], owner: Owner, **options: Any) -> UUID:
    return factories.enqueue(database, factories.new_job(kinds["test.echo"], owner.id, **options))


def ids_in(broker: redis.Redis, queue: str = "default") -> int:
    return int(broker.llen(f"{queue}{SEPARATOR}{ORDINARY}")) + int(broker.llen(queue))


def test_a_round_publishes_what_it_marked(
    database: Database, dispatcher: Dispatcher, broker: redis.Redis, kinds: dict[str, JobKind], owner: Owner
) -> None:
    for _ in range(3):
        enqueue(database, kinds, owner)
    dispatcher.run_round(database)
    assert ids_in(broker) == 3
    dispatcher.run_round(database)
    assert ids_in(broker) == 3


def test_what_is_due_is_queued_and_what_is_late_expires(
    database: Database, dispatcher: Dispatcher, kinds: dict[str, JobKind], owner: Owner
) -> None:
    due = enqueue(database, kinds, owner, run_at=datetime.now(UTC) + timedelta(hours=1))
    late = enqueue(database, kinds, owner, ttl_seconds=60)
    database.execute("UPDATE jobs SET run_at = now() WHERE id = %s", (due,))
    database.execute("UPDATE jobs SET ttl_at = now() WHERE id = %s", (late,))
    dispatcher.run_round(database)
    assert factories.read_state(database, due) == "queued"
    assert factories.read_state(database, late) == "expired"


def test_a_job_past_its_ttl_is_refused_at_the_claim(
    database: Database, kinds: dict[str, JobKind], owner: Owner
) -> None:
    job_id = enqueue(database, kinds, owner, ttl_seconds=60)
    sequence = factories.dispatch(database, "default")[job_id]
    database.execute("UPDATE jobs SET ttl_at = now() WHERE id = %s", (job_id,))
    held = ledger.claim(database, job_id=job_id, dispatch_seq=sequence, claim_id=uuid4(), worker="test",
                        lease_seconds=60, timeout_seconds=60)  # fmt: skip
    assert held is None


def test_one_dispatcher_is_active_and_the_other_takes_over_when_it_retires(
    settings: Settings, celery_app: Celery, database: Database, broker: redis.Redis,
    kinds: dict[str, JobKind], owner: Owner,
) -> None:  # fmt: skip
    first, second = Dispatcher(settings, celery_app), Dispatcher(settings, celery_app)
    first.run_round(database)
    enqueue(database, kinds, owner)
    second.run_round(database)
    assert ids_in(broker) == 0
    first.retire()
    second.run_round(database)
    assert ids_in(broker) == 1
    second.retire()


def test_a_lease_ends_with_its_holders_session(settings: Settings, database: Database) -> None:
    first, second = uuid4(), uuid4()
    with connect(settings, "killed") as killed:
        assert dispatching.hold_lease(killed, first, 60)
        assert not dispatching.hold_lease(database, second, 60)
        database.execute("SELECT pg_terminate_backend(%s, 5000)", (killed.info.backend_pid,))
    assert dispatching.hold_lease(database, second, 60)
    with connect(settings, "late") as late:
        assert not dispatching.hold_lease(late, first, 60)


def test_a_frozen_dispatchers_transaction_is_ended_for_the_stand_by(settings: Settings) -> None:
    with connect(settings, "frozen", idle_in_transaction_session_timeout="500ms") as frozen, connect(
        settings, "stand-by", lock_timeout="5s"
    ) as standby:  # fmt: skip
        frozen.execute("BEGIN")
        assert dispatching.hold_lease(frozen, uuid4(), 0.1)
        assert dispatching.hold_lease(standby, uuid4(), 10)
        # Either the reason was read before the socket closed, or it was not.
        with pytest.raises((psycopg.errors.IdleInTransactionSessionTimeout, psycopg.OperationalError)):
            frozen.execute("COMMIT")
        assert frozen.closed


def test_messages_of_a_wiped_redis_are_sent_again(
    database: Database, dispatcher: Dispatcher, broker: redis.Redis, kinds: dict[str, JobKind], owner: Owner
) -> None:
    for _ in range(4):
        enqueue(database, kinds, owner)
    dispatcher.run_round(database)
    broker.flushall()
    database.execute("UPDATE jobs SET dispatched_at = dispatched_at - interval '6 seconds'")
    dispatcher.sweep(database)
    dispatcher.run_round(database)
    assert ids_in(broker) == 4


def test_messages_that_merely_wait_are_not_sent_again(
    database: Database, dispatcher: Dispatcher, broker: redis.Redis, kinds: dict[str, JobKind], owner: Owner
) -> None:
    for _ in range(4):
        enqueue(database, kinds, owner)
    dispatcher.run_round(database)
    database.execute("UPDATE jobs SET dispatched_at = dispatched_at - interval '300 seconds'")
    for _ in range(3):
        dispatcher.sweep(database)
        dispatcher.run_round(database)
    assert ids_in(broker) == 4
    database.execute("UPDATE jobs SET dispatched_at = dispatched_at - make_interval(secs => %s)", (OVERDUE_SECONDS,))
    dispatcher.sweep(database)
    dispatcher.run_round(database)
    assert ids_in(broker) == 8


def test_with_a_frozen_redis_jobs_wait_unmarked_and_go_out_afterwards(
    database: Database, dispatcher: Dispatcher, broker: redis.Redis, redis_server: LocalRedis,
    kinds: dict[str, JobKind], owner: Owner,
) -> None:  # fmt: skip
    job_id = enqueue(database, kinds, owner)
    os.kill(redis_server.pid, signal.SIGSTOP)
    try:
        dispatcher.run_round(database)
        row = database.execute("SELECT state, dispatched_at FROM jobs WHERE id = %s", (job_id,)).fetchone()
        assert row == ("queued", None)
    finally:
        os.kill(redis_server.pid, signal.SIGCONT)
    dispatcher.run_round(database)
    assert ids_in(broker) >= 1
    row = database.execute("SELECT dispatched_at IS NOT NULL FROM jobs WHERE id = %s", (job_id,)).fetchone()
    assert row == (True,)


@pytest.mark.parametrize("how", ["errored", "snoozed", "put_back"])
def test_a_cancel_beats_every_way_back(
    database: Database, kinds: dict[str, JobKind], owner: Owner, how: ledger.EndedHow
) -> None:
    job_id = enqueue(database, kinds, owner)
    held = factories.claim(database, job_id)
    database.execute("UPDATE jobs SET cancel_requested = true")
    ending = ledger.end(database, held, how, {"code": "x", "detail": "y", "retryable": True}, 0)
    assert ending is not None
    assert ending.state == "cancelled"


def test_a_success_beats_a_cancel(database: Database, kinds: dict[str, JobKind], owner: Owner) -> None:
    held = factories.claim(database, enqueue(database, kinds, owner))
    database.execute("UPDATE jobs SET cancel_requested = true")
    ending = ledger.succeed(database, held, {}, None)
    assert ending is not None
    assert ending.state == "succeeded"


def test_a_lost_answer_is_found_again(database: Database, kinds: dict[str, JobKind], owner: Owner) -> None:
    job_id = enqueue(database, kinds, owner)
    sequence = factories.dispatch(database, "default")[job_id]
    claim_id = uuid4()
    arguments: dict[str, Any] = {"worker": "test", "lease_seconds": 60, "timeout_seconds": 60}
    held = ledger.claim(database, job_id=job_id, dispatch_seq=sequence, claim_id=claim_id, **arguments)
    assert ledger.claim_again(database, job_id=job_id, claim_id=claim_id) == held
    assert ledger.claim_again(database, job_id=job_id, claim_id=uuid4()) is None
    assert held is not None
    assert ledger.settled(database, held) is None
    ledger.succeed(database, held, {}, None)
    assert ledger.settled(database, held) is not None


def test_the_heartbeat_stops_at_the_deadline(database: Database, kinds: dict[str, JobKind], owner: Owner) -> None:
    held = factories.claim(database, enqueue(database, kinds, owner))
    pulse = ledger.heartbeat(database, held, 60, ledger.Progress(1, 2, "half"))
    assert pulse is not None
    assert not pulse.past_deadline
    database.execute("UPDATE jobs SET deadline_at = now()")
    late = ledger.heartbeat(database, held, 60, None)
    assert late is not None
    assert late.past_deadline
    assert database.execute("SELECT progress_completed, progress_total, progress_message FROM jobs").fetchone() == (
        1, 2, "half",
    )  # fmt: skip
