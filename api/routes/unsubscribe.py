"""`/v1/unsubscribe`: where the unsubscribe links of e-mails lead; no access token is needed."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import HTMLResponse

from api import unsubscribing
from api.deps import ResourcesDep
from api.problems import problems
from api.unsubscribe_links import PATH

router = APIRouter(prefix=PATH, tags=["emails"])

Token = Annotated[str, Path(description="What the link in the e-mail ends with.")]

_PAGE: dict[str, Any] = {
    "text/html": {"schema": {"type": "string"}, "example": '<!doctype html>\n<html lang="en">…</html>'}
}


def _answers(description: str, *statuses: int) -> dict[int | str, dict[str, Any]]:
    refusals = problems(404, *statuses)
    refusals[404]["description"] = (
        "The link was not made here, was changed, or its sender is no longer here. A browser gets a page that says so."
    )
    return {200: {"description": description, "content": _PAGE}} | refusals


_FORM: dict[str, Any] = {
    "schema": {"type": "object", "additionalProperties": {"type": "string"}},
    "example": {"List-Unsubscribe": "One-Click"},
}
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": False,
        "description": f"`List-Unsubscribe=One-Click`, or nothing; {unsubscribing.LARGEST_BODY_BYTES} bytes at most.",
        "content": dict.fromkeys(unsubscribing.FORMS, _FORM),
    }
}
_ASKS = _answers("A page with a button, which sends the POST.")


@router.get("/{token}", response_class=HTMLResponse, responses=_ASKS)
async def get_unsubscribe_page(request: Request, resources: ResourcesDep, token: Token) -> Response:
    """Show a page that asks whether to unsubscribe. It changes nothing: programs follow the links in e-mails, too."""
    return await unsubscribing.ask(resources, request, token)


@router.head("/{token}", response_class=Response, responses=_ASKS | {200: {"description": "The link is good."}})
async def head_unsubscribe_page(request: Request, resources: ResourcesDep, token: Token) -> Response:
    """Learn whether the link is good."""
    return await unsubscribing.ask(resources, request, token)


@router.post(
    "/{token}",
    response_class=HTMLResponse,
    responses=_answers("A page that says that it is done.", 415),
    openapi_extra=_BODY,
)
async def unsubscribe(request: Request, resources: ResourcesDep, token: Token) -> Response:
    """Put the address that the link names on its sender's suppression list, for the reason `unsubscribed` (RFC 8058).

    Mail programs send this when somebody unsubscribes there, and the page's button does. Repeating it is fine.
    """
    return await unsubscribing.unsubscribe(resources, request, token)
