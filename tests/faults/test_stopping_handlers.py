"""Handlers that should end and do not: cancelled, exiting, past their limit, in a worker that stops."""

import os
import signal
from pathlib import Path

import pytest

from tests.faults.conftest import Yard, open_gate
from tests.faults.test_lost_workers import history

SLOTS = 2


def stop_worker(yard: Yard) -> None:
    """Ask the worker to stop; it is started again when it has."""
    os.kill(yard.stack.supervisor.pid("worker"), signal.SIGTERM)


def begin(yard: Yard, kind: str, name: str) -> tuple[str, Path]:
    """Enqueue a job that waits at a gate; returns when it runs."""
    gate = yard.make_gate(name)
    path = yard.enqueue(kind, {"path": str(gate)})
    yard.wait_for_attempt(path, 1)
    return path, gate


def test_jobs_that_hang_and_never_look_are_cancelled_and_their_slots_are_free(yard: Yard) -> None:
    hanging = [begin(yard, "test.gate", f"hanging-{number}")[0] for number in range(SLOTS)]
    waiting = yard.enqueue("test.echo", {"text": "next"})
    for path in hanging:
        assert yard.client.post(f"{path}/cancel").json()["cancel_requested"] is True
    assert [yard.wait(path)["state"] for path in hanging] == ["cancelled"] * SLOTS
    assert [history(yard, path) for path in hanging] == [["cancelled"]] * SLOTS
    assert yard.wait(waiting)["state"] == "succeeded"


def test_a_handler_that_exits_has_failed(yard: Yard) -> None:
    path = yard.enqueue("test.echo", {"ending": "exit"}, max_attempts=2)
    job = yard.wait(path)
    assert (job["state"], job["error"]["code"], job["attempt"]) == ("failed", "handler_exited", 2)
    assert history(yard, path) == ["errored", "errored"]


def test_a_handler_that_wants_too_much_memory_has_failed_and_its_child_lives_on(yard: Yard) -> None:
    path = yard.enqueue("test.echo", {"ending": "hoard"}, max_attempts=2)
    job = yard.wait(path)
    assert (job["state"], job["error"]["code"], job["attempt"]) == ("failed", "out_of_memory", 1)
    assert history(yard, path) == ["failed"]
    assert yard.wait(yard.enqueue("test.echo", {"text": "next"}))["state"] == "succeeded"


def test_a_handler_that_exits_during_a_stop_has_failed_all_the_same(yard: Yard) -> None:
    path, gate = begin(yard, "test.exit_at_gate", "exit")
    stop_worker(yard)
    open_gate(gate, "3")
    job = yard.wait(path)
    assert (job["state"], job["error"]["code"]) == ("failed", "handler_exited")
    assert history(yard, path) == ["errored"]


# One is broken into when its worker stops, by then past its limit; the other heeds nothing, and is rescued from the
# worker that waits for it until the hard limit.
@pytest.mark.parametrize("kind", ["test.past_limit", pytest.param("test.immovable", marks=pytest.mark.long)])
def test_a_handler_past_its_limit_during_a_stop_has_failed(yard: Yard, kind: str) -> None:
    path, _ = begin(yard, kind, kind)
    stop_worker(yard)
    job = yard.wait(path)
    assert (job["state"], job["error"]["code"], job["attempt"]) == ("failed", "timeout", 1)
    # The one is told by its child, the other by the rescue; what counts is that neither was put back.
    assert history(yard, path) in (["errored"], ["timeout"])


@pytest.mark.long
def test_a_stop_finishes_short_jobs_and_puts_long_ones_back(yard: Yard) -> None:
    long, long_gate = begin(yard, "test.gate", "long")
    short, short_gate = begin(yard, "test.gate", "short")
    stop_worker(yard)
    open_gate(short_gate, "done")
    assert yard.wait(short)["result"] == {"text": "done", "attempt": 1}
    job = yard.read(long)
    while history(yard, long) != ["put_back", None]:
        answer = yard.client.get(long, headers={"Prefer": "wait=30", "If-None-Match": f'"{job["version"]}"'})
        assert answer.status_code == 200
        job = answer.json()
    open_gate(long_gate, "through")
    assert yard.wait(long)["result"] == {"text": "through", "attempt": 1}
    assert history(yard, short) == ["succeeded"]
