"""No-op jobs through the worker: how fast each library drains a queue that was filled before, and for how much CPU.

A round: the crew starts, runs some jobs to warm up, is frozen while its queue is filled by its own client, and goes on.
What counts is the time from the start of the first job to the start of the last, told by the jobs themselves
(`bell.py`), so that how each waits for work weighs nothing. The CPU is that of all programs and services, from the
moment when they go on until the library itself says that no job is left.
"""

from collections.abc import Sequence

from tests.bench.bell import Bell
from tests.bench.crew import Crew
from tests.bench.figures import Figure, Samples
from tests.bench.plan import Plan

SECTION = "a full queue"
_WARM_UP_JOBS = 100


def measure_drain(crews: Sequence[Crew], plan: Plan) -> list[Figure]:
    """Let each crew drain its queue, by turns."""
    samples = Samples(SECTION)
    for _ in range(plan.drain_rounds):
        for crew in crews:
            crew.tidy()
            crew.start()
            try:
                _drain(crew, plan.drain_jobs, samples)
            finally:
                crew.stop()
    return samples.figures()


def _drain(crew: Crew, count: int, samples: Samples) -> None:
    with Bell(crew.directory / "bell") as bell:
        crew.fill(_WARM_UP_JOBS, str(bell.path))
        bell.wait()
        bell.wait()
        crew.wait_finished()
        crew.suspend()
        crew.fill(count, str(bell.path))
        before = crew.cpu_seconds()
        crew.resume()
        first, last = bell.wait(), bell.wait()
        crew.wait_finished()
    samples.add(crew.name, "no-op jobs/s through the worker", (count - 1) / (last - first), "/s")
    samples.add(crew.name, "CPU per job, programs and services", (crew.cpu_seconds() - before) / count * 1e6, "µs")
