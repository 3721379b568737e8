"""The dispatcher alone, without a worker: rows marked, committed and published.

*One window*: 10,000 rows fit into the window, so they go out in one round. *The default window*: the harness takes each
job away as soon as it is dispatched, as workers would whose jobs take no time; what is measured is how fast the window
is filled again. Each is measured with one dispatcher, and with a second that stands by.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack

import redis

from tests.bench.contender import PATIENCE_SECONDS, NotReady
from tests.bench.figures import Figure, Samples
from tests.bench.ledger_rows import QUEUE
from tests.bench.plan import Plan
from tests.bench.postgres_crews import JobyardCrew

ALONE, WITH_STANDBY = "alone", "with 2"
_ARGUMENTS = ["-m", "worker.dispatcher"]
_WIDE = "10000"
_LOOK_SECONDS = 0.005
_TAKE_AWAY = """
UPDATE jobs SET state = 'cancelled', finished_at = clock_timestamp()
WHERE state = 'queued' AND dispatched_at IS NOT NULL
"""
_DROP = "UPDATE jobs SET state = 'cancelled', finished_at = clock_timestamp() WHERE state = 'queued'"
_UP = """
SELECT count(*) * (SELECT count(*) FROM dispatcher_lease WHERE expires_at > clock_timestamp())
FROM pg_stat_activity WHERE application_name = 'jobyard-dispatcher'
"""


class DispatcherCrew(JobyardCrew):
    """Is Jobyard without a worker; `window` None leaves the default."""

    window: str | None = None

    def prepare(self, stack: ExitStack) -> None:
        super().prepare(stack)
        self.client: redis.Redis = stack.enter_context(redis.Redis.from_url(self.redis.url))

    def environment(self) -> dict[str, str]:
        wide = {"JOBYARD_DISPATCH_WINDOW": self.window, "JOBYARD_DISPATCH_WINDOW_LEAST": self.window}
        return super().environment() | {name: value for name, value in wide.items() if value is not None}

    def count_messages(self) -> int:
        # Each priority of a queue has a list of its own.
        lists = [key for key in self.client.keys(f"{QUEUE}*") if self.client.type(key) == b"list"]
        return sum(int(self.client.llen(key)) for key in lists)


def measure_dispatch(crew: DispatcherCrew, plan: Plan) -> list[Figure]:
    """Measure one window and the default window, with one dispatcher and with two."""
    figures: list[Figure] = []
    for section, window, finish in (
        (f"one window of {plan.dispatch_jobs:,}", _WIDE, _await_messages),
        ("the default window, jobs that take no time", None, _take_away),
    ):
        crew.window = window
        samples = Samples(section)
        for _ in range(plan.dispatch_rounds):
            for number, who in enumerate((ALONE, WITH_STANDBY), start=1):
                _measure_round(crew, number, who, plan.dispatch_jobs, samples, finish)
        figures += samples.figures()
    return figures


def _measure_round(
    crew: DispatcherCrew,
    dispatchers: int,
    who: str,
    count: int,
    samples: Samples,
    finish: Callable[[DispatcherCrew, int], None],
) -> None:
    crew.tidy()
    for number in range(dispatchers):
        crew.start_one(f"dispatcher-{number}", _ARGUMENTS)
    try:
        _wait(lambda: crew.number(_UP) == dispatchers, "the dispatchers do not start")
        before = crew.cpu_seconds()
        crew.fill(count)
        filled = time.perf_counter()
        finish(crew, count)
        seconds = time.perf_counter() - filled
        spent = crew.cpu_seconds() - before
    finally:
        crew.stop()
    crew.connection.execute(_DROP)
    crew.client.flushall()
    samples.add(who, "rows marked and published per second", count / seconds, "/s")
    samples.add(who, "CPU per row, dispatchers and services", spent / count * 1e6, "µs")


def _await_messages(crew: DispatcherCrew, count: int) -> None:
    _wait(lambda: crew.count_messages() == count, "not all rows were published")


def _take_away(crew: DispatcherCrew, count: int) -> None:
    taken = 0

    def take() -> bool:
        nonlocal taken
        taken += crew.connection.execute(_TAKE_AWAY, prepare=True).rowcount
        return taken == count

    _wait(take, "not all rows were dispatched")


def _wait(is_so: Callable[[], bool], complaint: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        if time.monotonic() > deadline:
            raise NotReady(complaint)
        time.sleep(_LOOK_SECONDS)
