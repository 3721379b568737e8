"""`/v1/image-presets`: named lists of renditions."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response

from api import image_presets
from api.deps import CallerDep, ResourcesDep
from api.image_presets import ImagePreset, ImagePresetBody, PresetName
from api.pages import Page, PageQuery, page_query
from api.problems import problems

router = APIRouter(prefix="/v1/image-presets", tags=["images"])

_PUT: dict[int | str, dict[str, Any]] = {
    200: {"model": ImagePreset, "description": "Replaced."},
    201: {
        "model": ImagePreset,
        "description": "Made.",
        "headers": {"Location": {"schema": {"type": "string"}, "description": "The preset's path."}},
    },
}


@router.put("/{name}", responses=_PUT | problems(401, 409))
async def put_image_preset(
    caller: CallerDep, resources: ResourcesDep, name: PresetName, body: ImagePresetBody
) -> Response:
    """Make a preset or replace its renditions. Jobs enqueued before keep the renditions that they were given."""
    return await image_presets.put_preset(resources, caller.user_id, name, body.renditions)


@router.get("", responses=problems(401))
async def list_image_presets(
    caller: CallerDep, resources: ResourcesDep, page: Annotated[PageQuery, Depends(page_query)]
) -> Page[ImagePreset]:
    """List your presets by name."""
    return await image_presets.list_presets(resources, caller.user_id, page)


@router.get("/{name}", responses=problems(401, 404))
async def get_image_preset(caller: CallerDep, resources: ResourcesDep, name: PresetName) -> ImagePreset:
    """Read a preset."""
    return await image_presets.read_preset(resources, caller.user_id, name)


@router.delete("/{name}", status_code=204, responses=problems(401, 404))
async def delete_image_preset(caller: CallerDep, resources: ResourcesDep, name: PresetName) -> None:
    """Delete a preset."""
    await image_presets.delete_preset(resources, caller.user_id, name)
