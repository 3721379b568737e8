"""`/v1/auth`: register, sign in, refresh, sign out."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from api import accounts
from api.account_bodies import RefreshBody, Registration, SignIn, TokenForm, TokenPair
from api.deps import ResourcesDep
from api.problems import problems
from api.token_form import OPENAPI, read_token_form
from shared.account_shapes import Account


async def forbid_storing(response: Response) -> None:
    """Keep tokens out of caches (RFC 6749, section 5.1)."""
    response.headers["Cache-Control"] = "no-store"


router = APIRouter(prefix="/v1/auth", tags=["auth"], dependencies=[Depends(forbid_storing)])

_REGISTERED = {
    "description": "The account was made.",
    "headers": {"Location": {"schema": {"type": "string"}, "description": "The account's path."}},
}


@router.post("/register", status_code=201, responses={201: _REGISTERED} | problems(409))
async def register(resources: ResourcesDep, body: Registration, response: Response) -> Account:
    """Make an account. Addresses are unique whatever their case."""
    account = await accounts.register(resources, body)
    response.headers["Location"] = "/v1/users/me"
    return account


@router.post("/token", responses=problems(401, 415), openapi_extra=OPENAPI)
async def create_token(resources: ResourcesDep, form: Annotated[TokenForm, Depends(read_token_form)]) -> TokenPair:
    """Sign in with OAuth 2's password form, as API tools do."""
    return await accounts.sign_in(resources, form.username, form.password.get_secret_value())


@router.post("/login", responses=problems(401))
async def login(resources: ResourcesDep, body: SignIn) -> TokenPair:
    """Sign in with JSON."""
    return await accounts.sign_in(resources, body.email, body.password.get_secret_value())


@router.post("/refresh", responses=problems(401))
async def refresh(resources: ResourcesDep, body: RefreshBody) -> TokenPair:
    """Exchange a refresh token for the next pair.

    It is good for one use. When a used one comes again, every token that descends from the same sign-in is revoked:
    of two requests at once with one token the second ends the family, so send one and share its answer.
    """
    return await accounts.refresh(resources, body.refresh_token.get_secret_value())


@router.post("/logout", status_code=204, responses=problems())
async def logout(resources: ResourcesDep, body: RefreshBody) -> None:
    """Revoke the refresh tokens of this sign-in; repeating it is fine.

    Access tokens are not looked up anywhere: one that is out stays good until it expires.
    """
    await accounts.sign_out(resources, body.refresh_token.get_secret_value())
