"""Fairness: how long an owner's first job waits behind everything that another owner has waiting.

Jobyard: the first owner has 100,000 no-ops waiting, which are being worked. Then one owner after another comes with a
single job. The guide's queue is first in, first out, whoever the owner is: the second owner's job runs when all that
stood before it has started. That is measured behind fewer jobs and scaled to the same number; the report says so.
"""

import time
from statistics import median
from uuid import UUID

from tests.bench.bell import Bell
from tests.bench.figures import Figure, Samples
from tests.bench.ledger_rows import add_owners, fill_ledger, wake_dispatcher
from tests.bench.plan import Plan
from tests.bench.postgres_crews import JobyardCrew
from tests.bench.redis_crews import GuideCrew

_DELAY, _LONGEST = "delay of its first job, submit to started", "  the longest"
_BETWEEN = "jobs of the first owner started meanwhile"
_GAP_SECONDS = 0.2
_LEAD_SECONDS = 2.0
_STARTED_MEANWHILE = """
SELECT (SELECT count(*) FROM jobs AS first WHERE first.owner_id = %s
        AND first.started_at > second.created_at AND first.started_at < second.started_at)
FROM jobs AS second WHERE second.owner_id = ANY(%s)
"""


def measure_fairness(guide: GuideCrew, jobyard: JobyardCrew, plan: Plan) -> list[Figure]:
    """Measure both, the guide's design scaled to as many waiting jobs."""
    samples = Samples(f"a second owner, behind {plan.waiting_jobs:,} jobs of the first")
    samples.add("guide", _DELAY, _queue_up(guide, plan) * 1000, "ms")
    samples.add("guide", _BETWEEN, plan.waiting_jobs, "")
    jobyard.start()
    try:
        delays, between = _come_late(jobyard, plan)
    finally:
        jobyard.stop()
    samples.add("jobyard", _DELAY, median(delays) * 1000, "ms")
    samples.add("jobyard", _BETWEEN, median(between), "")
    for name, values, unit in ((_DELAY, [delay * 1000 for delay in delays], "ms"), (_BETWEEN, between, "")):
        samples.add("jobyard", f"{_LONGEST}: {name.split(' ')[0]}", max(values), unit)
    return samples.figures()


def _queue_up(crew: GuideCrew, plan: Plan) -> float:
    count = plan.waiting_jobs_of_the_rival
    crew.start()
    try:
        with Bell(crew.directory / "bell") as bell:
            # The last of them is the second owner's.
            crew.fill(count + 1, str(bell.path))
            first = bell.wait()
            return (bell.wait() - first) * plan.waiting_jobs / count
    finally:
        crew.stop()


def _come_late(crew: JobyardCrew, plan: Plan) -> tuple[list[float], list[int]]:
    first, *others = add_owners(crew.connection, 1 + plan.second_owners)
    with Bell(crew.directory / "bell") as bell:
        fill_ledger(crew.connection, [first], plan.waiting_jobs, str(bell.path))
        crew.tidy()
        wake_dispatcher(crew.connection)
        bell.wait()
        time.sleep(_LEAD_SECONDS)
        delays = [_come(crew, other, bell) for other in others]
    rows = crew.connection.execute(_STARTED_MEANWHILE, (first, others)).fetchall()
    return delays, [row[0] for row in rows]


def _come(crew: JobyardCrew, owner: UUID, bell: Bell) -> float:
    time.sleep(_GAP_SECONDS)
    submitted = time.monotonic()
    fill_ledger(crew.connection, [owner], 1, str(bell.path))
    wake_dispatcher(crew.connection)
    return bell.wait() - submitted
