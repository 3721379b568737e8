"""The kind that does nothing, so that only the way of a job is measured."""

from shared.job_context import JobContext
from shared.job_kind import JobInput, JobResult, job


class NoopInput(JobInput):
    """Is empty."""


class NoopResult(JobResult):
    """Says that the handler ran."""

    completed: bool = True


@job("bench.noop")
def do_nothing(job_input: NoopInput, context: JobContext) -> NoopResult:
    """Do nothing."""
    del job_input, context
    return NoopResult()
