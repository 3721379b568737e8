"""`/v1/jobs`: list, bulk actions, cancel, retry, attempts, delete; create and read are in `hot_pair`."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response

from api import job_lists
from api.deps import CallerDep, ResourcesDep
from api.due_times import Moment
from api.idempotency_key import JsonKeyDep
from api.job_actions import cancel, delete, retry
from api.job_bodies import Tag
from api.job_bulk import SILENT_LEFT_OUT, BulkBody, enqueue_bulk
from api.job_lists import JobAttempt, JobFilter
from api.job_openapi import JOB_ACCEPTED, JOB_READ, JOB_RESPONSES
from api.job_responses import WaitDep
from api.pages import Page, PageQuery, Sort, page_query
from api.problems import problems
from shared.job_state import JobState
from shared.schemas import Job

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])


async def job_filter(
    state: Annotated[list[JobState], Query(description="Any of these.")] = [],  # noqa: B006 - FastAPI copies it
    kind: Annotated[list[str], Query(max_length=50, description=f"Any of these. {SILENT_LEFT_OUT}")] = [],  # noqa: B006 - likewise
    tag: Annotated[list[Tag], Query(max_length=20, description="All of these.")] = [],  # noqa: B006 - likewise
    id: Annotated[list[UUID], Query(max_length=100, description="Any of these.")] = [],  # noqa: A002, B006 - likewise
    created_after: Moment | None = None,
    sort: Sort = "-created_at",
) -> JobFilter:
    """Read which jobs are asked for."""
    return JobFilter(states=state, kinds=kind, tags=tag, ids=id, created_after=created_after, sort=sort)


@router.get("", responses=problems(401))
async def list_jobs(
    caller: CallerDep,
    resources: ResourcesDep,
    page: Annotated[PageQuery, Depends(page_query)],
    filters: Annotated[JobFilter, Depends(job_filter)],
) -> Page[Job]:
    """List your jobs, newest first; those that deliver webhooks only if `kind` or `id` names them."""
    return await job_lists.list_jobs(resources, caller.user_id, page, filters)


@router.post("/bulk", status_code=202, responses=JOB_RESPONSES | problems(401, 409))
async def change_jobs(
    caller: CallerDep, resources: ResourcesDep, body: BulkBody, wait: WaitDep, key: JsonKeyDep
) -> Response:
    """Cancel, retry or purge your jobs that match a filter. This is a job itself, with progress, and cancellable.

    Only jobs that exist when the request is accepted are touched, however long it takes. The filter means the jobs that
    the list shows for it.
    """
    return await enqueue_bulk(resources, caller.user_id, body, wait, key)


@router.post("/{job_id}/cancel", responses=JOB_READ | problems(401, 404, 409))
async def cancel_job(caller: CallerDep, resources: ResourcesDep, job_id: UUID) -> Response:
    """Cancel a job: a waiting one at once, a running one as soon as its handler looks. Repeating it is fine."""
    return await cancel(resources, caller.user_id, job_id)


@router.post("/{job_id}/retry", status_code=202, responses=JOB_ACCEPTED | problems(401, 404, 409))
async def retry_job(caller: CallerDep, resources: ResourcesDep, job_id: UUID, key: JsonKeyDep) -> Response:
    """Enqueue a new job with the input of one that failed, expired or was cancelled; `retried_from` names it."""
    return await retry(resources, caller.user_id, job_id, key)


@router.get("/{job_id}/attempts", responses=problems(401, 404))
async def list_attempts(caller: CallerDep, resources: ResourcesDep, job_id: UUID) -> list[JobAttempt]:
    """List a job's attempts, oldest first."""
    return await job_lists.list_attempts(resources, caller.user_id, job_id)


@router.delete("/{job_id}", status_code=204, responses=problems(401, 404, 409))
async def delete_job(caller: CallerDep, resources: ResourcesDep, job_id: UUID) -> None:
    """Forget a job that is done; the files it made stay."""
    await delete(resources, caller.user_id, job_id)
