"""What the server tells of webhooks and their deliveries, and the events that they bring."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from jobyard.models import Job
from jobyard.reading import Model, read


@dataclass(frozen=True, kw_only=True, slots=True)
class Webhook(Model):
    """Is where events are sent, and how that goes; `url` is None for the one of single jobs' `webhook_url`.

    `secret`, kept out of the repr, is there only when it was just registered.
    """

    id: str
    url: str | None = None
    events: tuple[str, ...] = ()
    description: str | None = None
    disabled: bool = False
    disabled_reason: str | None = None
    disabled_at: datetime | None = None
    failures: int = 0
    failing_since: datetime | None = None
    resting_until: datetime | None = None
    secret_rotates_until: datetime | None = None
    created_at: datetime | None = None
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class WebhookSecret(Model):
    """Is what signatures are verified with, kept out of the repr; until a rotation ends the one before signs too."""

    secret: str = field(repr=False)
    secret_rotates_until: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery(Model):
    """Is one event on its way to one webhook; `id` is the `webhook-id` of every attempt. A list leaves `body` out."""

    id: str
    event: str
    state: str
    attempts: int = 0
    event_id: str | None = None
    subject_id: str | None = None
    version: int | None = None
    url: str | None = None
    response_status: int | None = None
    response_body: str | None = None
    error: str | None = None
    last_attempt_at: datetime | None = None
    next_attempt_at: datetime | None = None
    delivered_at: datetime | None = None
    replay_of: str | None = None
    job_id: str | None = None
    created_at: datetime | None = None
    body: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Replayed(Model):
    """Tells how many deliveries are sent again, and whether there are more that could be."""

    deliveries: int
    more: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Event(Model):
    """Is what happened, as a webhook tells it: `type` is its name, `data` the subject as it then was.

    `id` is the same wherever this event is told: remember it, and an event that comes twice is known.
    """

    id: str
    type: str
    timestamp: datetime
    data: Mapping[str, Any]

    @property
    def job(self) -> Job:
        """The job that it is about; raises `ValueError` for events of other things."""
        if not self.type.startswith("job."):
            raise ValueError(f"{self.type} is not about a job")
        return read(Job, self.data)
