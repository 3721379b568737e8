"""Lists of jobs and of a job's attempts."""

from dataclasses import dataclass, fields
from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict
from sqlalchemy import select

from api.job_responses import read
from api.pages import Page, PageQuery, Sort, make_page, select_page
from api.resources import Resources
from shared import models
from shared.job_row import JobRow, job_frame
from shared.job_state import JobState
from shared.schemas import Job

_COLUMNS = [getattr(models.Job, column.name) for column in fields(JobRow)]


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Says which jobs a list shows."""

    states: list[JobState]
    kinds: list[str]
    tags: list[str]
    ids: list[UUID]
    created_after: datetime | None
    sort: Sort


class JobAttempt(BaseModel):
    """Is one claim of a job and how it ended."""

    model_config = ConfigDict(
        from_attributes=True,
        json_schema_extra={
            "example": {
                "fence": 1,
                "attempt": 1,
                "worker": "celery@yard-1",
                "started_at": "2026-11-24T12:00:01Z",
                "ended_at": "2026-11-24T12:00:04Z",
                "outcome": "succeeded",
                "error_code": None,
                "error_message": None,
            }
        },
    )

    fence: int
    attempt: int
    worker: str
    started_at: datetime
    ended_at: datetime | None
    outcome: str | None
    error_code: str | None
    error_message: str | None


async def list_jobs(resources: Resources, owner_id: UUID, page: PageQuery, wanted: JobFilter) -> Page[Job]:
    """List an owner's jobs."""
    statement = select(*_COLUMNS).where(models.Job.owner_id == owner_id)
    if wanted.states:
        statement = statement.where(models.Job.state.in_(wanted.states))
    if wanted.kinds:
        statement = statement.where(models.Job.kind.in_(wanted.kinds))
    if wanted.tags:
        statement = statement.where(models.Job.tags.contains(wanted.tags))
    if wanted.ids:
        statement = statement.where(models.Job.id.in_(wanted.ids))
    if wanted.created_after:
        statement = statement.where(models.Job.created_at > wanted.created_after)
    statement = select_page(statement, page, models.Job.created_at, models.Job.id, wanted.sort)
    async with resources.sessions() as session:
        rows = [JobRow(*values) for values in await session.execute(statement)]
    retention = resources.job_retention
    return make_page(
        rows, page, lambda row: (row.created_at, row.id), lambda row: Job.model_validate(job_frame(row, retention))
    )


async def list_attempts(resources: Resources, owner_id: UUID, job_id: UUID) -> list[JobAttempt]:
    """List an owner's job's attempts, oldest first; raises `JobNotFound`."""
    await read(resources, owner_id, job_id)
    statement = select(models.JobAttempt).where(models.JobAttempt.job_id == job_id).order_by(models.JobAttempt.fence)
    async with resources.sessions() as session:
        return [JobAttempt.model_validate(attempt) for attempt in await session.scalars(statement)]
