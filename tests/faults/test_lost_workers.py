"""Workers that are killed, stopped or that kill themselves, and what becomes of their jobs."""

import os
import signal
import time

import httpx2
import pytest

from tests.faults.conftest import LEASE_SECONDS, Yard, open_gate
from worker.dispatcher import SWEEP_SECONDS

SLOTS = 2


def history(yard: Yard, path: str) -> list[str]:
    answer = yard.client.get(f"{path}/attempts").raise_for_status()
    return [attempt["outcome"] for attempt in answer.json()]


@pytest.mark.long
def test_a_killed_child_costs_an_attempt_and_no_job(yard: Yard) -> None:
    gate = yard.make_gate("child")
    path = yard.enqueue("test.gate", {"path": str(gate)})
    os.kill(yard.wait_for_attempt(path, 1), signal.SIGKILL)
    yard.wait_for_attempt(path, 2)
    open_gate(gate, "through")
    job = yard.wait(path)
    assert (job["state"], job["result"]) == ("succeeded", {"text": "through", "attempt": 2})
    assert history(yard, path) == ["worker_lost", "succeeded"]


def test_the_jobs_of_a_killed_worker_run_again_within_a_lease_and_two_sweeps(yard: Yard) -> None:
    gates = [yard.make_gate(f"worker-{number}") for number in range(SLOTS)]
    paths = [yard.enqueue("test.gate", {"path": str(gate)}) for gate in gates]
    for path in paths:
        yard.wait_for_attempt(path, 1)
    killed = time.monotonic()
    yard.stack.supervisor.signal_group("worker", signal.SIGKILL)
    for path in paths:
        yard.wait_for_attempt(path, 2)
    seconds = time.monotonic() - killed
    print(f"\nthe whole worker killed: its {SLOTS} jobs run again {seconds:.1f} s later")
    assert seconds < LEASE_SECONDS + 2 * SWEEP_SECONDS
    for gate, path in zip(gates, paths, strict=True):
        open_gate(gate, "through")
        assert yard.wait(path)["state"] == "succeeded"
        assert history(yard, path) == ["worker_lost", "succeeded"]


def test_a_stopped_worker_puts_its_job_back_without_losing_an_attempt(yard: Yard) -> None:
    gate = yard.make_gate("stopped")
    path = yard.enqueue("test.gate", {"path": str(gate)})
    yard.wait_for_attempt(path, 1)
    os.kill(yard.stack.supervisor.pid("worker"), signal.SIGTERM)
    job = yard.read(path)
    while history(yard, path) != ["put_back", None]:
        answer = yard.client.get(path, headers={"Prefer": "wait=30", "If-None-Match": f'"{job["version"]}"'})
        assert answer.status_code == 200
        job = answer.json()
    assert job["attempt"] == 1
    open_gate(gate, "through")
    assert yard.wait(path)["result"] == {"text": "through", "attempt": 1}


def test_a_job_that_kills_its_worker_starts_exactly_max_attempts_times(yard: Yard) -> None:
    path = yard.enqueue("test.kill", {})
    job = yard.wait(path)
    assert (job["state"], job["error"]["code"], job["attempt"]) == ("failed", "worker_lost", 2)
    assert history(yard, path) == ["worker_lost", "worker_lost"]
    attempts = yard.client.get(f"{path}/attempts").json()
    assert [(one["attempt"], one["error_code"]) for one in attempts] == [(1, "worker_lost"), (2, "worker_lost")]
    assert all(one["started_at"] < one["ended_at"] for one in attempts)
    assert attempts[0]["worker"] != attempts[1]["worker"]


def test_a_job_past_its_time_limit_frees_its_slot(yard: Yard) -> None:
    gates = [yard.make_gate(f"hang-{number}") for number in range(SLOTS + 1)]
    paths = [yard.enqueue("test.hang", {"path": str(gate)}, max_attempts=2) for gate in gates]
    for path in paths:
        job = yard.wait(path)
        assert (job["state"], job["error"]["code"], job["attempt"]) == ("failed", "timeout", 2)
        assert history(yard, path) == ["errored", "errored"]
    assert yard.wait(yard.enqueue("test.echo", {"text": "free"}))["state"] == "succeeded"


@pytest.mark.long
def test_a_job_past_its_hard_limit_starts_exactly_max_attempts_times_and_frees_its_slots(yard: Yard) -> None:
    gate = yard.make_gate("immovable")
    began = time.monotonic()
    path = yard.enqueue("test.immovable", {"path": str(gate)}, max_attempts=2)
    # The first attempt is rescued while its child goes on, the second takes the other slot: no slot is left.
    children = {yard.wait_for_attempt(path, attempt) for attempt in (1, 2)}
    free = yard.enqueue("test.echo", {"text": "free"})
    job = yard.wait(path)
    assert (job["state"], job["error"]["code"], job["attempt"]) == ("failed", "timeout", 2)
    assert history(yard, path) == ["timeout", "timeout"]
    assert len(children) == SLOTS
    assert yard.wait(free)["state"] == "succeeded"
    print(f"\na job past its hard limit: two starts, a slot is free {time.monotonic() - began:.1f} s after the first")


def test_a_running_job_is_cancelled(yard: Yard) -> None:
    path = yard.enqueue("demo.countdown", {"steps": 1000, "step_seconds": 0.05})
    job = yard.read(path)
    while job["progress"]["completed"] is None:
        answer = yard.client.get(path, headers={"Prefer": "wait=30", "If-None-Match": f'"{job["version"]}"'})
        job = answer.raise_for_status().json()
    assert yard.client.post(f"{path}/cancel").json()["cancel_requested"] is True
    job = yard.wait(path)
    assert (job["state"], job["error"]["code"]) == ("cancelled", "cancelled")


def test_flower_shows_how_jobs_ended(yard: Yard) -> None:
    endings = {"return": "SUCCESS", "fail": "FAILURE", "retry": "RETRY"}
    paths = {ending: yard.enqueue("test.echo", {"ending": ending}, max_attempts=2) for ending in endings}
    for path in paths.values():
        yard.wait(path)
    endpoints = yard.stack.endpoints
    credentials = (endpoints.flower_user, endpoints.flower_password)
    with httpx2.Client(base_url=endpoints.flower_url, auth=credentials) as operator:
        assert operator.get("/api/tasks", auth=None).status_code == 401
        for ending, expected in endings.items():
            task_id = paths[ending].rpartition("/")[2] + ":1"
            assert show_task(operator, task_id, expected) == {"name": "test.echo", "state": expected}


def show_task(operator: httpx2.Client, task_id: str, expected: str) -> dict[str, str]:
    """Read what Flower shows of a task; events reach it a moment after the job's end."""
    shown: dict[str, str] = {}
    for _ in range(1000):
        answer = operator.get(f"/api/task/info/{task_id}")
        if answer.status_code == 200:
            shown = {name: answer.json()[name] for name in ("name", "state")}
        if shown.get("state") == expected:
            break
    return shown
