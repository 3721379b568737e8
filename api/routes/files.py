"""`/v1/files`: upload, list, read, change, delete."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from api import file_changes, files
from api.deps import CallerDep, ResourcesDep
from api.file_bodies import BATCH_BODY, FILE_BODY, Batch, FileAndJob
from api.file_changes import FileChange
from api.file_uploads import upload, upload_batch
from api.idempotency_key import REPLAYED_HEADER, UploadKeyDep
from api.job_bodies import WebhookUrl
from api.pages import Page, PageQuery, page_query
from api.problems import problems
from api.retention import RetentionDep
from shared.file_shapes import File, file_of

router = APIRouter(prefix="/v1/files", tags=["files"])

_LOCATION: dict[str, Any] = {"Location": {"schema": {"type": "string"}, "description": "The path of what was made."}}
_MADE = _LOCATION | REPLAYED_HEADER
_CREATED: dict[int | str, dict[str, Any]] = {
    201: {"model": File, "description": "Stored.", "headers": _MADE},
    202: {"model": FileAndJob, "description": "Stored, and the job is committed with it.", "headers": _MADE},
}
_BATCH: dict[int | str, dict[str, Any]] = {
    201: {"model": Batch, "description": "Some were stored; each item says so.", "headers": REPLAYED_HEADER},
}


@router.post(
    "", status_code=201, responses=_CREATED | problems(401, 409, 415, 507), openapi_extra={"requestBody": FILE_BODY}
)
async def upload_file(
    request: Request,
    caller: CallerDep,
    resources: ResourcesDep,
    key: UploadKeyDep,
    retention: RetentionDep,
    process: Annotated[
        str | None,
        Query(max_length=100, description="Enqueue a job of this kind for it.", examples=["file.inspect"]),
    ] = None,
    webhook_url: Annotated[WebhookUrl | None, Query(description="Where to tell that job's end.")] = None,
) -> Response:
    """Store a file, sent as a form or as the body itself. Its type is told from the content.

    With `process` the file and a job for it are committed together; the kind must need nothing but a `file_id`.
    """
    return await upload(request, resources, caller.user_id, process, webhook_url, retention, key)


@router.post(
    "/batch",
    status_code=201,
    responses=_BATCH | problems(401, 409, 415, 507),
    openapi_extra={"requestBody": BATCH_BODY},
)
async def upload_files(
    request: Request, caller: CallerDep, resources: ResourcesDep, key: UploadKeyDep, retention: RetentionDep
) -> Response:
    """Store up to ten files at once, each for itself; 422 when none could be stored."""
    return await upload_batch(request, resources, caller.user_id, retention, key)


@router.get("", responses=problems(401))
async def list_files(
    caller: CallerDep, resources: ResourcesDep, page: Annotated[PageQuery, Depends(page_query)]
) -> Page[File]:
    """List your files, newest first."""
    return await files.list_files(resources, caller.user_id, page)


@router.get("/{file_id}", responses=problems(401, 404))
async def get_file(caller: CallerDep, resources: ResourcesDep, file_id: UUID) -> File:
    """Read what is known of a file."""
    return file_of(await files.read_file(resources, caller.user_id, file_id))


@router.patch("/{file_id}", responses=problems(401, 404))
async def change_file(caller: CallerDep, resources: ResourcesDep, file_id: UUID, body: FileChange) -> File:
    """Change a file's name or description, or when it expires; so can an output of a job be kept for longer."""
    return file_of(await file_changes.change_file(resources, caller.user_id, file_id, body))


@router.delete("/{file_id}", status_code=204, responses=problems(401, 404, 409))
async def delete_file(caller: CallerDep, resources: ResourcesDep, file_id: UUID) -> None:
    """Delete a file, unless a job that is not done yet needs it."""
    await files.delete_file(resources, caller.user_id, file_id)
