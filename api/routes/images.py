"""`/v1/images`: pictures to be resized."""

from fastapi import APIRouter, Request, Response

from api.deps import CallerDep, ResourcesDep
from api.idempotency_key import UploadKeyDep
from api.images import KIND, image_body, resize
from api.job_openapi import JOB_RESPONSES
from api.job_responses import WaitDep
from api.problems import problems
from shared.job_kind import JobKind


def make_router(kinds: dict[str, JobKind]) -> APIRouter:
    """Make the route; there is none when the kind is not loaded."""
    router = APIRouter(prefix="/v1/images", tags=["images"])
    if KIND not in kinds:
        return router

    @router.post(
        "",
        status_code=202,
        responses=JOB_RESPONSES | problems(401, 404, 409, 415, 507),
        openapi_extra={"requestBody": image_body(kinds[KIND])},
    )
    async def resize_image(
        request: Request, caller: CallerDep, resources: ResourcesDep, wait: WaitDep, key: UploadKeyDep
    ) -> Response:
        """Enqueue renditions of a picture.

        Send the picture with `renditions` (JSON) or with plain `width`, `height`, `format` and `quality`, in any
        order; or name a stored file in JSON.
        """
        return await resize(request, resources, caller.user_id, wait, key)

    return router
