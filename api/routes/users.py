"""`/v1/users`: the caller's own account."""

from fastapi import APIRouter

from api import accounts
from api.account_bodies import AccountChange
from api.deps import CallerDep, ResourcesDep
from api.problems import problems
from shared.account_shapes import Account

router = APIRouter(prefix="/v1/users", tags=["users"])


@router.get("/me", responses=problems(401))
async def get_me(caller: CallerDep, resources: ResourcesDep) -> Account:
    """Read your account."""
    return await accounts.read_account(resources, caller.user_id)


@router.patch("/me", responses=problems(401))
async def change_me(caller: CallerDep, resources: ResourcesDep, body: AccountChange) -> Account:
    """Change your name or password.

    A new password needs the current one, and revokes the refresh tokens of every sign-in.
    """
    return await accounts.change_account(resources, caller.user_id, body)
