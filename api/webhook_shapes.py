"""What clients send and get about webhooks' endpoints."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from api.email_variables import require_storable
from shared.event_models import WebhookEndpoint
from shared.events import is_filter, known_filters
from shared.webhook_urls import LONGEST_URL

FOR_JOBS = "for-jobs"
"""Stands in a path for the owner's endpoint without a URL, which signs what goes to the `webhook_url` of jobs."""

MOST_FILTERS = 50
LONGEST_FILTER = 100
LONGEST_DESCRIPTION = 500
LONGEST_OVERLAP_SECONDS = 7 * 86_400
_DEFAULT_OVERLAP_SECONDS = 86_400

_ID = "0198f2a5-3d4e-7f60-8b1a-2c3d4e5f6071"
_BODY: JsonDict = {
    "url": "https://app.example.com/hooks/jobyard",
    "events": ["job.succeeded", "job.failed"],
    "description": "Tells the shop",
}
_STATE: JsonDict = {
    "disabled": False,
    "disabled_reason": None,
    "disabled_at": None,
    "failures": 0,
    "failing_since": None,
    "resting_until": None,
    "secret_rotates_until": None,
    "created_at": "2026-11-24T12:00:00Z",
}
_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw5gXq0lVZ3Ew="  # noqa: S105 - an example


def _paths(name: str) -> dict[str, Any]:
    path = f"/v1/webhooks/{name}"
    return {
        "self": path,
        "secret": f"{path}/secret",
        "rotate_secret": f"{path}/rotate-secret",
        "test": None if name == FOR_JOBS else f"{path}/test",
        "deliveries": f"{path}/deliveries",
        "replay_failed": f"{path}/replay-failed",
    }


EXAMPLE: JsonDict = {"id": _ID, **_BODY, **_STATE, "links": _paths(_ID)}


def _require_filter(text: str) -> str:
    if not is_filter(text):
        known = ", ".join(known_filters())
        raise PydanticCustomError("unknown_event", "Should be one of {known}", {"known": known})
    return text


def _without_repeats(filters: list[str]) -> list[str]:
    return list(dict.fromkeys(filters))


Url = Annotated[
    str,
    Field(
        min_length=1,
        max_length=LONGEST_URL,
        description="Where to send events: https, to a host on the public internet.",
        examples=[_BODY["url"]],
    ),
]
EventFilter = Annotated[
    str,
    Field(max_length=LONGEST_FILTER, json_schema_extra={"enum": [*known_filters()]}),
    AfterValidator(_require_filter),
]
EventFilters = Annotated[
    list[EventFilter],
    Field(
        min_length=1,
        max_length=MOST_FILTERS,
        description="What to tell: names of events, families such as `job.*`, or `*` for all, those to come too.",
    ),
    AfterValidator(_without_repeats),
]
Description = Annotated[
    str,
    Field(min_length=1, max_length=LONGEST_DESCRIPTION, description="Yours, to know it by."),
    AfterValidator(require_storable),
]


class WebhookBody(BaseModel):
    """Registers an endpoint."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": _BODY})

    url: Url
    events: EventFilters = Field(default_factory=lambda: ["*"])
    description: Description | None = None


class WebhookChange(BaseModel):
    """Says what to change of an endpoint; what is left out stays."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"events": ["*"], "disabled": False}})

    url: Url = ""
    events: EventFilters = Field(default_factory=list[EventFilter])
    description: Description | None = Field(None, description="Null takes it away.")
    disabled: bool = Field(
        default=False, strict=True, description="False also ends its rest, and forgets why it was disabled."
    )

    @model_validator(mode="after")
    def _require_change(self) -> Self:
        if not self.model_fields_set:
            raise PydanticCustomError("nothing_to_change", "Should name something to change")
        return self


class SecretRotation(BaseModel):
    """Says how to go over to a new secret."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"overlap_seconds": 86400}})

    overlap_seconds: int = Field(
        _DEFAULT_OVERLAP_SECONDS,
        ge=0,
        le=LONGEST_OVERLAP_SECONDS,
        strict=True,
        description="For how long the secret of before signs too. 0: it is worth nothing from now on.",
    )


class WebhookLinks(BaseModel):
    """Holds the paths of an endpoint's own routes."""

    self_: str = Field(alias="self")
    secret: str
    rotate_secret: str
    test: str | None = Field(description="Null for the endpoint of jobs: it has no URL of its own.")
    deliveries: str
    replay_failed: str


class Webhook(BaseModel):
    """Is an endpoint: where events are sent, and how that goes."""

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLE})

    id: UUID
    url: str | None = Field(
        description="Null for the one at `/v1/webhooks/for-jobs`, which stands for the `webhook_url` of your jobs."
    )
    events: list[str] = Field(description="Empty for the one of jobs: it tells the end of each job that asks for it.")
    description: str | None
    disabled: bool = Field(description="Whether nothing is sent: what happens meanwhile is not told later.")
    disabled_reason: Literal["manual", "gone", "failing"] | None = Field(
        description="`manual`: you did it. `gone`: it answered 410. `failing`: no attempt succeeded for five days."
    )
    disabled_at: datetime | None
    failures: int = Field(description="Failed attempts in a row, tests aside.")
    failing_since: datetime | None = Field(description="When the first of these was.")
    resting_until: datetime | None = Field(
        description="After failures in a row nothing is sent before this time; it all waits."
    )
    secret_rotates_until: datetime | None = Field(description="Until then the secret of before signs too.")
    created_at: datetime
    links: WebhookLinks

    @classmethod
    def of(cls, row: WebhookEndpoint) -> Self:
        """Shape a row for its owner."""
        return cls.model_validate(_shown(row))


class NewWebhook(Webhook):
    """Is an endpoint that was just registered, and its secret."""

    model_config = ConfigDict(json_schema_extra={"example": {**EXAMPLE, "secret": _SECRET}})

    secret: str = Field(repr=False, description="The key of the signatures; also at `links.secret`.")

    @classmethod
    def of(cls, row: WebhookEndpoint) -> Self:
        """Shape a row for its owner."""
        return cls.model_validate(_shown(row) | {"secret": row.secret})


class WebhookSecret(BaseModel):
    """Is the secret that an endpoint's receiver verifies signatures with."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"secret": _SECRET, "secret_rotates_until": "2026-11-25T12:00:00Z"}}
    )

    secret: str = Field(repr=False)
    secret_rotates_until: datetime | None = Field(
        description="Until then every message has two signatures, of this secret and of the one before."
    )

    @classmethod
    def of(cls, row: WebhookEndpoint) -> Self:
        """Shape a row for its owner."""
        return cls(secret=row.secret, secret_rotates_until=_rotates_until(row))


def path_of(row: WebhookEndpoint) -> str:
    """Give the path of an endpoint."""
    return f"/v1/webhooks/{_name(row)}"


def _name(row: WebhookEndpoint) -> str:
    return FOR_JOBS if row.url is None else str(row.id)


def _shown(row: WebhookEndpoint) -> dict[str, Any]:
    same = (
        "id",
        "url",
        "events",
        "description",
        "disabled_reason",
        "disabled_at",
        "failures",
        "failing_since",
        "created_at",
    )
    now = datetime.now(UTC)
    return {name: getattr(row, name) for name in same} | {
        "disabled": row.disabled_at is not None,
        "resting_until": row.resting_until if row.resting_until and row.resting_until > now else None,
        "secret_rotates_until": _rotates_until(row),
        "links": _paths(_name(row)),
    }


def _rotates_until(row: WebhookEndpoint) -> datetime | None:
    until = row.previous_secret_until
    return until if until is not None and until > datetime.now(UTC) else None
