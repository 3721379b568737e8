"""`demo.countdown`: a long job that only takes time, to watch progress, cancellation and rescue."""

import time
from datetime import timedelta

from pydantic import Field

from shared.job_context import JobContext
from shared.job_kind import JobInput, JobResult, job

MOST_STEPS = 1000
LONGEST_STEP_SECONDS = 60.0

LOOK_SECONDS = 0.2
REPORT_SECONDS = 1.0
"""A cancel request comes back with a progress report, so within a step one is made this often."""


class Countdown(JobInput):
    """Says how many steps to count, and how long each takes."""

    steps: int = Field(10, ge=1, le=MOST_STEPS, strict=True)
    step_seconds: float = Field(1.0, ge=0.0, le=LONGEST_STEP_SECONDS, strict=True, allow_inf_nan=False)


class CountdownResult(JobResult):
    """Tells how many steps were counted, and the seconds that this took."""

    steps: int
    seconds: float


@job("demo.countdown", timeout=timedelta(seconds=MOST_STEPS * LONGEST_STEP_SECONDS) + timedelta(minutes=10))
def count_down(job_input: Countdown, context: JobContext) -> CountdownResult:
    """Count steps of some seconds each, with progress; cancellable within a step."""
    began = time.monotonic()
    for step in range(job_input.steps):
        _wait(context, step, job_input)
        context.progress(step + 1, job_input.steps, f"Step {step + 1} of {job_input.steps}")
    return CountdownResult(steps=job_input.steps, seconds=round(time.monotonic() - began, 3))


def _wait(context: JobContext, done: int, job_input: Countdown) -> None:
    now = time.monotonic()
    end, next_report = now + job_input.step_seconds, now + REPORT_SECONDS
    while now < end:
        time.sleep(min(LOOK_SECONDS, end - now))
        context.check_cancelled()
        now = time.monotonic()
        if next_report <= now < end:
            next_report = now + REPORT_SECONDS
            context.progress(done, job_input.steps, f"Step {done + 1} of {job_input.steps}, {end - now:.0f} s left")
