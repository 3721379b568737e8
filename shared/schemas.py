"""Shapes that cross the wire in more than one place: the same job for GET, lists, streams and webhooks."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from shared.job_state import JobState


class JobProgress(BaseModel):
    """Tells how far a job is; all null until its handler says so."""

    completed: int | None = Field(description="Units done.")
    total: int | None = Field(description="Units in all, if known.")
    percent: float | None = Field(description="completed / total · 100, one decimal.")
    message: str | None


class JobError(BaseModel):
    """Tells why a job or an attempt failed."""

    code: str = Field(description="A stable word: `cancelled`, `expired`, `worker_lost`, `timeout`, or the kind's own.")
    detail: str
    retryable: bool


class JobLinks(BaseModel):
    """Holds the paths of a job's own routes."""

    model_config = ConfigDict(populate_by_name=True)

    self_: str = Field(alias="self")
    cancel: str
    retry: str
    attempts: str


class Job(BaseModel):
    """Is a job as its owner sees it."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": "0198f2a5-7e3b-7c52-9d0e-5d2f9a3c1b44",
                "kind": "demo.countdown",
                "state": "running",
                "done": False,
                "progress": {"completed": 3, "total": 10, "percent": 30.0, "message": "step 3 of 10"},
                "attempt": 1,
                "max_attempts": 3,
                "input": {"steps": 10, "step_seconds": 1.0},
                "result": None,
                "error": None,
                "last_error": None,
                "next_attempt_at": None,
                "tags": ["demo"],
                "queue": "default",
                "concurrency_key": None,
                "priority": 0,
                "version": 5,
                "cancel_requested": False,
                "retried_from": None,
                "parent_id": None,
                "webhook_url": None,
                "created_at": "2026-11-24T12:00:00Z",
                "run_at": "2026-11-24T12:00:00Z",
                "started_at": "2026-11-24T12:00:01Z",
                "finished_at": None,
                "start_before": None,
                "purge_at": None,
                "links": {
                    "self": "/v1/jobs/0198f2a5-7e3b-7c52-9d0e-5d2f9a3c1b44",
                    "cancel": "/v1/jobs/0198f2a5-7e3b-7c52-9d0e-5d2f9a3c1b44/cancel",
                    "retry": "/v1/jobs/0198f2a5-7e3b-7c52-9d0e-5d2f9a3c1b44/retry",
                    "attempts": "/v1/jobs/0198f2a5-7e3b-7c52-9d0e-5d2f9a3c1b44/attempts",
                },
            }
        }
    )

    id: UUID
    kind: str
    state: JobState
    done: bool = Field(description="Whether the state is terminal.")
    progress: JobProgress
    attempt: int
    max_attempts: int
    input: dict[str, Any]
    result: dict[str, Any] | None = Field(description="Only when succeeded.")
    error: JobError | None = Field(description="Only when failed, cancelled or expired.")
    last_error: JobError | None = Field(description="Only while retrying: why the last attempt failed.")
    next_attempt_at: datetime | None = Field(description="Only while retrying.")
    tags: list[str]
    queue: str
    concurrency_key: str | None
    priority: int
    version: int = Field(description="Rises with every change; the ETag.")
    cancel_requested: bool
    retried_from: UUID | None
    parent_id: UUID | None
    webhook_url: str | None = Field(description="Where its end is told, besides your webhooks.")
    created_at: datetime
    run_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    start_before: datetime | None = Field(description="The job expires if it has not started by then.")
    purge_at: datetime | None = Field(description="When the finished job will be forgotten.")
    links: JobLinks
