"""`/v1/limits`: what you may send and store, and how much of it you have."""

from fastapi import APIRouter

from api import owner_limits
from api.deps import CallerDep, ResourcesDep
from api.owner_limits import Limits
from api.problems import problems

router = APIRouter(prefix="/v1/limits", tags=["files"])


@router.get("", responses=problems(401))
async def get_limits(caller: CallerDep, resources: ResourcesDep) -> Limits:
    """Tell what you may send and store, and how much you have stored."""
    return await owner_limits.read_limits(resources, caller.user_id)
