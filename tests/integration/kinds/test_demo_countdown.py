"""The countdown: progress, and a cancellation within a step."""

import pytest
from pydantic import ValidationError

from shared.job_kind import JobKind
from tests.integration.kinds.conftest import Yard


def test_it_counts(yard: Yard) -> None:
    row = yard.run("demo.countdown", {"steps": 3, "step_seconds": 0.01})
    assert row["state"] == "succeeded"
    assert row["result"]["steps"] == 3
    assert row["result"]["seconds"] >= 0.03
    assert (row["progress_completed"], row["progress_total"], row["progress_message"]) == (3, 3, "Step 3 of 3")


def test_it_is_cancelled_within_a_step(yard: Yard) -> None:
    with yard.on_event(1, yard.cancel):
        row = yard.run("demo.countdown", {"steps": 1, "step_seconds": 60})
    assert row["state"] == "cancelled"
    # Far less than the step, and than the 15 s between two heartbeats.
    assert (row["finished_at"] - row["started_at"]).total_seconds() < 10


@pytest.mark.parametrize(
    "job_input", [{"steps": 0}, {"steps": 1001}, {"step_seconds": -1}, {"step_seconds": 61}, {"step_seconds": "nan"}]
)
def test_what_is_refused(kinds: dict[str, JobKind], job_input: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        kinds["demo.countdown"].input_model.model_validate(job_input)
