"""An e-mail as its owner sees it. What became of a recipient is read from its row and from the job together."""

from collections import Counter
from datetime import datetime
from typing import Literal, get_args
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from shared import models
from shared.job_state import TERMINAL, JobState

RecipientState = Literal["queued", "sending", "sent", "deferred", "bounced", "cancelled", "failed"]
RECIPIENT_STATES: tuple[RecipientState, ...] = get_args(RecipientState)

_SETTLED = {"sent", "bounced", "cancelled"}
_STATES = """
`queued`: not tried yet. `sending`: being handed to the mail server, or the attempt broke off while it was.
`sent`: the mail server took it. `deferred`: it said to try later. `bounced`: it refused for good, or deferred to the
end. `cancelled`: the job was cancelled before. `failed`: the job ended otherwise, so it will not be tried again; after
a crash it may have arrived.
"""


class EmailRecipient(BaseModel):
    """Is one address of an e-mail and what the mail server said of it."""

    address: str
    name: str | None
    role: Literal["to", "cc", "bcc"]
    state: RecipientState = Field(description=_STATES)
    attempts: int
    reply_code: int | None = Field(description="The mail server's last SMTP reply.")
    reply_text: str | None
    sent_at: datetime | None


class EmailCounts(BaseModel):
    """Counts an e-mail's recipients by state."""

    queued: int
    sending: int
    sent: int
    deferred: int
    bounced: int
    cancelled: int
    failed: int


class EmailLinks(BaseModel):
    """Holds the paths of an e-mail's own routes."""

    self_: str = Field(alias="self")
    job: str | None = Field(description="Poll this for the end; null once the job was purged.")
    cancel: str


_EXAMPLE: dict[str, JsonValue] = {
    "id": "0198f2a5-7e3b-7c52-9d0e-5d2f9a3c1b44",
    "job_id": "0198f2a5-7e3b-7c52-9d0e-6f1b2c3d4e5f",
    "message_id": "<0198f2a5-7e3b-7c52-9d0e-5d2f9a3c1b44@example.com>",
    "from": '"Jobyard" <jobyard@example.com>',
    "reply_to": None,
    "subject": "Your pictures are ready",
    "done": False,
    "counts": {"queued": 0, "sending": 0, "sent": 1, "deferred": 0, "bounced": 0, "cancelled": 0, "failed": 0},
    "recipients": [
        {
            "address": "ann@example.com",
            "name": "Ann Example",
            "role": "to",
            "state": "sent",
            "attempts": 1,
            "reply_code": 250,
            "reply_text": "OK",
            "sent_at": "2026-11-24T12:00:01Z",
        }
    ],
    "attachment_ids": [],
    "tags": [],
    "send_at": None,
    "created_at": "2026-11-24T12:00:00Z",
    "links": {
        "self": "/v1/emails/0198f2a5-7e3b-7c52-9d0e-5d2f9a3c1b44",
        "job": "/v1/jobs/0198f2a5-7e3b-7c52-9d0e-6f1b2c3d4e5f",
        "cancel": "/v1/emails/0198f2a5-7e3b-7c52-9d0e-5d2f9a3c1b44/cancel",
    },
}


class Email(BaseModel):
    """Is an e-mail; its texts are not repeated here."""

    model_config = ConfigDict(json_schema_extra={"example": _EXAMPLE})

    id: UUID
    job_id: UUID | None
    message_id: str = Field(description="The Message-ID header: the same in every attempt.")
    sender: str = Field(alias="from")
    reply_to: str | None
    subject: str
    done: bool = Field(description="Whether nothing more will be tried.")
    counts: EmailCounts
    recipients: list[EmailRecipient]
    attachment_ids: list[UUID]
    tags: list[str]
    send_at: datetime | None
    created_at: datetime
    links: EmailLinks


def shape_email(row: models.Email, job_state: JobState | None) -> Email:
    """Shape an e-mail's rows; `job_state` is None when the job, long done, was purged."""
    recipients = [_shape_recipient(recipient, job_state) for recipient in row.recipients]
    counts = Counter(recipient.state for recipient in recipients)
    path = f"/v1/emails/{row.id}"
    return Email.model_validate(
        {
            "id": row.id,
            "job_id": row.job_id,
            "message_id": row.message_id,
            "from": row.sender,
            "reply_to": row.reply_to,
            "subject": row.subject,
            "done": job_state is None or job_state in TERMINAL,
            "counts": {state: counts[state] for state in RECIPIENT_STATES},
            "recipients": recipients,
            "attachment_ids": row.attachment_ids,
            "tags": row.tags,
            "send_at": row.send_at,
            "created_at": row.created_at,
            "links": {
                "self": path,
                "job": f"/v1/jobs/{row.job_id}" if row.job_id else None,
                "cancel": f"{path}/cancel",
            },
        }
    )


def shown_state(stored: str, job_state: JobState | None) -> str:
    """Derive a recipient's state from its row and the job's state.

    The rows are written by attempts alone. A job that ends without one (cancelled while waiting, given up by rescue)
    leaves them as they were, so what they say of work to come is void once the job has ended.
    """
    if stored in _SETTLED or (job_state is not None and job_state not in TERMINAL):
        return stored
    if job_state == JobState.CANCELLED and stored != "sending":
        return "cancelled"
    return "failed"


def _shape_recipient(row: models.Recipient, job_state: JobState | None) -> EmailRecipient:
    return EmailRecipient.model_validate(
        {
            "address": row.address,
            "name": row.name,
            "role": row.role,
            "state": shown_state(row.state, job_state),
            "attempts": row.attempts,
            "reply_code": row.reply_code,
            "reply_text": row.reply_text,
            "sent_at": row.sent_at,
        }
    )
