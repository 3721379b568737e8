"""Each way an attempt can end, through the real runner."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from celery.exceptions import Ignore
from celery.exceptions import Retry as CeleryRetry
from psycopg.rows import dict_row

from shared.job_kind import JobKind
from shared.job_queue import READY_CHANNEL
from shared.settings import Settings
from tests import factories
from tests.conftest import Owner
from worker.runner import JobFailed, Runner

Database = psycopg.Connection


@pytest.fixture
def runner(settings: Settings, kinds: dict[str, JobKind]) -> Iterator[Runner]:
    with factories.open_runner(settings, kinds) as runner:
        yield runner


def enqueue(database: Database, kinds: dict[str, JobKind], owner: Owner, ending: str, **options: Any) -> UUID:
    new = factories.new_job(kinds["test.echo"], owner.id, {"text": "hello", "ending": ending}, **options)
    return factories.enqueue(database, new)


def read(database: Database, job_id: UUID) -> dict[str, Any]:
    with database.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute("SELECT * FROM jobs WHERE id = %s", (job_id,)).fetchone()
    assert row is not None
    return row


def blobs(settings: Settings) -> list[Path]:
    return [path for path in settings.storage_dir.rglob("*") if path.is_file()]


def test_success(database: Database, runner: Runner, kinds: dict[str, JobKind], owner: Owner) -> None:
    job_id = enqueue(database, kinds, owner, "return")
    assert factories.run_job(runner, database, kinds["test.echo"], job_id) == "succeeded"
    row = read(database, job_id)
    assert row["result"] == {"text": "hello", "attempt": 1}
    assert (row["error"], row["attempt"], row["fence"]) == (None, 1, 1)
    attempts = database.execute("SELECT fence, attempt, outcome FROM job_attempts").fetchall()
    assert attempts == [(1, 1, "succeeded")]


def test_a_coroutine_runs_on_one_loop(
    database: Database, runner: Runner, kinds: dict[str, JobKind], owner: Owner
) -> None:
    kind = kinds["test.async_echo"]
    for _ in range(3):
        job_id = factories.enqueue(database, factories.new_job(kind, owner.id, {"text": "later"}))
        assert factories.run_job(runner, database, kind, job_id) == "succeeded"


@pytest.mark.parametrize(
    ("ending", "code"), [("retry", "retry"), ("crash", "handler_error"), ("exit", "handler_exited")]
)
def test_failures_are_tried_again_exactly_max_attempts_times(
    database: Database, runner: Runner, kinds: dict[str, JobKind], owner: Owner, ending: str, code: str
) -> None:
    job_id = enqueue(database, kinds, owner, ending, max_attempts=2)
    assert factories.run_job(runner, database, kinds["test.echo"], job_id) == "retrying"
    waiting = read(database, job_id)
    assert waiting["last_error"]["code"] == code
    assert waiting["error"] is None
    assert factories.run_job(runner, database, kinds["test.echo"], job_id) == "failed"
    row = read(database, job_id)
    assert row["error"]["code"] == code
    assert row["attempt"] == 2
    assert database.execute("SELECT outcome FROM job_attempts ORDER BY fence").fetchall() == [("errored",)] * 2


def test_what_an_unforeseen_exception_says_is_for_operators_only(
    database: Database, runner: Runner, kinds: dict[str, JobKind], owner: Owner, caplog: pytest.LogCaptureFixture
) -> None:
    job_id = enqueue(database, kinds, owner, "crash", max_attempts=1)
    with caplog.at_level(logging.WARNING):
        factories.run_job(runner, database, kinds["test.echo"], job_id)
    assert "secret" not in str(read(database, job_id)["error"])
    assert "a secret that must not be shown" in caplog.text


@pytest.mark.parametrize(
    ("ending", "code", "detail"),
    [
        ("fail", "bad_words", "These words will not do."),
        ("out_of_memory", "out_of_memory", "The handler needed more memory than a worker's child may have."),
    ],
)
def test_a_permanent_failure_is_not_tried_again(
    database: Database, runner: Runner, kinds: dict[str, JobKind], owner: Owner, ending: str, code: str, detail: str
) -> None:
    job_id = enqueue(database, kinds, owner, ending)
    sequence = factories.dispatch(database, "default")[job_id]
    with pytest.raises(JobFailed, match=code):
        runner.run(kinds["test.echo"], str(job_id), sequence)
    assert read(database, job_id)["error"] == {"code": code, "detail": detail, "retryable": False}


def test_a_snooze_costs_no_attempt(database: Database, runner: Runner, kinds: dict[str, JobKind], owner: Owner) -> None:
    job_id = enqueue(database, kinds, owner, "snooze", max_attempts=1)
    for fence in (1, 2, 3):
        sequence = factories.dispatch(database, "default")[job_id]
        with pytest.raises(CeleryRetry):
            runner.run(kinds["test.echo"], str(job_id), sequence)
        row = read(database, job_id)
        assert (row["state"], row["attempt"], row["fence"]) == ("retrying", 0, fence)


def test_a_message_that_comes_twenty_times_runs_once(
    database: Database, runner: Runner, kinds: dict[str, JobKind], owner: Owner
) -> None:
    job_id = enqueue(database, kinds, owner, "return")
    sequence = factories.dispatch(database, "default")[job_id]
    runner.run(kinds["test.echo"], str(job_id), sequence)
    for _ in range(19):
        with pytest.raises(Ignore):
            runner.run(kinds["test.echo"], str(job_id), sequence)
    assert read(database, job_id)["fence"] == 1


def test_an_older_dispatch_is_refused(
    database: Database, runner: Runner, kinds: dict[str, JobKind], owner: Owner
) -> None:
    job_id = enqueue(database, kinds, owner, "return")
    old = factories.dispatch(database, "default")[job_id]
    database.execute("UPDATE jobs SET dispatched_at = NULL WHERE id = %s", (job_id,))
    with pytest.raises(Ignore):
        runner.run(kinds["test.echo"], str(job_id), old)
    new = factories.dispatch(database, "default")[job_id]
    assert new == old + 1
    runner.run(kinds["test.echo"], str(job_id), new)
    assert read(database, job_id)["state"] == "succeeded"


def test_outputs_become_files_with_the_success_only(
    database: Database, settings: Settings, runner: Runner, kinds: dict[str, JobKind], owner: Owner
) -> None:
    kept = enqueue(database, kinds, owner, "output")
    dropped = enqueue(database, kinds, owner, "output_then_crash")
    for job_id in (kept, dropped):
        sequence = factories.dispatch(database, "default", places=1)[job_id]
        try:
            runner.run(kinds["test.echo"], str(job_id), sequence)
        except CeleryRetry:
            assert job_id == dropped
    files = database.execute("SELECT job_id, storage_key, size, purpose FROM files").fetchall()
    assert [(row[0], row[2], row[3]) for row in files] == [(kept, 5, "output")]
    assert [path.read_bytes() for path in blobs(settings)] == [b"hello"]


def test_follow_ups_come_with_the_success(
    database: Database, runner: Runner, kinds: dict[str, JobKind], owner: Owner
) -> None:
    parent = enqueue(database, kinds, owner, "follow_up")
    factories.run_job(runner, database, kinds["test.echo"], parent)
    rows = database.execute("SELECT state, input FROM jobs WHERE parent_id = %s", (parent,)).fetchall()
    assert rows == [("queued", {"text": "after hello", "ending": "return"})]


def test_a_lost_claim_records_nothing(
    database: Database, settings: Settings, runner: Runner, kinds: dict[str, JobKind], owner: Owner
) -> None:
    job_id = enqueue(database, kinds, owner, "output")
    sequence = factories.dispatch(database, "default")[job_id]
    # Whoever holds the claim when the handler returns is another one: a higher fence.
    database.execute("CREATE FUNCTION steal() RETURNS trigger LANGUAGE plpgsql AS $$"
                     " BEGIN UPDATE jobs SET fence = fence + 1 WHERE id = new.job_id; RETURN new; END $$")  # fmt: skip
    database.execute("CREATE CONSTRAINT TRIGGER steal AFTER INSERT ON job_attempts DEFERRABLE INITIALLY DEFERRED"
                     " FOR EACH ROW EXECUTE FUNCTION steal()")  # fmt: skip
    try:
        with pytest.raises(Ignore):
            runner.run(kinds["test.echo"], str(job_id), sequence)
    finally:
        database.execute("DROP FUNCTION steal CASCADE")
    assert read(database, job_id)["state"] == "running"
    assert database.execute("SELECT count(*) FROM files").fetchone() == (0,)
    assert blobs(settings) == []


@pytest.mark.parametrize("kind_name", ["test.echo", "test.async_echo"])
def test_stopping_puts_back_five_times_and_then_counts(
    database: Database, runner: Runner, kinds: dict[str, JobKind], owner: Owner, kind_name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("worker.heartbeat.FINISH_SECONDS", 0.0)
    runner.announce_stop()
    kind = kinds[kind_name]
    new = factories.new_job(kind, owner.id, {"text": "hello", "ending": "hang"}, max_attempts=1)
    job_id = factories.enqueue(database, new)
    for put_backs in range(1, 6):
        assert factories.run_job(runner, database, kind, job_id) == "queued"
        row = read(database, job_id)
        assert (row["attempt"], row["put_backs"]) == (0, put_backs)
    assert factories.run_job(runner, database, kind, job_id) == "failed"


def test_an_exit_during_a_stop_is_no_free_attempt(
    database: Database, runner: Runner, kinds: dict[str, JobKind], owner: Owner
) -> None:
    runner.announce_stop()
    job_id = enqueue(database, kinds, owner, "exit", max_attempts=1)
    assert factories.run_job(runner, database, kinds["test.echo"], job_id) == "failed"
    assert read(database, job_id)["error"]["code"] == "handler_exited"


def test_the_worker_is_named_in_the_history(
    database: Database, runner: Runner, kinds: dict[str, JobKind], owner: Owner
) -> None:
    job_id = enqueue(database, kinds, owner, "return")
    factories.run_job(runner, database, kinds["test.echo"], job_id)
    row = database.execute("SELECT worker FROM job_attempts").fetchone()
    assert row is not None
    assert row[0].endswith(f":{os.getpid()}")


@pytest.mark.parametrize(("concurrency_key", "nudges"), [("customer-7", 1), ("", 0)])
def test_a_job_that_frees_a_limited_place_wakes_the_dispatcher(
    database: Database, runner: Runner, kinds: dict[str, JobKind], owner: Owner, concurrency_key: str, nudges: int
) -> None:
    job_id = enqueue(database, kinds, owner, "return", concurrency_key=concurrency_key)
    database.execute(f"LISTEN {READY_CHANNEL}".encode())
    assert factories.run_job(runner, database, kinds["test.echo"], job_id) == "succeeded"
    assert len(list(database.notifies(timeout=0))) == nudges
