"""`/v1/jobs`: create, read, list, cancel, retry."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Response
from pydantic import AwareDatetime

from api import job_lists
from api.deps import CallerDep, ResourcesDep
from api.job_actions import cancel, create, delete, retry
from api.job_bodies import JobBody, Tag, job_body_type, new_job
from api.job_lists import JobAttempt, JobFilter
from api.job_responses import WaitDep, etag, job_response, matches, read, read_and_wait
from api.pages import Page, PageQuery, Sort, page_query
from api.problems import problems
from shared.job_kind import JobKind
from shared.job_state import JobState
from shared.schemas import Job

_HEADERS: dict[str, Any] = {
    "ETag": {"schema": {"type": "string"}, "description": "The job's version, quoted."},
    "Retry-After": {"schema": {"type": "integer"}, "description": "Seconds after which to ask again; not once done."},
}
_JOB: dict[int | str, dict[str, Any]] = {
    200: {"model": Job, "description": "The job.", "headers": _HEADERS},
    202: {
        "model": Job,
        "description": "Accepted: the job is committed and will reach exactly one terminal state.",
        "headers": {"Location": {"schema": {"type": "string"}, "description": "The job's path."}, **_HEADERS},
    },
}


def make_router(kinds: dict[str, JobKind]) -> APIRouter:
    """Make the routes; the body of `POST` is the union of the public kinds."""
    router = _static_routes()
    body_type = job_body_type(kinds)

    @router.post("", status_code=202, responses=_JOB | problems(401, 404))
    async def create_job(
        caller: CallerDep,
        resources: ResourcesDep,
        wait: WaitDep,
        body: body_type,  # pyright: ignore[reportInvalidTypeForm, reportUnknownParameterType]
    ) -> Response:
        """Enqueue a job.

        With `Prefer: wait=N` the answer is 200 if the job ends in time, however it ends. A live job with the same
        `unique_key` is answered with 200 and `Jobyard-Existing: true`.
        """
        checked: JobBody = body
        return await create(resources, new_job(caller.user_id, kinds[checked.kind], checked), wait)

    return router


def _static_routes() -> APIRouter:
    router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

    @router.get("", responses=problems(401))
    async def list_jobs(
        caller: CallerDep,
        resources: ResourcesDep,
        page: Annotated[PageQuery, Depends(page_query)],
        filters: Annotated[JobFilter, Depends(job_filter)],
    ) -> Page[Job]:
        """List your jobs, newest first."""
        return await job_lists.list_jobs(resources, caller.user_id, page, filters)

    @router.get("/{job_id}", responses={200: _JOB[200], 304: {"description": "Not modified."}} | problems(401, 404))
    async def get_job(
        caller: CallerDep,
        resources: ResourcesDep,
        wait: WaitDep,
        job_id: UUID,
        if_none_match: Annotated[str | None, Header(description="An ETag: 304 while the job still has it.")] = None,
    ) -> Response:
        """Read a job.

        With `Prefer: wait=N` and no `If-None-Match` it waits for the job's end; with `If-None-Match`, for the first
        other version.
        """
        if wait is None:
            row = await read(resources, caller.user_id, job_id)
        else:
            row = await read_and_wait(resources, caller.user_id, job_id, wait, if_none_match)
        if matches(if_none_match, row):
            return Response(status_code=304, headers={"ETag": etag(row)})
        return job_response(row, resources.job_retention, wait=wait)

    @router.post("/{job_id}/cancel", responses={200: _JOB[200]} | problems(401, 404, 409))
    async def cancel_job(caller: CallerDep, resources: ResourcesDep, job_id: UUID) -> Response:
        """Cancel a job: a waiting one at once, a running one as soon as its handler looks. Repeating it is fine."""
        return await cancel(resources, caller.user_id, job_id)

    @router.post("/{job_id}/retry", status_code=202, responses={202: _JOB[202]} | problems(401, 404, 409))
    async def retry_job(caller: CallerDep, resources: ResourcesDep, job_id: UUID) -> Response:
        """Enqueue a new job with the input of one that failed, expired or was cancelled; `retried_from` names it."""
        return await retry(resources, caller.user_id, job_id)

    @router.get("/{job_id}/attempts", responses=problems(401, 404))
    async def list_attempts(caller: CallerDep, resources: ResourcesDep, job_id: UUID) -> list[JobAttempt]:
        """List a job's attempts, oldest first."""
        return await job_lists.list_attempts(resources, caller.user_id, job_id)

    @router.delete("/{job_id}", status_code=204, responses=problems(401, 404, 409))
    async def delete_job(caller: CallerDep, resources: ResourcesDep, job_id: UUID) -> None:
        """Forget a job that is done; the files it made stay."""
        await delete(resources, caller.user_id, job_id)

    return router


async def job_filter(
    state: Annotated[list[JobState], Query(description="Any of these.")] = [],  # noqa: B006 - FastAPI copies it
    kind: Annotated[list[str], Query(max_length=50, description="Any of these.")] = [],  # noqa: B006
    tag: Annotated[list[Tag], Query(max_length=20, description="All of these.")] = [],  # noqa: B006
    id: Annotated[list[UUID], Query(max_length=100, description="Any of these.")] = [],  # noqa: A002, B006
    created_after: AwareDatetime | None = None,
    sort: Sort = "-created_at",
) -> JobFilter:
    """Read which jobs are asked for."""
    return JobFilter(states=state, kinds=kind, tags=tag, ids=id, created_after=created_after, sort=sort)
