"""What clients send and get about webhooks' deliveries."""

import json
from datetime import datetime
from typing import Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from api.due_times import Moment
from shared.event_models import WebhookDelivery
from shared.events import EVENT_TYPES

DeliveryState = Literal["pending", "delivered", "failed", "superseded", "cancelled"]

_WEBHOOK_PATH = "/v1/webhooks/0198f2a5-3d4e-7f60-8b1a-2c3d4e5f6071"
_ID = "0198f2a5-8c9d-7e01-9f2b-3d4e5f607182"
_JOB_ID = "0198f2a5-7e3b-7c52-9d0e-5d2f9a3c1b44"
_EXAMPLE: JsonDict = {
    "id": _ID,
    "event": "job.succeeded",
    "event_id": "0198f2a5-8c9d-7a10-8e0d-1c2d3e4f5061",
    "subject_id": _JOB_ID,
    "version": 9,
    "url": "https://app.example.com/hooks/jobyard",
    "state": "pending",
    "attempts": 1,
    "response_status": 503,
    "response_body": "Back in a minute",
    "error": "unavailable",
    "last_attempt_at": "2026-11-24T12:00:02Z",
    "next_attempt_at": "2026-11-24T12:00:07Z",
    "delivered_at": None,
    "replay_of": None,
    "job_id": "0198f2a5-8c9e-7b20-9a1c-2d3e4f506172",
    "created_at": "2026-11-24T12:00:02Z",
    "links": {
        "self": f"{_WEBHOOK_PATH}/deliveries/{_ID}",
        "replay": f"{_WEBHOOK_PATH}/deliveries/{_ID}/replay",
        "webhook": _WEBHOOK_PATH,
        "job": "/v1/jobs/0198f2a5-8c9e-7b20-9a1c-2d3e4f506172",
    },
}
_SENT = json.dumps(
    {
        "id": _EXAMPLE["event_id"],
        "type": "job.succeeded",
        "timestamp": _EXAMPLE["created_at"],
        "data": EVENT_TYPES["job.succeeded"].example,
    },
    separators=(",", ":"),
)


class DeliveryLinks(BaseModel):
    """Holds the paths around a delivery."""

    self_: str = Field(alias="self")
    replay: str
    webhook: str
    job: str | None = Field(description="The job that delivers it; null once that is purged.")


class Delivery(BaseModel):
    """Is one event on its way to one endpoint."""

    model_config = ConfigDict(json_schema_extra={"example": _EXAMPLE})

    id: UUID = Field(description="The `webhook-id` of every attempt.")
    event: str = Field(description="The event's name.", examples=["job.succeeded"])
    event_id: UUID = Field(description="The same wherever this event is told, replays included.")
    subject_id: UUID = Field(description="What the event is about: the job, the file, the e-mail.")
    version: int = Field(description="Of the subject, as it then was.")
    url: str
    state: DeliveryState = Field(
        description="`superseded`: something newer of the subject was told. `cancelled`: the endpoint was disabled."
    )
    attempts: int
    response_status: int | None = Field(description="Of the last attempt; null when there was no answer.")
    response_body: str | None = Field(description="The beginning of the last answer.")
    error: str | None = Field(
        description="Why the last attempt failed, as a word: `timeout`, `connection_refused`, `connection_failed`,"
        " `dns_error`, `tls_error`, `no_answer`, `address_not_allowed`, `url_not_allowed`, `redirect`, `unavailable`"
        " (429, 502, 503, 504), `asked_to_wait`, `gone` (410), `http_error` (every other status). Or what ended it"
        " instead: `endpoint_disabled`, or the code of its job's error."
    )
    last_attempt_at: datetime | None
    next_attempt_at: datetime | None
    delivered_at: datetime | None
    replay_of: UUID | None = Field(description="The delivery that it repeats.")
    job_id: UUID | None = Field(description="The job that delivers it; null once that is purged.")
    created_at: datetime
    links: DeliveryLinks

    @classmethod
    def of(cls, row: WebhookDelivery, webhook_path: str) -> Self:
        """Shape a row for the owner of the endpoint with this path."""
        return cls.model_validate(_shown(row, webhook_path))


class DeliveryWithBody(Delivery):
    """Is a delivery with what is sent."""

    model_config = ConfigDict(json_schema_extra={"example": {**_EXAMPLE, "body": _SENT}})

    body: str = Field(description="The very text that is signed and sent.")

    @classmethod
    def of(cls, row: WebhookDelivery, webhook_path: str) -> Self:
        """Shape a row for the owner of the endpoint with this path."""
        return cls.model_validate(_shown(row, webhook_path) | {"body": row.body})


class FailedReplay(BaseModel):
    """Says which failed deliveries to send again; those given up because the endpoint was disabled are among them."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"since": "2026-11-24T12:00:00Z"}})

    since: Moment = Field(description="Those that failed at this time or later.")


class Replayed(BaseModel):
    """Tells how many deliveries are sent again."""

    model_config = ConfigDict(json_schema_extra={"example": {"deliveries": 12, "more": False}})

    deliveries: int
    more: bool = Field(description="Whether there are others: ask again for them.")


_SAME = (
    "id", "event", "event_id", "subject_id", "version", "url", "state", "attempts", "response_status", "response_body",
    "error", "last_attempt_at", "next_attempt_at", "delivered_at", "replay_of", "job_id", "created_at",
)  # fmt: skip


def _shown(row: WebhookDelivery, webhook_path: str) -> dict[str, Any]:
    path = f"{webhook_path}/deliveries/{row.id}"
    job = None if row.job_id is None else f"/v1/jobs/{row.job_id}"
    links = {"self": path, "replay": f"{path}/replay", "webhook": webhook_path, "job": job}
    return {name: getattr(row, name) for name in _SAME} | {"links": links}
