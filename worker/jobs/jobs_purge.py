"""`jobs.purge`: forgets jobs that ended long ago. Attempts, e-mails and emptied mailings go with them, files stay."""

from datetime import timedelta

from pydantic import Field
from sqlalchemy import func, select

from shared.job_context import JobContext
from shared.job_kind import JobInput, JobResult, job
from shared.job_removal import remove_jobs
from shared.job_state import TERMINAL
from shared.models import Job


class JobsPurgeInput(JobInput):
    """Says how long a job must have been over (default: the setting job_retention_days), and how many go at once."""

    older_than_days: int | None = Field(None, ge=0, le=36_500)
    batch_size: int = Field(500, ge=1, le=10_000)


class JobsPurgeResult(JobResult):
    """Counts the jobs that were deleted."""

    purged: int


@job("jobs.purge", queue="maintenance", access="operator", timeout=timedelta(hours=1))
def purge_jobs(job_input: JobsPurgeInput, context: JobContext) -> JobsPurgeResult:
    """Delete jobs that ended longer ago than their retention, in batches."""
    days = job_input.older_than_days
    age = timedelta(days=context.settings.job_retention_days if days is None else days)
    purged = 0
    while count := _purge_batch(context, age, job_input.batch_size):
        purged += count
        context.progress(purged, None, f"{purged} jobs deleted")
    return JobsPurgeResult(purged=purged)


def _purge_batch(context: JobContext, age: timedelta, batch_size: int) -> int:
    terminal = sorted(state.value for state in TERMINAL)
    over = (
        select(Job.id)
        .where(Job.finished_at < func.now() - age, Job.state.in_(terminal))
        .order_by(Job.finished_at)
        .limit(batch_size)
        .with_for_update(skip_locked=True)
    )
    with context.session() as session:
        ids = session.scalars(over).all()
        remove_jobs(session, ids)
        return len(ids)
