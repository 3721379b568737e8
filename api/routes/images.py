"""`/v1/images`: pictures to be resized."""

from fastapi import APIRouter, Request, Response

from api.deps import CallerDep, ResourcesDep
from api.idempotency_key import UploadKeyDep
from api.image_openapi import image_body, image_responses
from api.images import KIND, resize
from api.job_responses import WaitDep
from api.problems import problems
from api.retention import RetentionDep
from shared.job_kind import JobKind


def make_router(kinds: dict[str, JobKind]) -> APIRouter:
    """Make the route; there is none when the kind is not loaded."""
    router = APIRouter(prefix="/v1/images", tags=["images"])
    if KIND not in kinds:
        return router

    @router.post(
        "",
        status_code=202,
        responses=image_responses(kinds[KIND]) | problems(401, 404, 409, 415, 507),
        openapi_extra={"requestBody": image_body()},
    )
    async def resize_image(
        request: Request,
        caller: CallerDep,
        resources: ResourcesDep,
        wait: WaitDep,
        retention: RetentionDep,
        key: UploadKeyDep,
    ) -> Response:
        """Enqueue renditions of a picture.

        Send the picture as a form, with `renditions` (JSON), a `preset`, or the fields of one rendition as plain parts,
        in any order; or name a stored file in JSON. With `Prefer: wait=N` the answer has the result, if it is there in
        time.
        """
        return await resize(request, resources, caller.user_id, wait, retention, key)

    return router
