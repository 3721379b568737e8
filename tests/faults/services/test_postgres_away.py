"""PostgreSQL away for longer than a lease while jobs run: no lease could be renewed, and yet nobody is rescued."""

import time
from collections.abc import Callable
from contextlib import suppress

import httpx2
import psutil
import pytest

from tests.faults.services.posts import accepted, post_many
from tests.faults.services.yards import ProxiedYard, ServedYard
from tests.polling import PAUSE_SECONDS
from worker.dispatcher import SWEEP_SECONDS

AWAY_SECONDS = SWEEP_SECONDS
"""Longer than two leases, and so long that the dispatcher looks for lost workers as soon as PostgreSQL is back."""
WAITING = 20


def read_in_vain(yard: ServedYard, path: str) -> None:
    """Be refused for some time."""
    gone = time.monotonic()
    while time.monotonic() - gone < AWAY_SECONDS:
        answer = yard.client.get(path)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        # Others are waiting too, and need the processor for it.
        time.sleep(PAUSE_SECONDS)


def read_unheard(yard: ServedYard, path: str) -> None:
    """Get no answer for some time, or be refused when all connections are waiting."""
    with suppress(httpx2.ReadTimeout):
        assert yard.client.get(path, timeout=AWAY_SECONDS).status_code == 503


def sit_out(
    yard: ServedYard,
    name: str,
    leave: Callable[[], None],
    come_back: Callable[[], object],
    meanwhile: Callable[[ServedYard, str], None] = read_in_vain,
) -> None:
    """Have PostgreSQL away while jobs run; one ends meanwhile, the other afterwards."""
    running = yard.begin_at_gates(name)
    waiting = accepted(post_many(yard, WAITING))
    (first, first_gate), (second, second_gate) = running.items()
    leave()
    gone = time.monotonic()
    try:
        # The handler ends while nobody can write its outcome down.
        first_gate.write_text("through")
        meanwhile(yard, first)
    finally:
        # Above all a frozen server: its sessions are no group of its own, so nobody else would ever end them.
        come_back()
    back = time.monotonic()
    ended = [yard.wait(first), *yard.wait_for_all(waiting)]
    second_gate.write_text("through")
    ended.append(yard.wait(second))

    print(
        f"\nPostgreSQL {name} for {back - gone:.1f} s: {len(ended)} jobs done "
        f"{time.monotonic() - back:.1f} s after it was back"
    )
    assert {(job["state"], job["result"]["attempt"]) for job in ended} == {("succeeded", 1)}
    assert yard.count_attempts([*running, *waiting]) == {1: len(ended)}


def test_jobs_outlast_a_postgres_that_is_killed_and_started_again(yard: ServedYard) -> None:
    sit_out(yard, "down", yard.postgres.kill, yard.postgres.start)


@pytest.mark.long
def test_jobs_outlast_a_postgres_that_could_not_be_reached(proxied: ProxiedYard) -> None:
    sit_out(proxied, "unreachable", proxied.postgres_line.go_away, proxied.postgres_line.come_back)


@pytest.mark.long
def test_jobs_outlast_a_postgres_that_is_frozen(yard: ServedYard) -> None:
    # As a machine is while it is moved, or its disk stalls: nobody gets an error, time just passes.
    server = psutil.Process(yard.postgres.pid)

    def freeze() -> None:
        # The parent first, which can have no more children then.
        server.suspend()
        for child in server.children():
            child.suspend()

    def thaw() -> None:
        for child in server.children():
            child.resume()
        server.resume()

    sit_out(yard, "frozen", freeze, thaw, read_unheard)
