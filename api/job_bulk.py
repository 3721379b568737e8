"""Actions on many jobs at once. They are a job themselves, of the kind `jobs.bulk`."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Self
from uuid import UUID

from fastapi import Response
from psycopg import AsyncConnection
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from api.due_times import Moment
from api.idempotency_key import RequestKey
from api.job_actions import enqueue_once
from api.job_bodies import Tag
from api.resources import Resources
from shared.errors import JobyardError
from shared.job_filter import REACH, BulkAction, JobCriteria
from shared.job_queue import Enqueued, NewJob, enqueue, job_of
from shared.job_state import JobState

KIND = "jobs.bulk"
MOST_IDS = 1000
SILENT_LEFT_OUT = "Without `kind` and `id` what tells of other jobs, such as `webhook.deliver`, is left out."
_CENTURY = timedelta(days=36_525)

KindName = Annotated[str, Field(min_length=1, max_length=100)]


class StateOutOfReach(JobyardError):
    """Is raised for a state in which the action can do nothing with a job."""

    status = 422
    code = "state_out_of_reach"
    title = "Invalid input"


class BulkFilter(JobCriteria):
    """Says which of your jobs are meant: at least one criterion; jobs must meet all that are given.

    Jobs made after the request was accepted are never meant.
    """

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    state: list[JobState] = Field(
        default_factory=list, min_length=1, max_length=len(JobState), description="Any of these."
    )
    kind: list[KindName] = Field(
        default_factory=list, min_length=1, max_length=50, description=f"Any of these. {SILENT_LEFT_OUT}"
    )
    tag: list[Tag] = Field(default_factory=list, min_length=1, max_length=20, description="All of these.")
    id: list[UUID] = Field(default_factory=list, min_length=1, max_length=MOST_IDS, description="Any of these.")
    created_after: Moment | None = None
    created_before: Moment | None = None
    older_than_seconds: float | None = Field(
        None,
        ge=0,
        le=_CENTURY.total_seconds(),
        strict=True,
        description="Made at least this long before the request was accepted.",
    )

    @model_validator(mode="after")
    def _require_criterion(self) -> Self:
        if all(value in (None, []) for _, value in self):
            raise PydanticCustomError("missing_criterion", "Should have at least one criterion.")
        return self


class BulkBody(BaseModel):
    """Asks for an action on many jobs.

    `cancel` takes what is not done, `retry` what failed, expired or was cancelled, `purge` what is done.
    """

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"action": "cancel", "filter": {"kind": ["image.resize"], "tag": ["import:42"]}},
                {"action": "retry", "filter": {"state": ["failed"], "created_after": "2026-11-24T00:00:00Z"}},
                {"action": "purge", "filter": {"state": ["succeeded"], "older_than_seconds": 604800}},
            ]
        },
    )

    action: BulkAction
    filter: BulkFilter


async def enqueue_bulk(
    resources: Resources, owner_id: UUID, body: BulkBody, wait: int | None, key: RequestKey | None
) -> Response:
    """Enqueue an action on an owner's jobs, its relative times frozen; raises `StateOutOfReach`."""
    _require_reach(body)

    async def write(connection: AsyncConnection[Any]) -> Enqueued:
        return await enqueue(connection, _new_job(resources, owner_id, body, await _read_now(connection)))

    return await enqueue_once(resources, owner_id, key, wait, write)


def _require_reach(body: BulkBody) -> None:
    beyond = sorted(set(body.filter.state) - REACH[body.action])
    if beyond:
        reach = ", ".join(state for state in JobState if state in REACH[body.action])
        raise StateOutOfReach(f"{body.action} takes only jobs that are {reach}.", pointer="/filter/state")


async def _read_now(connection: AsyncConnection[Any]) -> datetime:
    # The time of this transaction, which becomes the bulk job's own created_at.
    row = await (await connection.execute("SELECT now()")).fetchone()
    if row is None:
        raise RuntimeError("a SELECT without FROM gives one row")
    return row[0]


def _new_job(resources: Resources, owner_id: UUID, body: BulkBody, now: datetime) -> NewJob:
    kind = resources.kinds[KIND]
    given = body.filter
    before = [now, now - timedelta(seconds=given.older_than_seconds or 0)]
    if given.created_before is not None:
        before.append(given.created_before)
    criteria = given.model_dump(exclude={"older_than_seconds"}) | {"created_before": min(before)}
    checked = kind.input_model.model_validate({"action": body.action, "filter": criteria})
    return job_of(kind, owner_id, checked, resources.settings)
