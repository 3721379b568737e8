"""A Redis without memory: jobs go on being accepted, and run when it has room again."""

import time
from collections.abc import Generator
from contextlib import contextmanager

import pytest
import redis

from tests.faults.services.posts import accepted, post_many
from tests.faults.services.yards import ServedYard

POSTS = 100


@contextmanager
def full(broker: redis.Redis) -> Generator[None]:
    """Leave Redis one byte, which refuses every write."""
    broker.config_set("maxmemory", 1)
    try:
        yield
    finally:
        broker.config_set("maxmemory", 0)


# What waits in Redis when it becomes full is taken from there in vain: a worker notes what it takes, in Redis. It takes
# the dispatcher up to ten seconds to find out.
@pytest.mark.parametrize("waiting", [0, pytest.param(10, marks=pytest.mark.long)])
def test_with_redis_full_jobs_are_accepted_and_run_afterwards(yard: ServedYard, waiting: int) -> None:
    running = yard.begin_at_gates(f"full-{waiting}")
    before = accepted(post_many(yard, waiting))
    with redis.Redis.from_url(yard.redis.url) as broker, full(broker):
        meanwhile = accepted(post_many(yard, POSTS))
        for gate in running.values():
            gate.write_text("through")
        assert {yard.wait(path)["state"] for path in running} == {"succeeded"}
        with pytest.raises(redis.OutOfMemoryError):
            broker.set("one more", "byte")
    back = time.monotonic()
    paths = [*running, *before, *meanwhile]

    states = {job["state"] for job in yard.wait_for_all(paths)}

    print(f"\nRedis full: {len(meanwhile)} POSTs accepted, all done {time.monotonic() - back:.1f} s after")
    assert states == {"succeeded"}
    assert yard.count_attempts(paths) == {1: len(paths)}
