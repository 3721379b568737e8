"""The row of a job as code sees it, and the one shape in which it crosses the wire."""

from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any, LiteralString, cast
from uuid import UUID

from shared.job_state import TERMINAL, JobState

_TERMINAL = frozenset(state.value for state in TERMINAL)


@dataclass(frozen=True, slots=True)
class JobRow:
    """Holds the columns of `jobs` that make its frame, and those that say who may see it and where."""

    id: UUID
    owner_id: UUID
    kind: str
    queue: str
    state: str
    priority: int
    input: dict[str, Any]
    result: dict[str, Any] | None
    error: dict[str, Any] | None
    last_error: dict[str, Any] | None
    tags: list[str]
    attempt: int
    max_attempts: int
    run_at: datetime
    ttl_at: datetime | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    cancel_requested: bool
    progress_completed: int | None
    progress_total: int | None
    progress_message: str | None
    version: int
    retried_from: UUID | None
    parent_id: UUID | None
    concurrency_key: str
    webhook_url: str | None
    silent: bool

    @property
    def done(self) -> bool:
        """Whether the job is in a terminal state."""
        return self.state in _TERMINAL


COLUMNS = cast("LiteralString", ", ".join(column.name for column in fields(JobRow)))


def job_frame(row: JobRow, retention: timedelta) -> dict[str, Any]:
    """Shape a row as `shared.schemas.Job`: every field always there, absent values None.

    Hand-made because it is the hottest path; a test holds it to the model.
    """
    path = f"/v1/jobs/{row.id}"
    retrying = row.state == JobState.RETRYING
    return {
        "id": row.id,
        "kind": row.kind,
        "state": row.state,
        "done": row.done,
        "progress": _progress(row),
        "attempt": row.attempt,
        "max_attempts": row.max_attempts,
        "input": row.input,
        "result": row.result,
        "error": row.error,
        "last_error": row.last_error if retrying else None,
        "next_attempt_at": row.run_at if retrying else None,
        "tags": row.tags,
        "queue": row.queue,
        "concurrency_key": row.concurrency_key or None,
        "priority": row.priority,
        "version": row.version,
        "cancel_requested": row.cancel_requested,
        "retried_from": row.retried_from,
        "parent_id": row.parent_id,
        "webhook_url": row.webhook_url,
        "created_at": row.created_at,
        "run_at": row.run_at,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
        "start_before": row.ttl_at,
        "purge_at": row.finished_at + retention if row.finished_at else None,
        "links": {"self": path, "cancel": f"{path}/cancel", "retry": f"{path}/retry", "attempts": f"{path}/attempts"},
    }


def _progress(row: JobRow) -> dict[str, Any]:
    completed, total = row.progress_completed, row.progress_total
    percent = round(min(completed / total, 1.0) * 100, 1) if completed is not None and total else None
    return {"completed": completed, "total": total, "percent": percent, "message": row.progress_message}
