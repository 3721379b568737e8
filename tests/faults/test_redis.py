"""Redis wiped, frozen and restarted empty under waiting jobs."""

import os
import shutil
import signal

import redis

from tests.faults.conftest import Yard


def broker_pid(yard: Yard) -> int:
    assert yard.stack.redis is not None
    return yard.stack.redis.pid


def test_what_waited_in_a_wiped_redis_is_sent_again(yard: Yard) -> None:
    os.kill(yard.stack.supervisor.pid("worker"), signal.SIGSTOP)
    try:
        paths = [yard.enqueue("test.echo", {"text": str(number)}) for number in range(100)]
        with redis.Redis.from_url(yard.stack.endpoints.redis_url) as broker:
            broker.flushall()
    finally:
        os.kill(yard.stack.supervisor.pid("worker"), signal.SIGCONT)
    results = [yard.wait(path) for path in paths]
    assert [job["result"] for job in results] == [{"text": str(number), "attempt": 1} for number in range(100)]


def test_with_redis_frozen_jobs_are_accepted_and_run_afterwards(yard: Yard) -> None:
    pid = broker_pid(yard)
    os.kill(pid, signal.SIGSTOP)
    try:
        paths = [yard.enqueue("test.echo", {"text": "frozen"}) for _ in range(20)]
        assert yard.client.post(f"{paths[0]}/cancel").json()["state"] == "cancelled"
        assert yard.client.get("/health/ready").status_code == 200
    finally:
        os.kill(pid, signal.SIGCONT)
    states = [yard.wait(path)["state"] for path in paths]
    assert states == ["cancelled"] + ["succeeded"] * 19


def test_a_redis_that_comes_back_empty_is_used_again(yard: Yard) -> None:
    service = yard.stack.redis
    assert service is not None
    os.kill(service.pid, signal.SIGKILL)
    paths = [yard.enqueue("test.echo", {"text": "away"}) for _ in range(10)]
    for store in service.directory.glob("store-*"):
        shutil.rmtree(store)
    service.start()
    assert [yard.wait(path)["state"] for path in paths] == ["succeeded"] * 10
