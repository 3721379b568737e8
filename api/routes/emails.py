"""`/v1/emails`: send, read, list, cancel."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Response

from api import emails
from api.deps import CallerDep, ResourcesDep
from api.email_bodies import EmailBody
from api.email_shapes import Email
from api.idempotency_key import REPLAYED_HEADER, JsonKeyDep
from api.pages import Page, PageQuery, page_query
from api.problems import problems

router = APIRouter(prefix="/v1/emails", tags=["emails"])

_ACCEPTED: dict[int | str, dict[str, Any]] = {
    202: {
        "description": "Accepted: the e-mail is committed, and each recipient will get it or be said not to have.",
        "model": Email,
        "headers": {"Location": {"schema": {"type": "string"}, "description": "The e-mail's path."}} | REPLAYED_HEADER,
    },
}


@router.post("", status_code=202, responses=_ACCEPTED | problems(401, 404, 409))
async def create_email(caller: CallerDep, resources: ResourcesDep, body: EmailBody, key: JsonKeyDep) -> Response:
    """Send an e-mail, at once or at `send_at`.

    At least once: after a crash in the instant in which the mail server took it, a recipient may get it twice, under
    the same Message-ID.
    """
    return await emails.create_email(resources, caller.user_id, body, key)


@router.get("", responses=problems(401))
async def list_emails(
    caller: CallerDep, resources: ResourcesDep, page: Annotated[PageQuery, Depends(page_query)]
) -> Page[Email]:
    """List your e-mails, newest first."""
    return await emails.list_emails(resources, caller.user_id, page)


@router.get("/{email_id}", responses=problems(401, 404))
async def get_email(caller: CallerDep, resources: ResourcesDep, email_id: UUID) -> Email:
    """Read an e-mail and what became of each recipient."""
    return await emails.read_email(resources, caller.user_id, email_id)


@router.post("/{email_id}/cancel", responses=problems(401, 404, 409))
async def cancel_email(caller: CallerDep, resources: ResourcesDep, email_id: UUID) -> Email:
    """Cancel what has not gone to the mail server yet. Repeating it is fine."""
    return await emails.cancel_email(resources, caller.user_id, email_id)
