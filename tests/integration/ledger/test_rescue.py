"""Rescue: whose lease is taken for lapsed, and what becomes of the job."""

import threading
from typing import Any
from uuid import UUID

import psycopg
import pytest

from shared.job_kind import JobKind
from shared.settings import Settings
from tests import factories
from tests.conftest import Owner
from worker import dispatching, ledger
from worker.celery_app import create_celery_app
from worker.dispatcher import Dispatcher
from worker.rescue import rescue

Database = psycopg.Connection


def enqueue(database: Database, kinds: dict[str, JobKind], owner: Owner, **options: Any) -> UUID:
    return factories.enqueue(database, factories.new_job(kinds["test.echo"], owner.id, **options))


@pytest.mark.parametrize(
    ("lapsed", "deadline", "attempts", "state", "code"),
    [
        (True, False, 2, "queued", None),
        (True, False, 1, "failed", "worker_lost"),
        (True, True, 1, "failed", "timeout"),
        (False, False, 1, "running", None),
    ],
)
def test_rescue(
    database: Database, kinds: dict[str, JobKind], owner: Owner, *,
    lapsed: bool, deadline: bool, attempts: int, state: str, code: str | None,
) -> None:  # fmt: skip
    job_id = enqueue(database, kinds, owner, max_attempts=attempts)
    factories.claim(database, job_id)
    if lapsed:
        database.execute("UPDATE jobs SET lease_expires_at = now() - interval '1 second'")
    if deadline:
        database.execute("UPDATE jobs SET deadline_at = now() - interval '1 second'")
    rescued = rescue(database, lease_seconds=0)
    row = database.execute("SELECT state, error ->> 'code', attempt FROM jobs").fetchone()
    assert row == (state, code, 1)
    assert len(rescued) == int(lapsed)
    if lapsed:
        outcome = database.execute("SELECT outcome, ended_at IS NOT NULL FROM job_attempts").fetchone()
        assert outcome == ("timeout" if deadline else "worker_lost", True)


def test_no_rescue_within_a_lease_of_the_databases_start(
    database: Database, kinds: dict[str, JobKind], owner: Owner
) -> None:
    job_id = enqueue(database, kinds, owner)
    factories.claim(database, job_id)
    database.execute("UPDATE jobs SET lease_expires_at = now() - interval '1 day'")
    assert rescue(database, lease_seconds=10**8) == []
    assert factories.read_state(database, job_id) == "running"


def test_the_late_one_is_refused_after_a_rescue(database: Database, kinds: dict[str, JobKind], owner: Owner) -> None:
    job_id = enqueue(database, kinds, owner)
    late = factories.claim(database, job_id)
    database.execute("UPDATE jobs SET lease_expires_at = now() - interval '1 second'")
    rescue(database, lease_seconds=0)
    second = factories.claim(database, job_id)
    assert second.fence == late.fence + 1
    assert ledger.succeed(database, late, {"late": True}, None) is None
    assert ledger.heartbeat(database, late, 60, None) is None
    assert ledger.succeed(database, second, {"late": False}, None) is not None
    row = database.execute("SELECT state, result FROM jobs").fetchone()
    assert row == ("succeeded", {"late": False})


def test_a_cancel_beats_the_rescue(database: Database, kinds: dict[str, JobKind], owner: Owner) -> None:
    factories.claim(database, enqueue(database, kinds, owner))
    database.execute("UPDATE jobs SET cancel_requested = true, lease_expires_at = now() - interval '1 second'")
    rescue(database, lease_seconds=0)
    assert database.execute("SELECT state FROM jobs").fetchone() == ("cancelled",)


def test_a_lease_that_lapsed_while_time_stood_still_is_not_rescued(
    database: Database, kinds: dict[str, JobKind], owner: Owner
) -> None:
    job_id = enqueue(database, kinds, owner)
    factories.claim(database, job_id)
    before = dispatching.read_clock(database)
    database.execute("UPDATE jobs SET lease_expires_at = clock_timestamp()")
    assert rescue(database, 0, before) == []
    assert len(rescue(database, 0, dispatching.read_clock(database))) == 1


@pytest.mark.parametrize(("seconds", "state"), [(0, "queued"), (1, "running")])
def test_a_round_that_was_kept_waiting_puts_the_rescue_off(
    database: Database, settings: Settings, kinds: dict[str, JobKind], owner: Owner, seconds: int, state: str
) -> None:
    factories.claim(database, enqueue(database, kinds, owner), lease=-1)
    # Nobody is rescued before PostgreSQL has run for a lease, and in a session of its own this test comes early.
    database.execute("SELECT pg_sleep(greatest(0, 2.1 - extract(epoch FROM now() - pg_postmaster_start_time())))")
    database.execute("UPDATE dispatcher_lease SET expires_at = now() - interval '1 second'")
    locked = threading.Event()

    def keep_waiting() -> None:
        with psycopg.connect(settings.database_url) as rival:
            rival.execute("SELECT 1 FROM dispatcher_lease FOR UPDATE")
            locked.set()
            rival.execute("SELECT pg_sleep(%s)", (seconds,))

    waiting = threading.Thread(target=keep_waiting)
    waiting.start()
    locked.wait()
    # With a lease of two seconds, half a second is long.
    settings = settings.model_copy(update={"lease_seconds": 2.0})
    dispatcher = Dispatcher(settings, create_celery_app(settings))
    dispatcher.run_round(database)
    waiting.join()
    dispatcher.retire()
    assert database.execute("SELECT state FROM jobs").fetchone() == (state,)
