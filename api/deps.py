"""What routes ask for.

All are coroutines: FastAPI would run plain functions in a thread. There is no session here: FastAPI ends a dependency
after the answer was sent, and an answer before the commit would be a lie. Routes open their own transaction.
"""

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import OAuth2PasswordBearer

from api.resources import Resources
from api.tokens import Caller, Unauthorized
from shared.errors import JobyardError

_bearer = OAuth2PasswordBearer(tokenUrl="/v1/auth/token", auto_error=False, description="An access token.")


class Forbidden(JobyardError):
    """Is raised when the caller's role does not allow a request."""

    status = 403
    code = "forbidden"
    title = "Forbidden"


async def get_resources(request: Request) -> Resources:
    """Give what this process owns."""
    resources: Resources = request.app.state.resources
    return resources


async def get_caller(request: Request, token: Annotated[str | None, Depends(_bearer)]) -> Caller:
    """Give who makes the request; raises `Unauthorized`."""
    if token is None:
        raise Unauthorized("This needs an access token: Authorization: Bearer …")
    resources: Resources = request.app.state.resources
    return resources.tokens.read(token)


ResourcesDep = Annotated[Resources, Depends(get_resources)]
CallerDep = Annotated[Caller, Depends(get_caller)]
