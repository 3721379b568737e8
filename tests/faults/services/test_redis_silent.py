"""A Redis that says nothing: frozen, or behind a line that swallows everything. Clients notice nothing."""

import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from threading import Barrier

import pytest

from tests.faults.services.posts import Post, accepted, p99, post, post_many
from tests.faults.services.yards import ProxiedYard, ServedYard, frozen

POSTS = 100
AT_ONCE = 40


@contextmanager
def silenced(yard: ProxiedYard, *, resets: bool) -> Generator[None]:
    """Swallow what is said to Redis, and what Redis says.

    Afterwards the old connections either end, as when the other end says that it does not know them, or stay silent
    for ever, as when a firewall between has forgotten them: their owners have to find that out.
    """
    yard.redis_line.fall_silent()
    try:
        yield
    finally:
        yard.redis_line.come_back()
        if resets:
            yard.redis_line.cut()


def go_on_without_redis(yard: ServedYard, silence: AbstractContextManager[None], name: str, waits: int = 0) -> None:
    """Enqueue jobs while Redis is silent, with waits of half a minute in between, and see all of them done."""
    running = yard.begin_at_gates(name, number=1)
    posts: list[Post] = []
    begun = time.monotonic()
    with silence:
        posts += post_many(yard, POSTS)
        cancelled = yard.client.post(f"{yard.enqueue('test.echo', {})}/cancel").raise_for_status().json()
        assert yard.client.get("/health/ready").status_code == 200
        for _ in range(waits):
            (path,) = running
            yard.outwait(path)
            posts += post_many(yard, POSTS)
    back = time.monotonic()
    for gate in running.values():
        gate.write_text("through")
    paths = [*running, *accepted(posts)]
    yard.wait(paths[1])
    consuming = time.monotonic()

    states = [job["state"] for job in yard.wait_for_all(paths)]

    print(
        f"\nRedis {name} for {back - begun:.1f} s: {len(posts)} POSTs, p99 {p99(posts) * 1000:.0f} ms; "
        f"consuming {consuming - back:.1f} s after, all done {time.monotonic() - back:.1f} s after"
    )
    assert (states, cancelled["state"]) == (["succeeded"] * len(paths), "cancelled")
    assert yard.count_attempts(paths) == {1: len(paths)}
    assert p99(posts) < 1.0


def test_with_redis_frozen_jobs_are_accepted_and_run_afterwards(yard: ServedYard) -> None:
    go_on_without_redis(yard, frozen(yard.redis.pid), "frozen")


def test_with_redis_behind_a_black_hole_jobs_are_accepted_and_run_afterwards(proxied: ProxiedYard) -> None:
    go_on_without_redis(proxied, silenced(proxied, resets=True), "black-holed")


@pytest.mark.long
def test_with_redis_frozen_for_a_minute(yard: ServedYard) -> None:
    go_on_without_redis(yard, frozen(yard.redis.pid), "frozen long", waits=2)


@pytest.mark.long
def test_with_redis_behind_a_black_hole_for_a_minute(proxied: ProxiedYard) -> None:
    go_on_without_redis(proxied, silenced(proxied, resets=False), "black-holed long", waits=2)


def test_forty_posts_at_once_with_redis_frozen(yard: ServedYard) -> None:
    together = Barrier(AT_ONCE)

    def post_together(number: int) -> Post:
        together.wait()
        return post(yard, str(number))

    with frozen(yard.redis.pid), ThreadPoolExecutor(AT_ONCE) as pool:
        posts = list(pool.map(post_together, range(AT_ONCE)))

    slowest = max(post.seconds for post in posts)
    print(f"\n{AT_ONCE} POSTs at once with Redis frozen: the slowest took {slowest * 1000:.0f} ms")
    assert {job["state"] for job in yard.wait_for_all(accepted(posts))} == {"succeeded"}
    assert slowest <= 2.0
