"""`/v1/events` and `/v1/jobs/{job_id}/events`: what changes, as server-sent events."""

from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import APIRouter, Header, Query, Response

from api.deps import ResourcesDep
from api.event_streams import END_REASONS
from api.job_bodies import Tag
from api.problems import problems
from api.stream_tickets import StreamCallerDep
from api.streams import open_job_stream, open_owner_stream
from shared.event_examples import example_of
from shared.schemas import Job

router = APIRouter(prefix="/v1", tags=["streams"])

_EVENT: dict[str, Any] = {
    "type": "object",
    "description": "One event of the stream.",
    "properties": {
        "event": {"enum": ["job", "end"]},
        "id": {"type": "string", "description": "The job's version; only where one job is followed."},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": {
                "anyOf": [
                    {"$ref": "#/components/schemas/Job"},
                    {"type": "object", "required": ["reason"], "properties": {"reason": {"enum": list(END_REASONS)}}},
                ]
            },
        },
    },
    "required": ["event", "data"],
}
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Events named `job`, whose data is the job as GET answers it.",
        "content": {
            "text/event-stream": {
                "schema": _EVENT,
                "example": {"event": "job", "id": "5", "data": orjson.dumps(example_of(Job)).decode()},
            }
        },
    },
}


@router.get(
    "/jobs/{job_id}/events",
    response_class=Response,
    responses=_STREAM | {204: {"description": "The job is done and the client knows."}} | problems(401, 404, 429),
)
async def follow_job(
    caller: StreamCallerDep,
    resources: ResourcesDep,
    job_id: UUID,
    last_event_id: Annotated[
        str | None, Header(description="The `id` of the last event that came: only what is newer is told.")
    ] = None,
) -> Response:
    """Follow a job until it is done: its newest state at first, then each that follows; progress may be merged.

    Where the stream ends early, `event: end` says why; begin again with `Last-Event-ID`. Comments are signs of life.
    """
    return await open_job_stream(resources, caller, job_id, last_event_id)


@router.get("/events", response_class=Response, responses=_STREAM | problems(401, 429))
async def follow_jobs(
    caller: StreamCallerDep,
    resources: ResourcesDep,
    kind: Annotated[list[str], Query(max_length=50, description="Any of these.")] = [],  # noqa: B006 - FastAPI copies it
    tag: Annotated[list[Tag], Query(max_length=20, description="All of these.")] = [],  # noqa: B006 - likewise
) -> Response:
    """Follow all of your jobs: those that are not done at first, the newest thousand, then every change.

    The events have no `id`: who begins again is told of the live jobs again. Jobs of some kinds that Jobyard makes for
    itself are only told of where `kind` names them.
    """
    return await open_owner_stream(resources, caller, kind, tag)
