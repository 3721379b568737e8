"""`/v1/emails`: send one or many, read, list, reschedule, cancel."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response

from api import email_batches, email_changes, email_lists, emails
from api.content_types import require_json
from api.deps import BaseUrlDep, CallerDep, ResourcesDep
from api.email_batches import MOST_BATCH_EMAILS, EmailBatch
from api.email_bodies import EmailBody, EmailChange
from api.email_lists import EmailFilter, email_filter
from api.idempotency_key import REPLAYED_HEADER, JsonKeyDep
from api.pages import Page, PageQuery, page_query
from api.problems import problems
from shared.email_shapes import Email

router = APIRouter(prefix="/v1/emails", tags=["emails"])

_ACCEPTED: dict[int | str, dict[str, Any]] = {
    202: {
        "description": "Accepted: the e-mail is committed, and each recipient will get it or be said not to have.",
        "model": Email,
        "headers": {"Location": {"schema": {"type": "string"}, "description": "The e-mail's path."}} | REPLAYED_HEADER,
    },
}
BATCH_ACCEPTED: dict[int | str, dict[str, Any]] = {
    202: {
        "description": "Some were accepted, and are committed; each item says so.",
        "model": EmailBatch,
        "headers": REPLAYED_HEADER,
    },
}
_BATCH: dict[str, Any] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "array",
                "items": {"$ref": "#/components/schemas/EmailBody"},
                "minItems": 1,
                "maxItems": MOST_BATCH_EMAILS,
            },
            "example": [
                {"to": ["ann@example.com"], "subject": "Your invoice, Ann", "text": "It is due on Monday."},
                {"to": ["ben@example.com"], "subject": "Your invoice, Ben", "text": "It is paid. Thank you."},
            ],
        }
    },
}


@router.post("", status_code=202, responses=_ACCEPTED | problems(401, 404, 409, 415))
async def create_email(
    caller: CallerDep, resources: ResourcesDep, body: EmailBody, key: JsonKeyDep, base_url: BaseUrlDep
) -> Response:
    """Send an e-mail, at once or at `send_at`: what it says itself, or what a template of yours says.

    Each recipient is settled by itself. After a crash in the instant in which the mail server took it, `delivery`
    decides whether it goes again, under the same Message-ID.
    """
    return await emails.create_email(resources, caller.user_id, body, key, base_url)


@router.post(
    "/batch", status_code=202, responses=BATCH_ACCEPTED | problems(401, 409, 415), openapi_extra={"requestBody": _BATCH}
)
async def create_emails(
    request: Request, caller: CallerDep, resources: ResourcesDep, key: JsonKeyDep, base_url: BaseUrlDep
) -> Response:
    """Send up to 1,000 e-mails, each with its own recipients and texts: a JSON array of what `POST /v1/emails` takes.

    One that is wrong is refused alone, with its problem in its place; the others go. 422 when none could be accepted.
    """
    require_json(request)
    return await email_batches.create_batch(resources, caller.user_id, await request.body(), key, base_url)


@router.get("", responses=problems(401))
async def list_emails(
    caller: CallerDep,
    resources: ResourcesDep,
    page: Annotated[PageQuery, Depends(page_query)],
    wanted: Annotated[EmailFilter, Depends(email_filter)],
) -> Page[Email]:
    """List your e-mails, newest first."""
    return await email_lists.list_emails(resources, caller.user_id, page, wanted)


@router.get("/{email_id}", responses=problems(401, 404))
async def get_email(caller: CallerDep, resources: ResourcesDep, email_id: UUID) -> Email:
    """Read an e-mail and what became of each recipient."""
    return await emails.read_email(resources, caller.user_id, email_id)


@router.patch("/{email_id}", responses=problems(401, 404, 409))
async def change_email(caller: CallerDep, resources: ResourcesDep, email_id: UUID, body: EmailChange) -> Email:
    """Let an e-mail that has not been tried go at another time; it is then delivered by another job."""
    return await email_changes.reschedule_email(resources, caller.user_id, email_id, body.send_at)


@router.post("/{email_id}/cancel", responses=problems(401, 404, 409))
async def cancel_email(caller: CallerDep, resources: ResourcesDep, email_id: UUID) -> Email:
    """Cancel what has not gone to the mail server yet. Repeating it is fine."""
    return await email_changes.cancel_email(resources, caller.user_id, email_id)
