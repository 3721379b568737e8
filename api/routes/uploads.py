"""`/v1/uploads`: resumable uploads by tus 1.0 (tus.io)."""

from uuid import UUID

from fastapi import APIRouter, Request, Response

from api import resumable_uploads, tus_openapi
from api.deps import CallerDep, ResourcesDep
from api.idempotency_key import UploadKeyDep
from api.retention import RetentionDep
from api.tus_headers import PREFIX

router = APIRouter(prefix=PREFIX, tags=["resumable uploads"])


@router.options("", status_code=204, responses=tus_openapi.OPTIONS)
@router.options("/{upload_id}", status_code=204, responses=tus_openapi.OPTIONS, include_in_schema=False)
async def describe_uploads(resources: ResourcesDep) -> Response:
    """Ask which version, extensions and checksums are spoken, and how large a file may be."""
    return resumable_uploads.describe_protocol(resources)


@router.post(
    "", status_code=201, response_class=Response, responses=tus_openapi.CREATED, openapi_extra=tus_openapi.CREATION
)
async def create_upload(
    request: Request, caller: CallerDep, resources: ResourcesDep, retention: RetentionDep, key: UploadKeyDep
) -> Response:
    """Begin an upload, empty or with its first bytes; its size is reserved of what you may store."""
    return await resumable_uploads.create_upload(request, resources, caller.user_id, retention, key)


@router.head("/{upload_id}", response_class=Response, responses=tus_openapi.STATE, openapi_extra=tus_openapi.ASKING)
async def get_upload_offset(caller: CallerDep, resources: ResourcesDep, upload_id: UUID) -> Response:
    """Ask where to continue. The offset is the length only when the upload is a file."""
    return await resumable_uploads.read_upload(resources, caller.user_id, upload_id)


@router.patch("/{upload_id}", status_code=204, responses=tus_openapi.APPENDED, openapi_extra=tus_openapi.APPENDING)
async def append_to_upload(request: Request, caller: CallerDep, resources: ResourcesDep, upload_id: UUID) -> Response:
    """Continue an upload; of two at once the newer wins. With the last byte it is a file, which has its id."""
    return await resumable_uploads.append_to_upload(request, resources, caller.user_id, upload_id)


@router.delete("/{upload_id}", status_code=204, responses=tus_openapi.ENDED, openapi_extra=tus_openapi.ASKING)
async def end_upload(caller: CallerDep, resources: ResourcesDep, upload_id: UUID) -> None:
    """Give an upload up. One that is finished is a file, and deleted as one."""
    await resumable_uploads.end_upload(resources, caller.user_id, upload_id)
