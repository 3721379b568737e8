"""What routes ask for.

All are coroutines: FastAPI would run plain functions in a thread. There is no session here: FastAPI ends a dependency
after the answer was sent, and an answer before the commit would be a lie. Routes open their own transaction.
"""

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import OAuth2PasswordBearer
from starlette.requests import HTTPConnection

from api.resources import Resources
from api.tokens import Caller, Unauthorized
from shared.errors import JobyardError

bearer = OAuth2PasswordBearer(tokenUrl="/v1/auth/token", auto_error=False, description="An access token.")


class Forbidden(JobyardError):
    """Is raised when the caller's role does not allow a request."""

    status = 403
    code = "forbidden"
    title = "Forbidden"


async def get_resources(request: Request) -> Resources:
    """Give what this process owns."""
    resources: Resources = request.app.state.resources
    return resources


def read_caller(request: HTTPConnection, resources: Resources) -> Caller:
    """Give who makes the request; raises `Unauthorized`."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise Unauthorized("This needs an access token: Authorization: Bearer …")
    return resources.tokens.read(token)


async def get_caller(request: Request, _: Annotated[str | None, Depends(bearer)]) -> Caller:
    """Give who makes the request; raises `Unauthorized`. The scheme is there for OpenAPI."""
    return read_caller(request, request.app.state.resources)


async def get_base_url(request: Request) -> str:
    """Give where others find the service: the public URL, or the one that was asked, without a slash at its end."""
    resources: Resources = request.app.state.resources
    return resources.settings.public_url or str(request.base_url).rstrip("/")


ResourcesDep = Annotated[Resources, Depends(get_resources)]
BaseUrlDep = Annotated[str, Depends(get_base_url)]
CallerDep = Annotated[Caller, Depends(get_caller)]


async def get_operator(caller: CallerDep) -> Caller:
    """Give who makes the request, an operator or admin; raises `Unauthorized`, `Forbidden`."""
    if caller.role not in {"operator", "admin"}:
        raise Forbidden("This is for operators.")
    return caller


OperatorDep = Annotated[Caller, Depends(get_operator)]
