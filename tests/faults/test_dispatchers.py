"""Dispatchers killed or frozen at the worst moment, with a stand-by: jobs run once, claims and cancels go on."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from shared.job_kind import load_job_kinds
from shared.job_queue import NUDGE
from tests import factories
from tests.faults.conftest import ACCOUNT, FAILING_SLOTS, FailingYard, Yard, open_gate
from tests.polling import await_that

HOLDER = "SELECT holder FROM dispatcher_lease WHERE expires_at > clock_timestamp()"
DISPATCHERS = ("dispatcher", "dispatcher.2")
MANY = 160
"""Half of them are more than are handed over at a time."""

Database = psycopg.Connection[Any]


@pytest.fixture
def yard(failing: FailingYard) -> FailingYard:
    return failing


@pytest.fixture
def database(yard: Yard) -> Iterator[Database]:
    with psycopg.connect(yard.stack.endpoints.database_url, autocommit=True) as connection:
        yield connection


def read_holder(connection: Database) -> str | None:
    row = connection.execute(HOLDER).fetchone()
    return str(row[0]) if row else None


def find_active(yard: Yard, holder: str) -> str:
    """Find out which program holds the lease: each says so in its log."""
    said = f"dispatcher {holder} is active"
    (active,) = [name for name in DISPATCHERS if said in Path(yard.stack.endpoints.log_dir, f"{name}.log").read_text()]
    return active


def history(database: Database, path: str) -> list[str]:
    query = "SELECT outcome FROM job_attempts WHERE job_id = %s ORDER BY fence"
    return [outcome for (outcome,) in database.execute(query, (path.rpartition("/")[2],)).fetchall()]


def dispatches(database: Database, path: str) -> int:
    row = database.execute("SELECT dispatch_seq FROM jobs WHERE id = %s", (path.rpartition("/")[2],)).fetchone()
    assert row is not None
    return row[0]


def enqueue_together(database: Database, texts: list[str]) -> list[str]:
    """Enqueue jobs in one transaction, so that one round of the dispatcher sees them all; gives their paths."""
    row = database.execute("SELECT id FROM users WHERE email = %s", (ACCOUNT["email"],)).fetchone()
    assert row is not None
    kind = load_job_kinds(["tests.kinds"])["test.echo"]
    with database.transaction():
        ids = [factories.enqueue(database, factories.new_job(kind, row[0], {"text": text})) for text in texts]
    database.execute(NUDGE)
    return [f"/v1/jobs/{job_id}" for job_id in ids]


def test_a_dispatcher_that_stops_hands_over_at_once(yard: Yard, database: Database) -> None:
    assert yard.wait(yard.enqueue("test.echo", {}))["state"] == "succeeded"
    holder = read_holder(database)
    assert holder is not None
    active = find_active(yard, holder)
    exits = yard.stack.supervisor.exits(active)
    began = time.monotonic()

    yard.stack.supervisor.stop_one(active)

    # Its lease would have gone on for seconds; it is free, or the other's already.
    assert read_holder(database) != holder
    assert yard.stack.supervisor.exits(active) == [*exits, 0]
    assert yard.wait(yard.enqueue("test.echo", {"text": "by the other"}))["state"] == "succeeded"
    print(f"\nstopped, and a job of the stand-by's done, in {time.monotonic() - began:.2f} s")
    assert read_holder(database) not in {holder, None}
    yard.stack.supervisor.start_one(active)


def test_a_dispatcher_killed_between_commit_and_publish_costs_no_job(yard: FailingYard, database: Database) -> None:
    exits = {name: yard.stack.supervisor.exits(name) for name in DISPATCHERS}
    fault = yard.arm("kill-before-publish")
    paths = enqueue_together(database, ["one", "two", "three"])
    killed = fault.read_text()
    began = time.monotonic()

    assert yard.stack.supervisor.wait_exit(killed, count=len(exits[killed]) + 1) == -signal.SIGKILL
    assert [dispatches(database, path) for path in paths] == [1, 1, 1], "committed"

    assert [yard.wait(path)["result"]["text"] for path in paths] == ["one", "two", "three"]
    print(f"\nkilled between commit and publish: its jobs done {time.monotonic() - began:.1f} s later")
    assert [history(database, path) for path in paths] == [["succeeded"]] * 3
    assert all(dispatches(database, path) > 1 for path in paths), "published, so not killed in time"


def test_while_a_dispatcher_is_frozen_in_a_transaction_claims_and_cancels_go_on(
    yard: FailingYard, database: Database
) -> None:
    gates = [yard.make_gate(f"slot-{number}") for number in range(FAILING_SLOTS)]
    running = [yard.enqueue("test.gate", {"path": str(gate)}) for gate in gates]
    for path in running:
        yard.wait_for_attempt(path, 1)
    waiting = yard.enqueue("test.echo", {"text": "in Celery"})
    await_that(lambda: dispatches(database, waiting))
    active = read_holder(database)
    fault = yard.arm("stop-in-transaction")
    marked, doomed = enqueue_together(database, ["marked", "doomed"])
    frozen = fault.read_text()
    pid, began = yard.stack.supervisor.pid(frozen), time.monotonic()
    try:
        for gate in gates:
            open_gate(gate, "through")
        assert [yard.wait(path)["state"] for path in [*running, waiting]] == ["succeeded"] * (FAILING_SLOTS + 1)
        claimed = time.monotonic() - began
        # Its row is locked until the server ends the transaction.
        assert yard.client.post(f"{doomed}/cancel").raise_for_status().json()["state"] == "cancelled"
        cancelled = time.monotonic() - began
        late = yard.enqueue("test.echo", {"text": "late"})
        assert [yard.wait(path)["result"]["text"] for path in (late, marked)] == ["late", "marked"]
        assert read_holder(database) != active
        taken_over = time.monotonic() - began
    finally:
        os.kill(pid, signal.SIGCONT)
    log = Path(yard.stack.endpoints.log_dir, f"{frozen}.log")
    await_that(lambda: "standing by" in log.read_text().rpartition("PostgreSQL does not answer")[2])

    # What it sent when it woke up comes before this one, and is refused.
    assert yard.wait(yard.enqueue("test.echo", {}))["state"] == "succeeded"
    ended = [history(database, path) for path in [*running, waiting, late, marked]]
    assert ended == [["succeeded"]] * (FAILING_SLOTS + 3)
    assert (yard.read(doomed)["state"], history(database, doomed)) == ("cancelled", [])
    print(f"\nfrozen in a transaction: claims went on within {claimed:.1f} s, a cancel of what it had locked within "
          f"{cancelled:.1f} s, dispatching within {taken_over:.1f} s")  # fmt: skip


def test_two_dispatchers_that_hand_over_start_each_job_once(yard: Yard, database: Database) -> None:
    texts = [str(number) for number in range(MANY)]
    began = time.monotonic()
    paths = enqueue_together(database, texts[: MANY // 2])
    holder = read_holder(database)
    assert holder is not None
    active = find_active(yard, holder)
    yard.stack.supervisor.stop_one(active)
    paths += enqueue_together(database, texts[MANY // 2 :])
    yard.stack.supervisor.start_one(active)

    assert [yard.wait(path)["result"]["text"] for path in paths] == texts
    assert [history(database, path) for path in paths] == [["succeeded"]] * MANY
    print(f"\n{MANY} jobs, two dispatchers, one handover: each started once, in {time.monotonic() - began:.1f} s")
