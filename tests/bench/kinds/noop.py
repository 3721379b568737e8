"""The kind that does nothing, so that only the way of a job is measured."""

from shared.job_context import JobContext
from shared.job_kind import JobInput, JobResult, job
from tests.bench.bell import ring


class NoopInput(JobInput):
    """Names the bell to ring, if any: only the first and the last job of a round have one."""

    bell: str = ""


class NoopResult(JobResult):
    """Says that the handler ran."""

    completed: bool = True


@job("bench.noop")
def do_nothing(job_input: NoopInput, context: JobContext) -> NoopResult:
    """Do nothing."""
    del context
    ring(job_input.bell)
    return NoopResult()
