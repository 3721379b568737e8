"""A Redis that forgets: what waited there is sent again, without an operator."""

import time

import pytest
import redis

from tests.faults.services.broker import open_publisher
from tests.faults.services.posts import accepted, post_many
from tests.faults.services.yards import ServedYard, frozen, restart_empty
from tests.polling import await_that

WAITING = 150
"""More than the dispatcher hands over at a time."""


def test_what_waited_in_a_wiped_redis_is_sent_again(yard: ServedYard) -> None:
    with redis.Redis.from_url(yard.redis.url) as broker, open_publisher(yard) as publisher:
        with frozen(yard.stack.supervisor.pid("worker")):
            paths = accepted(post_many(yard, WAITING))
            # So that some do wait there and not only in PostgreSQL.
            lost = await_that(lambda: publisher.count_messages("default"))
            broker.flushall()
        wiped = time.monotonic()

        jobs = yard.wait_for_all(paths)

    print(f"\nFLUSHALL with {WAITING} queued, {lost} of them in Redis: done after {time.monotonic() - wiped:.1f} s")
    assert [job["result"] for job in jobs] == [{"text": str(number), "attempt": 1} for number in range(WAITING)]
    assert yard.count_attempts(paths) == {1: WAITING}


def test_an_idle_worker_consumes_again_after_redis_came_back_empty(yard: ServedYard) -> None:
    restart_empty(yard.redis)
    back = time.monotonic()

    path = yard.enqueue("test.echo", {})

    assert yard.wait(path)["state"] == "succeeded"
    print(f"\nidle, Redis restarted empty: consuming again after {time.monotonic() - back:.1f} s")


@pytest.mark.long
def test_busy_workers_lose_nothing_when_redis_comes_back_empty(yard: ServedYard) -> None:
    running = yard.begin_at_gates("restarted")
    waiting = accepted(post_many(yard, 50))
    restart_empty(yard.redis)
    back = time.monotonic()
    for gate in running.values():
        gate.write_text("through")

    jobs = yard.wait_for_all([*running, *waiting])

    print(f"\nbusy, Redis restarted empty under {len(waiting)} jobs: done after {time.monotonic() - back:.1f} s")
    assert {job["state"] for job in jobs} == {"succeeded"}
    assert yard.count_attempts([*running, *waiting]) == {1: len(jobs)}
