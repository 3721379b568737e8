"""A small soak, as `make soak` runs a long one: mixed kinds of jobs while the parts are killed, frozen and wiped."""

from pathlib import Path

import pytest

from tests.soak.plan import Plan
from tests.soak.report import describe
from tests.soak.run import run_soak

PLAN = Plan(
    jobs=150, jobs_per_second=7.5, least_pause_seconds=0.3, most_pause_seconds=1.5, lease_seconds=2.0, worker_children=2
)


@pytest.mark.long
@pytest.mark.timeout(300)
def test_no_job_of_a_soak_is_lost_or_done_twice(tmp_path: Path) -> None:
    outcome = run_soak(PLAN, tmp_path / "soak", print)

    page = describe(outcome, "pytest tests/faults/test_soak.py -m long")
    print(page)
    assert sum(outcome.faults.values()) > 0, page
    assert outcome.is_clean, page
    assert not outcome.audit.failed, page
    assert not outcome.answers.refused, page
