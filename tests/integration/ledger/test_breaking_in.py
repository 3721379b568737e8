"""Handlers that do not look: the heartbeat breaks into those that should end, and into no other."""

import logging
import math
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import LiteralString
from uuid import UUID

import psycopg
import pytest

from shared.job_kind import JobKind
from shared.settings import Settings
from tests import factories
from tests.conftest import Owner
from tests.kinds import stubborn
from worker.heartbeat import Watch
from worker.runner import Runner

Database = psycopg.Connection
CANCEL = "UPDATE jobs SET cancel_requested = true"
STEAL = "UPDATE jobs SET fence = fence + 1"


@pytest.fixture
def runner(settings: Settings, kinds: dict[str, JobKind]) -> Iterator[Runner]:
    hasty = settings.model_copy(update={"lease_seconds": 1.0})
    with factories.open_runner(hasty, kinds) as runner:
        yield runner


def aside(work: Callable[[], None]) -> Future[None]:
    """Do something beside the handler, in a thread that ends with the test run even if it hangs at a gate."""
    done: Future[None] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001 - handed over to whoever asks for the result
            done.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return done


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    path = tmp_path / "gate"
    os.mkfifo(path)
    return path


def execute(settings: Settings, statement: LiteralString) -> None:
    with psycopg.connect(settings.database_url, autocommit=True) as connection:
        connection.execute(statement)


def enqueue(database: Database, kind: JobKind, owner: Owner, gate: Path) -> UUID:
    return factories.enqueue(database, factories.new_job(kind, owner.id, {"path": str(gate)}))


def wait_for_beats(settings: Settings, count: int) -> None:
    """Wait until the lease has been renewed so many times; nobody tells of that, so the row is asked."""
    seen: set[object] = set()
    with psycopg.connect(settings.database_url, autocommit=True) as connection:
        while len(seen) <= count:
            seen.update(connection.execute("SELECT lease_expires_at FROM jobs").fetchall())


@pytest.mark.parametrize("name", ["test.deaf", "test.deaf_async"])
def test_a_handler_that_hangs_is_cancelled_and_the_next_job_runs(
    database: Database, runner: Runner, kinds: dict[str, JobKind], owner: Owner, settings: Settings, gate: Path,
    name: str,
) -> None:  # fmt: skip
    def request_cancel() -> None:
        assert gate.read_text() == "here"
        execute(settings, CANCEL)

    job_id = enqueue(database, kinds[name], owner, gate)
    requested = aside(request_cancel)
    assert factories.run_job(runner, database, kinds[name], job_id) == "cancelled"
    requested.result(20)
    for kind in (kinds["test.async_echo"], kinds["test.echo"]):
        after = factories.enqueue(database, factories.new_job(kind, owner.id, {"text": "after"}))
        assert factories.run_job(runner, database, kind, after) == "succeeded"


@pytest.mark.parametrize("name", ["test.deaf", "test.deaf_async"])
def test_a_handler_whose_claim_is_lost_is_ended_and_records_nothing(
    database: Database, runner: Runner, kinds: dict[str, JobKind], owner: Owner, settings: Settings, gate: Path,
    name: str,
) -> None:  # fmt: skip
    def steal() -> None:
        assert gate.read_text() == "here"
        execute(settings, STEAL)

    job_id = enqueue(database, kinds[name], owner, gate)
    stolen = aside(steal)
    # What runs is the thief's.
    assert factories.run_job(runner, database, kinds[name], job_id) == "running"
    stolen.result(20)
    assert database.execute("SELECT outcome FROM job_attempts").fetchall() == [(None,)]


def test_a_handler_that_swallows_the_interruption_gets_it_again(
    database: Database, runner: Runner, kinds: dict[str, JobKind], owner: Owner, settings: Settings, gate: Path,
) -> None:  # fmt: skip
    def request_cancel() -> None:
        assert gate.read_text() == "here"
        execute(settings, CANCEL)
        assert gate.read_text() == "here"

    job_id = enqueue(database, kinds["test.forgiving"], owner, gate)
    requested = aside(request_cancel)
    assert factories.run_job(runner, database, kinds["test.forgiving"], job_id) == "cancelled"
    requested.result(20)


def test_a_kind_that_must_not_be_interrupted_is_not_and_its_success_beats_the_cancel(
    database: Database, runner: Runner, kinds: dict[str, JobKind], owner: Owner, settings: Settings, gate: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def request_cancel() -> None:
        assert gate.read_text() == "here"
        execute(settings, CANCEL)
        runner.announce_stop()
        wait_for_beats(settings, 4)
        gate.write_text("through")

    monkeypatch.setattr("worker.heartbeat.REACT_SECONDS", 0.0)
    monkeypatch.setattr("worker.heartbeat.FINISH_SECONDS", 0.0)
    job_id = enqueue(database, kinds["test.uninterruptible"], owner, gate)
    requested = aside(request_cancel)
    assert factories.run_job(runner, database, kinds["test.uninterruptible"], job_id) == "succeeded"
    requested.result(20)


def test_mail_is_the_only_kind_of_ours_that_is_not_interrupted(kinds: dict[str, JobKind]) -> None:
    spared = {name for name, kind in kinds.items() if not kind.interruptible and not name.startswith("test.")}
    assert spared == {"mail.send"}


def test_an_interruption_that_comes_late_does_not_hit_the_next_job(
    database: Database, runner: Runner, kinds: dict[str, JobKind], owner: Owner, gate: Path
) -> None:
    child = runner.begin_child()
    kind = kinds["test.deaf"]
    past: list[Watch] = []

    def watch(*arguments: object, **options: object) -> Watch:
        past.append(original(*arguments, **options))  # pyright: ignore[reportArgumentType] - passed on as they came
        return past[-1]

    def interrupt_the_past() -> None:
        assert gate.read_text() == "here"
        child.interrupt(past[0], "cancel")
        gate.write_text("through")

    original, child.heartbeat.watch = child.heartbeat.watch, watch
    first = factories.enqueue(database, factories.new_job(kinds["test.echo"], owner.id))
    assert factories.run_job(runner, database, kinds["test.echo"], first) == "succeeded"
    job_id = enqueue(database, kind, owner, gate)
    interrupted = aside(interrupt_the_past)
    assert factories.run_job(runner, database, kind, job_id) == "succeeded"
    interrupted.result(20)
    assert [found.interrupted for found in past] == [False, False]
    assert past[0].interrupt_at == math.inf


class SlowLog(logging.Handler):
    """Is a log that takes a line only when the test lets it."""

    def __init__(self, gate: Path) -> None:
        super().__init__()
        self._gate = gate
        self.written: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self._gate.write_text("here")
        self.written.append(record.getMessage() + self._gate.read_text())


def test_a_handler_is_not_interrupted_while_it_holds_the_lock_of_the_log(
    database: Database, runner: Runner, kinds: dict[str, JobKind], owner: Owner, settings: Settings, gate: Path,
) -> None:  # fmt: skip
    def request_cancel() -> None:
        assert gate.read_text() == "here"
        execute(settings, CANCEL)
        wait_for_beats(settings, 8)
        gate.write_text(", written")
        assert gate.read_text() == "here"

    log = SlowLog(gate)
    stubborn.logger.addHandler(log)
    try:
        job_id = enqueue(database, kinds["test.deaf"], owner, gate)
        requested = aside(request_cancel)
        assert factories.run_job(runner, database, kinds["test.deaf"], job_id) == "cancelled"
        requested.result(20)
    finally:
        stubborn.logger.removeHandler(log)
    assert log.written == ["about to hang, written"]
