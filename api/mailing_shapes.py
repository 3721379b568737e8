"""A mailing as its owner sees it."""

from collections.abc import Mapping
from datetime import datetime
from urllib.parse import urlencode
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from shared import mail_models
from shared.email_shapes import EmailCounts


class MailingLinks(BaseModel):
    """Holds the paths of a mailing's own routes."""

    self_: str = Field(alias="self")
    emails: str = Field(description="The list of its e-mails, each to one recipient.")
    cancel: str


MAILING_EXAMPLE: dict[str, JsonValue] = {
    "id": "0198f2a5-7e3b-7c52-9d0e-5d2f9a3c1b44",
    "template": "spring-sale",
    "from": '"Jobyard" <jobyard@example.com>',
    "subject": "{{ name }}, everything must go",
    "recipients": 10000,
    "counts": {
        "queued": 9000, "sending": 10, "sent": 900, "deferred": 60, "bounced": 20, "suppressed": 10, "uncertain": 0,
        "cancelled": 0, "failed": 0,
    },
    "done": False,
    "tags": ["sale"],
    "send_at": None,
    "created_at": "2026-11-24T12:00:00Z",
    "cancelled_at": None,
    "links": {
        "self": "/v1/mailings/0198f2a5-7e3b-7c52-9d0e-5d2f9a3c1b44",
        "emails": "/v1/emails?mailing_id=0198f2a5-7e3b-7c52-9d0e-5d2f9a3c1b44",
        "cancel": "/v1/mailings/0198f2a5-7e3b-7c52-9d0e-5d2f9a3c1b44/cancel",
    },
}  # fmt: skip


class Mailing(BaseModel):
    """Is a mailing and how its recipients stand."""

    model_config = ConfigDict(json_schema_extra={"example": MAILING_EXAMPLE})

    id: UUID
    template: str = Field(description="The name of the template; the mailing keeps what it said.")
    sender: str = Field(alias="from")
    subject: str = Field(description="The template's subject, before it was rendered.")
    recipients: int = Field(description="How many it was accepted for.")
    counts: EmailCounts
    done: bool = Field(description="Whether nothing more will be tried.")
    tags: list[str]
    send_at: datetime | None
    created_at: datetime
    cancelled_at: datetime | None = Field(description="When it was cancelled; what had gone by then has gone.")
    links: MailingLinks


def shape_mailing(row: mail_models.Mailing, counts: Mapping[str, int]) -> Mailing:
    """Shape a mailing's row, and the number of its recipients in each state."""
    path = f"/v1/mailings/{row.id}"
    return Mailing.model_validate(
        {
            "id": row.id,
            "template": row.template,
            "from": row.sender,
            "subject": row.subject,
            "recipients": row.recipients,
            "counts": {state: counts.get(state, 0) for state in mail_models.RECIPIENT_STATES},
            "done": not any(counts.get(state) for state in mail_models.UNSETTLED),
            "tags": row.tags,
            "send_at": row.send_at,
            "created_at": row.created_at,
            "cancelled_at": row.cancelled_at,
            "links": {
                "self": path,
                "emails": f"/v1/emails?{urlencode({'mailing_id': row.id})}",
                "cancel": f"{path}/cancel",
            },
        }
    )
