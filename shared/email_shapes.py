"""An e-mail as its owner sees it: what its rows say."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from shared import mail_models

Delivery = Literal["at_least_once", "at_most_once"]
RecipientState = Literal[
    "queued", "sending", "sent", "deferred", "bounced", "suppressed", "uncertain", "cancelled", "failed"
]

_STATES = """
`queued`: not tried yet. `sending`: being handed to the mail server, or the attempt broke off while it was.
`sent`: the mail server took it. `deferred`: it said to try later, which is at `next_attempt_at`. `bounced`: it refused
for good, or deferred to the end. `suppressed`: the address is on your suppression list, so it is not tried.
`uncertain`: it may have arrived, and is not tried again. `cancelled`: the e-mail was cancelled before it went.
`failed`: the job gave up, and it has not gone.
"""


class InlineImageBody(BaseModel):
    """Names a picture of yours that the HTML page shows."""

    model_config = ConfigDict(extra="forbid")

    file_id: UUID
    content_id: str = Field(
        max_length=128,
        pattern=r"^[A-Za-z0-9](?:[A-Za-z0-9._+-]*[A-Za-z0-9])?(?:@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)?$",
        description='The page shows it by `<img src="cid:…">`.',
        examples=["logo"],
    )


class EmailRecipient(BaseModel):
    """Is one address of an e-mail and what the mail server said of it."""

    address: str
    name: str | None
    role: Literal["to", "cc", "bcc"]
    state: RecipientState = Field(description=_STATES)
    attempts: int
    reply_code: int | None = Field(description="The mail server's last SMTP reply.")
    reply_enhanced: str | None = Field(description="The reply's enhanced status code (RFC 3463).")
    reply_text: str | None
    replied_at: datetime | None
    next_attempt_at: datetime | None = Field(description="Only while deferred.")
    sent_at: datetime | None
    message_id: str = Field(description="The Message-ID header of what is sent here: the same in every attempt.")


class EmailCounts(BaseModel):
    """Counts an e-mail's recipients by state."""

    queued: int
    sending: int
    sent: int
    deferred: int
    bounced: int
    suppressed: int
    uncertain: int
    cancelled: int
    failed: int


class EmailLinks(BaseModel):
    """Holds the paths of an e-mail's own routes."""

    self_: str = Field(alias="self")
    job: str | None = Field(description="The job that delivers it, maybe with others; null once it was purged.")
    cancel: str


RECIPIENT_EXAMPLE: dict[str, JsonValue] = {
    "address": "ann@example.com",
    "name": "Ann Example",
    "role": "to",
    "state": "sent",
    "attempts": 1,
    "reply_code": 250,
    "reply_enhanced": "2.0.0",
    "reply_text": "OK",
    "replied_at": "2026-11-24T12:00:01Z",
    "next_attempt_at": None,
    "sent_at": "2026-11-24T12:00:01Z",
    "message_id": "<0198f2a5-7e3b-7c52-9d0e-5d2f9a3c1b44@example.com>",
}
EMAIL_EXAMPLE: dict[str, JsonValue] = {
    "id": "0198f2a5-7e3b-7c52-9d0e-5d2f9a3c1b44",
    "job_id": "0198f2a5-7e3b-7c52-9d0e-6f1b2c3d4e5f",
    "mailing_id": None,
    "message_id": "<0198f2a5-7e3b-7c52-9d0e-5d2f9a3c1b44@example.com>",
    "from": '"Jobyard" <jobyard@example.com>',
    "reply_to": None,
    "subject": "Your pictures are ready",
    "template": None,
    "done": True,
    "counts": {
        "queued": 0, "sending": 0, "sent": 1, "deferred": 0, "bounced": 0, "suppressed": 0, "uncertain": 0,
        "cancelled": 0, "failed": 0,
    },
    "recipients": [RECIPIENT_EXAMPLE],
    "headers": {"X-Order": "4711"},
    "attachment_ids": [],
    "inline_images": [],
    "unsubscribe_url": None,
    "delivery": "at_least_once",
    "tags": [],
    "send_at": None,
    "created_at": "2026-11-24T12:00:00Z",
    "cancelled_at": None,
    "links": {
        "self": "/v1/emails/0198f2a5-7e3b-7c52-9d0e-5d2f9a3c1b44",
        "job": "/v1/jobs/0198f2a5-7e3b-7c52-9d0e-6f1b2c3d4e5f",
        "cancel": "/v1/emails/0198f2a5-7e3b-7c52-9d0e-5d2f9a3c1b44/cancel",
    },
}  # fmt: skip


SUMMARY_EXAMPLE: dict[str, JsonValue] = {name: value for name, value in EMAIL_EXAMPLE.items() if name != "recipients"}


class EmailSummary(BaseModel):
    """Is an e-mail without its recipients, which are counted instead; its texts are not repeated here."""

    model_config = ConfigDict(json_schema_extra={"example": SUMMARY_EXAMPLE})

    id: UUID
    job_id: UUID | None
    mailing_id: UUID | None = Field(description="The mailing that it is a part of.")
    message_id: str = Field(description="The Message-ID header: the same in every attempt.")
    sender: str = Field(alias="from")
    reply_to: str | None
    subject: str
    template: str | None = Field(description="The name of the template that its texts were made of.")
    done: bool = Field(description="Whether nothing more will be tried.")
    counts: EmailCounts
    headers: dict[str, str]
    attachment_ids: list[UUID]
    inline_images: list[InlineImageBody]
    unsubscribe_url: str | None = Field(description="Where its recipient can unsubscribe.")
    delivery: Delivery
    tags: list[str]
    send_at: datetime | None
    created_at: datetime
    cancelled_at: datetime | None = Field(description="When it was cancelled; what had gone by then has gone.")
    links: EmailLinks


class Email(EmailSummary):
    """Is an e-mail with its recipients; its texts are not repeated here."""

    model_config = ConfigDict(json_schema_extra={"example": EMAIL_EXAMPLE})

    recipients: list[EmailRecipient]


def shape_email(row: mail_models.Email) -> Email:
    """Shape an e-mail's rows."""
    counts = Counter(recipient.state for recipient in row.recipients)
    recipients = [shape_recipient(recipient, row.message_id) for recipient in row.recipients]
    return Email.model_validate(_summary(row, counts) | {"recipients": recipients})


def summarise_email(row: mail_models.Email, counts: Mapping[str, int]) -> EmailSummary:
    """Shape an e-mail's row, and the number of its recipients in each state."""
    return EmailSummary.model_validate(_summary(row, counts))


def shape_recipient(row: mail_models.Recipient, message_id: str) -> EmailRecipient:
    """Shape a recipient's row; the Message-ID is the e-mail's."""
    same = EmailRecipient.model_fields.keys() - {"message_id"}
    return EmailRecipient.model_validate({name: getattr(row, name) for name in same} | {"message_id": message_id})


def _summary(row: mail_models.Email, counts: Mapping[str, int]) -> dict[str, object]:
    path = f"/v1/emails/{row.id}"
    return {
        "id": row.id,
        "job_id": row.job_id,
        "mailing_id": row.mailing_id,
        "message_id": row.message_id,
        "from": row.sender,
        "reply_to": row.reply_to,
        "subject": row.subject,
        "template": row.template,
        "done": not any(counts.get(state) for state in mail_models.UNSETTLED),
        "counts": {state: counts.get(state, 0) for state in mail_models.RECIPIENT_STATES},
        "headers": row.headers,
        "attachment_ids": row.attachment_ids,
        "inline_images": row.inline_images,
        "unsubscribe_url": row.unsubscribe_url,
        "delivery": row.delivery,
        "tags": row.tags,
        "send_at": row.send_at,
        "created_at": row.created_at,
        "cancelled_at": row.cancelled_at,
        "links": {
            "self": path,
            "job": f"/v1/jobs/{row.job_id}" if row.job_id else None,
            "cancel": f"{path}/cancel",
        },
    }
