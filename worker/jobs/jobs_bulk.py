"""`jobs.bulk`: cancels, retries or purges many jobs of its owner.

It works in batches, in the order of creation, and looks for a cancel request in each. An attempt that follows a crash
begins anew: what was cancelled or purged no longer matches, and a job is retried under an id that only this bulk job
can give it, so the second INSERT meets the first one's row.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from pydantic import AwareDatetime, Field
from sqlalchemy import ColumnElement, Select, func, select, text, tuple_
from sqlalchemy.orm import Session

from shared.database import driver_connection
from shared.errors import FileNotFound, FileTooLarge, IllegalTransition, MediaTypeNotAllowed
from shared.ids import id_for, moment_of
from shared.job_context import JobContext
from shared.job_filter import REACH, ROW, BulkAction, JobCriteria, matching
from shared.job_kind import JobInput, JobKind, JobResult, job, load_job_kinds
from shared.job_outcome import Cancelled
from shared.job_queue import NUDGE, cancel_jobs_in_worker, enqueue_in_worker
from shared.job_removal import remove_jobs
from shared.job_retry import retried
from shared.job_row import JobRow
from shared.models import Job

Change = Callable[[Session, Sequence[UUID]], int]


class FrozenCriteria(JobCriteria):
    """Says which jobs are meant; none that was made after the bulk job was accepted."""

    created_before: AwareDatetime


class JobsBulkInput(JobInput):
    """Says what to do with which jobs, and how many are dealt with at once."""

    action: BulkAction
    filter: FrozenCriteria
    batch_size: int = Field(200, ge=1, le=10_000)


class JobsBulkResult(JobResult):
    """Counts jobs: those that matched are either changed or skipped. After a crash only what the last attempt found."""

    action: BulkAction
    matched: int
    changed: int
    skipped: int = Field(description="Already being cancelled, or of a kind, input or file that cannot be retried.")


@job("jobs.bulk", queue="maintenance", access="internal", timeout=timedelta(hours=2))
def change_jobs(job_input: JobsBulkInput, context: JobContext) -> JobsBulkResult:
    """Cancel, retry or purge the owner's jobs that match a filter."""
    changes: dict[BulkAction, Change] = {
        "cancel": lambda session, ids: cancel_jobs_in_worker(driver_connection(session), context.owner_id, ids),
        "retry": _Retrying(context).retry,
        "purge": _purge,
    }
    matched = changed = 0
    total = _count(job_input, context)
    context.progress(0, total)
    for found, done in _change_batches(job_input, context, changes[job_input.action]):
        matched += found
        changed += done
        context.progress(matched, max(total, matched), f"{changed} jobs changed")
    return JobsBulkResult(action=job_input.action, matched=matched, changed=changed, skipped=matched - changed)


def _change_batches(job_input: JobsBulkInput, context: JobContext, change: Change) -> Iterator[tuple[int, int]]:
    place: tuple[datetime, UUID] | None = None
    while True:
        with context.session() as session:
            context.guard(session)
            _check_cancelled(context, session)
            page = session.execute(_page(job_input, context, place)).all()
            done = change(session, [row.id for row in page]) if page else 0
        if done and job_input.action == "retry":
            with context.session() as session:
                session.execute(text(NUDGE))
        if done and job_input.action != "purge":
            context.announce_changes()
        yield len(page), done
        if len(page) < job_input.batch_size:
            return
        place = page[-1].created_at, page[-1].id


def _check_cancelled(context: JobContext, session: Session) -> None:
    # The context hears of a request with the next heartbeat only; the guard has just locked the row that knows it now.
    if session.scalar(select(Job.cancel_requested).where(Job.id == context.job_id)):
        raise Cancelled


def _conditions(job_input: JobsBulkInput, context: JobContext) -> list[ColumnElement[bool]]:
    criteria = job_input.filter
    return [
        Job.owner_id == context.owner_id,
        # Never itself, whatever the clocks say: "running" is a state that can be asked for.
        Job.id != context.job_id,
        Job.state.in_(REACH[job_input.action]),
        *matching(
            states=criteria.state,
            kinds=criteria.kind,
            tags=criteria.tag,
            ids=criteria.id,
            created_after=criteria.created_after,
            created_before=criteria.created_before,
        ),
    ]


def _count(job_input: JobsBulkInput, context: JobContext) -> int:
    with context.session() as session:
        conditions = _conditions(job_input, context)
        return session.scalar(select(func.count()).select_from(Job).where(*conditions)) or 0


def _page(job_input: JobsBulkInput, context: JobContext, place: tuple[datetime, UUID] | None) -> Select[datetime, UUID]:
    # Locked in one order by everyone, so that two bulk jobs of an owner cannot block each other for good.
    statement = (
        select(Job.created_at, Job.id)
        .where(*_conditions(job_input, context))
        .order_by(Job.created_at, Job.id)
        .limit(job_input.batch_size)
        .with_for_update(key_share=True)
    )
    return statement if place is None else statement.where(tuple_(Job.created_at, Job.id) > place)


def _purge(session: Session, job_ids: Sequence[UUID]) -> int:
    remove_jobs(session, job_ids)
    return len(job_ids)


class _Retrying:
    def __init__(self, context: JobContext) -> None:
        self._bulk_id = context.job_id
        self._settings = context.settings
        self._kinds: dict[str, JobKind] = load_job_kinds(context.settings.job_modules)

    def retry(self, session: Session, job_ids: Sequence[UUID]) -> int:
        """Enqueue what repeats these jobs; gives how many could be repeated, now or by an attempt before."""
        rows = session.execute(select(*ROW).where(Job.id.in_(job_ids)).order_by(Job.created_at, Job.id))
        return sum(self._retry_one(session, JobRow(*values)) for values in rows.all())

    def _retry_one(self, session: Session, old: JobRow) -> bool:
        new_id = id_for(moment_of(self._bulk_id), f"bulk:{self._bulk_id}:{old.id}")
        try:
            new = retried(old, self._kinds.get(old.kind), self._settings, new_id)
            enqueue_in_worker(driver_connection(session), new)
        except (IllegalTransition, FileNotFound, FileTooLarge, MediaTypeNotAllowed):
            return False
        return True
