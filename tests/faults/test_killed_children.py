"""SIGKILL to a random child of the worker, again and again, while jobs run: none is lost, none is done twice."""

import os
import random
import signal
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress

import psutil
import psycopg
import pytest

from tests.faults.conftest import Yard

HISTORY = """
SELECT job_attempts.job_id, count(*) FILTER (WHERE outcome = 'succeeded'),
       count(*) FILTER (WHERE outcome = 'worker_lost'), count(*)
FROM job_attempts GROUP BY 1
"""


@contextmanager
def killing(yard: Yard, seconds: float, most: int) -> Generator[list[int]]:
    """Kill a random child of the worker at each turn of a clock, so many at most; gives the list of the killed."""
    killed: list[int] = []
    enough = threading.Event()

    def kill_on_schedule() -> None:
        while len(killed) < most and not enough.wait(seconds):
            children = psutil.Process(yard.stack.supervisor.pid("worker")).children()
            # It may have no children just now, or this one may have ended.
            with suppress(IndexError, ProcessLookupError):
                pid = random.choice(children).pid  # noqa: S311 - any child will do
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)

    killer = threading.Thread(target=kill_on_schedule)
    killer.start()
    try:
        yield killed
    finally:
        enough.set()
        killer.join()


@pytest.mark.parametrize(
    ("count", "seconds", "most"),
    [(12, 0.5, 4), pytest.param(150, 1.5, 1000, marks=[pytest.mark.long, pytest.mark.timeout(600)])],
)
def test_random_kills_lose_no_job_and_double_none(yard: Yard, count: int, seconds: float, most: int) -> None:
    texts = [f"{count}-{number}" for number in range(count)]
    began = time.monotonic()
    with killing(yard, seconds, most) as killed:
        paths = [yard.enqueue("test.slow_echo", {"text": text}, max_attempts=100) for text in texts]
        jobs = [yard.wait(path) for path in paths]
    took = time.monotonic() - began

    assert [(job["state"], job["result"]["text"]) for job in jobs] == [("succeeded", text) for text in texts]
    with psycopg.connect(yard.stack.endpoints.database_url, autocommit=True) as connection:
        rows = connection.execute(HISTORY).fetchall()
    ids = {job["id"] for job in jobs}
    history = {str(job_id): tuple(counts) for job_id, *counts in rows if str(job_id) in ids}
    assert history.keys() == ids
    # One success each, and nothing but lost workers beside it.
    assert all(succeeded == 1 and starts == succeeded + lost for succeeded, lost, starts in history.values())
    lost = sum(lost for _, lost, _ in history.values())
    assert killed
    print(f"\n{count} jobs, {len(killed)} kills, {lost} attempts lost, 0 jobs lost or doubled, in {took:.1f} s")
