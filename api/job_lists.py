"""Lists of jobs and of a job's attempts."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict
from sqlalchemy import Select, select

from api.job_responses import read
from api.pages import Page, PageQuery, Sort, make_page, select_page
from api.resources import Resources
from shared import models
from shared.job_filter import ROW, matching
from shared.job_row import JobRow, job_frame
from shared.job_state import JobState
from shared.schemas import Job


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
    async with resources.sessions() as session:
        rows = [JobRow(*values) for values in await session.execute(select_jobs(owner_id, page, wanted))]
    retention = resources.job_retention
    return make_page(
        rows, page, lambda row: (row.created_at, row.id), lambda row: Job.model_validate(job_frame(row, retention))
    )


def select_jobs(owner_id: UUID, page: PageQuery, wanted: JobFilter) -> Select[*tuple[Any, ...]]:
    """Give the statement that reads a page of an owner's jobs."""
    conditions = matching(
        states=wanted.states,
        kinds=wanted.kinds,
        tags=wanted.tags,
        ids=wanted.ids,
        created_after=wanted.created_after,
    )
    statement = select(*ROW).where(models.Job.owner_id == owner_id, *conditions)
    return select_page(statement, page, models.Job.created_at, models.Job.id, wanted.sort)


async def list_attempts(resources: Resources, owner_id: UUID, job_id: UUID) -> list[JobAttempt]:
    """List an owner's job's attempts, oldest first; raises `JobNotFound`."""
    await read(resources, owner_id, job_id)
    statement = select(models.JobAttempt).where(models.JobAttempt.job_id == job_id).order_by(models.JobAttempt.fence)
    async with resources.sessions() as session:
        return [JobAttempt.model_validate(attempt) for attempt in await session.scalars(statement)]
