"""Two beats and two dispatchers at once: a tick that is sent twice makes one job, and each job is attempted once."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from shared.settings import environment_name
from tests.faults.conftest import Yard, open_yard
from worker.schedules import SCHEDULES

TWICE = {"dispatcher": 2, "beat": 2}
MINUTES = 2

# A tick's job has the time at which it was due in its id.
TICKS = """
SELECT tags[1], date_trunc('minute', uuid_extract_timestamp(id)), count(*)
FROM jobs WHERE tags[1] LIKE 'schedule:%' GROUP BY 1, 2 ORDER BY 2
"""
ATTEMPTS = """
SELECT state, count(job_attempts.fence) FROM jobs LEFT JOIN job_attempts ON job_attempts.job_id = jobs.id
GROUP BY jobs.id, state
"""

Database = psycopg.Connection[Any]


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    """Run a Jobyard with two of what there should be one of, and schedules that are due every minute."""
    with open_yard(
        tmp_path_factory.mktemp("yard"), only=("web", "worker", *TWICE), replicas=TWICE,
        environment={environment_name(setting): "* * * * *" for setting in SCHEDULES.values()},
    ) as yard:  # fmt: skip
        yield yard


@pytest.fixture
def database(yard: Yard) -> Iterator[Database]:
    with psycopg.connect(yard.stack.endpoints.database_url, autocommit=True) as connection:
        yield connection


def ticks_sent(yard: Yard) -> int:
    """Count what the beats say that they sent."""
    logs = [Path(yard.stack.endpoints.log_dir, f"{beat}.log").read_text() for beat in ("beat", "beat.2")]
    return sum(log.count("Sending due task") for log in logs)


@pytest.mark.long
@pytest.mark.timeout(300)
def test_two_beats_and_two_dispatchers_double_nothing(yard: Yard, database: Database) -> None:
    began, ordinary = time.monotonic(), 0
    ticks: list[tuple[Any, ...]] = []
    # Ordinary jobs in the meantime, until every schedule has been due in so many minutes. Both beats have sent, though
    # one may have begun a minute late.
    at_least = MINUTES * len(SCHEDULES)
    while len(ticks) < at_least or len(ticks) % len(SCHEDULES) or ticks_sent(yard) < 2 * at_least - len(SCHEDULES):
        assert yard.wait(yard.enqueue("test.slow_echo", {"text": "meanwhile"}))["attempt"] == 1
        ordinary += 1
        ticks = database.execute(TICKS).fetchall()

    minutes = sorted({minute for _, minute, _ in ticks})
    expected = {(f"schedule:{schedule}", minute, 1) for schedule in SCHEDULES for minute in minutes}
    assert set(ticks) == expected, "one job per schedule and minute"
    while database.execute("SELECT count(*) FROM jobs WHERE finished_at IS NULL").fetchone() != (0,):
        pass
    assert set(database.execute(ATTEMPTS).fetchall()) == {("succeeded", 1)}
    print(
        f"\n{time.monotonic() - began:.0f} s with two beats and two dispatchers: {ticks_sent(yard)} ticks became"
        f" {len(ticks)} jobs, {ordinary} other jobs, each attempted once"
    )
