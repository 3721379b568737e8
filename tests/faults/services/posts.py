"""Enqueuing as clients do, many at once, and how long it took them."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import httpx2

from tests.faults.conftest import Visitor

PERCENTILE = 0.99


@dataclass(frozen=True)
class Post:
    """Is a client's request to enqueue a job, and its answer."""

    seconds: float
    answer: httpx2.Response

    @property
    def path(self) -> str:
        """The job's path."""
        return self.answer.headers["location"]


def post(visitor: Visitor, text: str = "") -> Post:
    """Ask for a job."""
    begun = time.perf_counter()
    answer = visitor.client.post("/v1/jobs", json={"kind": "test.echo", "input": {"text": text}})
    return Post(time.perf_counter() - begun, answer)


def post_many(visitor: Visitor, number: int, at_once: int = 4) -> list[Post]:
    """Ask for many jobs, some at a time."""
    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(partial(post, visitor), map(str, range(number))))


def accepted(posts: Sequence[Post]) -> list[str]:
    """Give the paths of the jobs; fails when one was not accepted."""
    assert {post.answer.status_code for post in posts} <= {202}
    return [post.path for post in posts]


def p99(posts: Sequence[Post]) -> float:
    """Give the seconds that all but one of a hundred took at most."""
    return sorted(post.seconds for post in posts)[max(0, int(len(posts) * PERCENTILE) - 1)]
