"""How much is measured."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """Holds the sizes of a run; every round measures the rival, then Jobyard."""

    starts: int = 5
    storm_rounds: int = 5
    storm_seconds: float = 0.8
    concurrencies: tuple[int, ...] = (1, 16, 64)
    latency_rounds: int = 3
    waited_jobs: int = 60
    polled_jobs: int = 20
    backlog_rounds: int = 3
    backlog_jobs: int = 1000
    trickle_rounds: int = 2
    trickle_jobs: int = 100
    trickle_per_second: int = 25
    idle_seconds: float = 4.0
    finished_jobs: int = 100
    worker_concurrency: int = 2


FULL = Plan()
QUICK = Plan(
    starts=2,
    storm_rounds=2,
    storm_seconds=0.4,
    latency_rounds=1,
    waited_jobs=40,
    polled_jobs=10,
    backlog_rounds=1,
    backlog_jobs=500,
    trickle_rounds=1,
    trickle_jobs=50,
    idle_seconds=2.0,
    finished_jobs=50,
)
