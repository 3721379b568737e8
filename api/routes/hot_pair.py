"""The hot pair: `POST /v1/jobs` and `GET /v1/jobs/{job_id}`.

Most requests are one of these two, so they read the request themselves: FastAPI's solving of dependencies and nested
matching of routers would cost as much again as the rest. What they take is declared by hand for OpenAPI; they are added
to the application itself, not through a router. `make bench` measures them.
"""

from typing import Any
from uuid import UUID

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import TypeAdapter, ValidationError

from api.content_types import require_json
from api.deps import read_caller
from api.idempotency_key import KEY_PARAMETER, read_key
from api.job_actions import create
from api.job_bodies import JobBody, job_body_type, new_job
from api.job_openapi import BODY_SCHEMA, IF_NONE_MATCH, JOB_ID_PARAMETER, JOB_READ, JOB_RESPONSES, PREFER_PARAMETER
from api.job_responses import answer_reading, parse_wait
from api.problems import problems
from api.resources import Resources
from shared.job_kind import JobKind

_BODY: dict[str, Any] = {
    "required": True,
    "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{BODY_SCHEMA}"}}},
}
_SECURITY = [{"OAuth2PasswordBearer": []}]


def add_hot_pair(app: FastAPI, kinds: dict[str, JobKind]) -> TypeAdapter[JobBody]:
    """Add the two routes; gives the adapter of the body, whose schema OpenAPI needs."""
    bodies: TypeAdapter[JobBody] = TypeAdapter(job_body_type(kinds))

    async def create_job(request: Request) -> Response:
        """Enqueue a job.

        With `Prefer: wait=N` the answer is 200 if the job ends in time, however it ends. A live job with the same
        `unique_key` is answered with 200 and `Jobyard-Existing: true`.
        """
        resources: Resources = request.app.state.resources
        caller = read_caller(request, resources)
        require_json(request)
        key = read_key(request, caller.user_id)
        content = await request.body()
        body = _validate(bodies, content)
        new = new_job(resources.settings, caller.user_id, resources.kinds[body.kind], body)
        return await create(resources, new, parse_wait(request.headers.get("prefer")), key and key.with_json(content))

    app.router.add_api_route(
        "/v1/jobs", create_job, methods=["POST"], status_code=202, tags=["jobs"],
        responses=JOB_RESPONSES | problems(401, 404, 409, 415),
        openapi_extra={"security": _SECURITY, "parameters": [PREFER_PARAMETER, KEY_PARAMETER], "requestBody": _BODY},
    )  # fmt: skip
    app.router.add_api_route(
        "/v1/jobs/{job_id}", get_job, methods=["GET"], tags=["jobs"],
        responses=JOB_READ | {304: {"description": "Not modified."}} | problems(401, 404),
        openapi_extra={"security": _SECURITY, "parameters": [JOB_ID_PARAMETER, PREFER_PARAMETER, IF_NONE_MATCH]},
    )  # fmt: skip
    return bodies


async def get_job(request: Request) -> Response:
    """Read a job.

    With `Prefer: wait=N` and no `If-None-Match` it waits for the job's end; with `If-None-Match`, for the first
    other version.
    """
    resources: Resources = request.app.state.resources
    caller = read_caller(request, resources)
    job_id = _parse_id(request.path_params["job_id"])
    wait = parse_wait(request.headers.get("prefer"))
    return await answer_reading(resources, caller.user_id, job_id, wait, request.headers.get("if-none-match"))


def _validate(bodies: TypeAdapter[JobBody], content: bytes) -> JobBody:
    try:
        return bodies.validate_json(content)
    except ValidationError as error:
        found = [item | {"loc": ("body", *item["loc"])} for item in error.errors(include_url=False)]
        raise RequestValidationError(found) from error


def _parse_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        wrong = {"loc": ("path", "job_id"), "type": "uuid_parsing", "msg": "Input should be a valid UUID"}
        raise RequestValidationError([wrong]) from error
