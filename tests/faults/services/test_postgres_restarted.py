"""PostgreSQL restarted under clients that go on enqueuing: they are told to come again, no accepted job is lost."""

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Semaphore

import pytest

from tests.faults.services.posts import Post, accepted, post
from tests.faults.services.yards import ServedYard

CLIENTS = 3
ACCEPTED_BEFORE = 50
PATIENCE_SECONDS = 30.0


class Load:
    """Enqueues jobs until it is told to stop."""

    def __init__(self, yard: ServedYard) -> None:
        self._yard = yard
        self._stop = Event()
        self.posts: list[Post] = []
        self.accepted = Semaphore(0)
        self.refused = Semaphore(0)

    def run(self) -> None:
        while not self._stop.is_set():
            made = post(self._yard)
            self.posts.append(made)
            (self.accepted if made.answer.status_code == 202 else self.refused).release()

    def stop(self) -> None:
        self._stop.set()


@pytest.mark.parametrize("seconds", [0.0, pytest.param(60.0, marks=pytest.mark.long)])
def test_a_restart_under_load_is_answered_with_503_and_loses_nothing(yard: ServedYard, seconds: float) -> None:
    load = Load(yard)
    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = [pool.submit(load.run) for _ in range(CLIENTS)]
        try:
            for _ in range(ACCEPTED_BEFORE):
                assert load.accepted.acquire(timeout=PATIENCE_SECONDS)
            yard.postgres.stop()
            gone = time.monotonic()
            assert load.refused.acquire(timeout=PATIENCE_SECONDS)
            assert yard.client.get("/health/live").status_code == 200
            assert yard.client.get("/health/ready").status_code == 503
            while time.monotonic() - gone < seconds:
                assert load.refused.acquire(timeout=PATIENCE_SECONDS)
            yard.postgres.start()
            back = time.monotonic()
            load.accepted = Semaphore(0)
            # The table of issue 3 bounds it.
            assert load.accepted.acquire(timeout=PATIENCE_SECONDS), "nothing was accepted 30 s after the restart"
            waited = time.monotonic() - back
        finally:
            load.stop()
    for client in clients:
        client.result()
    refusals = [made.answer for made in load.posts if made.answer.status_code != 202]
    paths = accepted([made for made in load.posts if made.answer.status_code == 202])

    states = {job["state"] for job in yard.wait_for_all(paths)}

    print(
        f"\nPostgreSQL away under load for {back - gone:.1f} s: {len(paths)} accepted, {len(refusals)} refused; "
        f"accepting again {waited:.2f} s after, all done {time.monotonic() - back:.1f} s after"
    )
    assert {(answer.status_code, answer.headers["retry-after"]) for answer in refusals} == {(503, "5")}
    assert {answer.json()["code"] for answer in refusals} == {"database_unavailable"}
    assert states == {"succeeded"}
    assert yard.count_attempts(paths) == {1: len(paths)}
