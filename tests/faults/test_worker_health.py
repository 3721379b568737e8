"""A worker that is alive but takes no jobs, one that is frozen, one that is merely busy, one that has stopped."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest
from celery import Celery
from psycopg.rows import dict_row

from shared.job_kind import QUEUES
from shared.settings import Settings
from tests.faults.conftest import Yard
from tests.polling import await_that
from worker import health
from worker.celery_app import create_celery_app

SLOTS = 2
ROOT = Path(__file__).resolve().parents[2]

Database = psycopg.Connection[Any]
Row = dict[str, Any]


@pytest.fixture
def database(yard: Yard) -> Iterator[Database]:
    with psycopg.connect(yard.stack.endpoints.database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def control(yard: Yard) -> Celery:
    values = {"redis_url": yard.stack.endpoints.redis_url, "database_url": yard.stack.endpoints.database_url}
    return create_celery_app(Settings.model_validate(values))


def until(yard: Yard, database: Database, condition: LiteralString) -> Row:
    """Read the worker's row until it fulfils a condition; those of killed ones may be there too."""
    statement = f"SELECT * FROM workers WHERE pid = %s AND ({condition})"  # noqa: S608 - a test's own
    pid = yard.stack.supervisor.pid("worker")
    with database.cursor(row_factory=dict_row) as cursor:
        return await_that(lambda: cursor.execute(statement, (pid,)).fetchone())


def health_file(yard: Yard) -> str:
    return yard.stack.endpoints.log_dir.removesuffix("log") + "worker-health.json"


def check(yard: Yard) -> tuple[int, str]:
    """Ask `python -m worker.health` as Docker would; gives its exit status and its line."""
    environment = os.environ | {"JOBYARD_WORKER_HEALTH_FILE": health_file(yard)}
    asked = subprocess.run(
        [sys.executable, "-m", "worker.health"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert (asked.stdout.count("\n"), asked.stderr) == (1, "")
    return asked.returncode, asked.stdout.strip()


def check_until(yard: Yard, status: int, words: str) -> str:
    """Ask until the answer is this one; in this process until it may be, for each question to Python costs much."""
    settings = Settings.model_validate({"worker_health_file": health_file(yard)})

    def is_it(found: int, line: str) -> bool:
        return found == status and words in line

    def look() -> str | None:
        well, line = health.check(settings)
        if not is_it(0 if well else 1, line):
            return None
        found, line = check(yard)
        return line if is_it(found, line) else None

    line = await_that(look)
    print(line)
    return line


def test_a_worker_that_was_told_to_take_nothing_is_unhealthy_until_it_takes_jobs_again(
    yard: Yard, database: Database, control: Celery
) -> None:
    assert yard.wait(yard.enqueue("test.echo", {}))["state"] == "succeeded"
    row = until(yard, database, "received_at IS NOT NULL AND busy = 0")
    assert (row["consuming"], row["slots"], row["queues"]) == (True, SLOTS, sorted(QUEUES))
    assert row["pid"] == yard.stack.supervisor.pid("worker")
    assert check_until(yard, 0, "healthy").startswith(f"healthy: {row['name']}")
    for queue in QUEUES:
        assert control.control.cancel_consumer(queue, reply=True, limit=1, timeout=20)

    path = yard.enqueue("test.echo", {"text": "taken at last"})
    until(yard, database, "NOT consuming")

    check_until(yard, 1, "takes no jobs")
    assert yard.read(path)["state"] == "queued"
    for queue in QUEUES:
        assert control.control.add_consumer(queue, reply=True, limit=1, timeout=20)
    assert yard.wait(path)["result"] == {"text": "taken at last", "attempt": 1}
    until(yard, database, "consuming")
    check_until(yard, 0, "healthy")


@pytest.mark.long
def test_a_worker_with_all_slots_busy_is_healthy(yard: Yard, database: Database) -> None:
    gates = [yard.make_gate(f"busy-{number}") for number in range(SLOTS)]
    running = [yard.enqueue("test.gate", {"path": str(gate)}) for gate in gates]
    for path in running:
        yard.wait_for_attempt(path, 1)
    waiting = yard.enqueue("test.echo", {})

    # It has waited for longer than a worker with a free slot would be given, and the worker has spoken since.
    late = "(SELECT dispatched_at FROM jobs WHERE state = 'queued') + interval '3.5 s'"
    row = until(yard, database, f"seen_at > {late} OR NOT consuming")

    assert (row["consuming"], row["busy"]) == (True, SLOTS)
    assert check(yard)[0] == 0
    for gate in gates:
        gate.write_text("through")
    assert [yard.wait(path)["state"] for path in [*running, waiting]] == ["succeeded"] * (SLOTS + 1)


def test_a_frozen_worker_is_unhealthy_until_it_wakes_up(yard: Yard) -> None:
    check_until(yard, 0, "healthy")
    frozen = yard.stack.supervisor.pid("worker")
    os.kill(frozen, signal.SIGSTOP)
    try:
        check_until(yard, 1, "has said nothing for")
    finally:
        os.kill(frozen, signal.SIGCONT)
    check_until(yard, 0, "healthy")
    assert yard.wait(yard.enqueue("test.echo", {}))["state"] == "succeeded"


@pytest.mark.long
def test_a_worker_that_stops_leaves_neither_row_nor_file(yard: Yard, database: Database) -> None:
    check_until(yard, 0, "healthy")
    pid = yard.stack.supervisor.pid("worker")
    yard.stack.supervisor.stop_one("worker")
    assert database.execute("SELECT count(*) FROM workers WHERE pid = %s", (pid,)).fetchone() == (0,)
    assert list(yard.gates.parent.rglob("worker-health*")) == []
    assert check(yard)[1].startswith("unhealthy: no worker reports")
    yard.stack.supervisor.start_one("worker")
