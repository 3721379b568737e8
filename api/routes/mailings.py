"""`/v1/mailings`: one template for thousands of recipients."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response

from api import mailing_changes, mailings
from api.content_types import require_json
from api.deps import BaseUrlDep, CallerDep, ResourcesDep
from api.idempotency_key import REPLAYED_HEADER, UploadKeyDep
from api.mailing_shapes import Mailing
from api.pages import Page, PageQuery, page_query
from api.problems import problems

router = APIRouter(prefix="/v1/mailings", tags=["emails"])

_ACCEPTED: dict[int | str, dict[str, Any]] = {
    202: {
        "description": "Accepted: all its e-mails are committed, and each recipient will get one or be said not to.",
        "model": Mailing,
        "headers": {"Location": {"schema": {"type": "string"}, "description": "The mailing's path."}} | REPLAYED_HEADER,
    },
}
_BODY: dict[str, Any] = {
    "required": True,
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/MailingBody"}}},
}


@router.post(
    "", status_code=202, responses=_ACCEPTED | problems(401, 404, 409, 415), openapi_extra={"requestBody": _BODY}
)
async def create_mailing(
    request: Request, caller: CallerDep, resources: ResourcesDep, key: UploadKeyDep, base_url: BaseUrlDep
) -> Response:
    """Send what a template of yours says to up to 10,000 recipients: each gets an e-mail of their own.

    It is accepted whole or not at all: each e-mail is rendered on trial first, and 422 names the recipients whose
    variables do not do. Later changes of the template do not change it.
    """
    require_json(request)
    return await mailings.create_mailing(resources, caller.user_id, await request.body(), key, base_url)


@router.get("", responses=problems(401))
async def list_mailings(
    caller: CallerDep, resources: ResourcesDep, page: Annotated[PageQuery, Depends(page_query)]
) -> Page[Mailing]:
    """List your mailings, newest first."""
    return await mailings.list_mailings(resources, caller.user_id, page)


@router.get("/{mailing_id}", responses=problems(401, 404))
async def get_mailing(caller: CallerDep, resources: ResourcesDep, mailing_id: UUID) -> Mailing:
    """Read a mailing and how its recipients stand; its e-mails are listed by `links.emails`."""
    return await mailings.read_mailing(resources, caller.user_id, mailing_id)


@router.post("/{mailing_id}/cancel", responses=problems(401, 404, 409))
async def cancel_mailing(caller: CallerDep, resources: ResourcesDep, mailing_id: UUID) -> Mailing:
    """Cancel what has not gone to the mail server yet. Repeating it is fine."""
    return await mailing_changes.cancel_mailing(resources, caller.user_id, mailing_id)
