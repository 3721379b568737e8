"""The messages of `/v1/ws`: what clients send and what they get, each a JSON object in a text message.

`docs/streams.md` tells users of them, with examples that a test replays.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

import orjson
from pydantic import BaseModel, ConfigDict, Field, SecretStr, StrictBool, TypeAdapter, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from api.broadcast_room import Broadcast
from api.job_bodies import Tag
from api.job_frames import Frame
from api.problems import InputError, Problem, input_errors
from shared.errors import JobyardError
from shared.schemas import Job

MOST_JOBS = 1000
MOST_TAGS = 100
MOST_KINDS = 100
LONGEST_REF = 100

Ref = Annotated[str, Field(max_length=LONGEST_REF)]
EndReason = Literal[
    "stopping",
    "token_expired",
    "not_authenticated",
    "too_many_streams",
    "slow",
    "too_many_messages",
    "too_many_errors",
    "failed",
]


class MessageNotValid(JobyardError):
    """Is raised for a message that is none of these; `errors` name what is wrong with it."""

    status = 422
    code = "invalid_message"
    title = "Invalid message"

    def __init__(self, detail: str, errors: Sequence[InputError] = (), ref: str | None = None) -> None:
        super().__init__(detail)
        self.errors = errors
        self.ref = ref


class _ClientMessage(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    ref: Ref | None = Field(None, description="Any text; the answer carries it.")


class Authenticate(_ClientMessage):
    """Says who the client is: the first message, unless the handshake said so; later it renews the token."""

    action: Literal["authenticate"]
    token: SecretStr = Field(description="An access token.")


class _Subscriptions(_ClientMessage):
    jobs: list[UUID] = Field(default_factory=list, max_length=MOST_JOBS, description="Ids of jobs of yours.")
    tags: list[Tag] = Field(default_factory=list, max_length=MOST_TAGS, description="Jobs with any of these tags.")
    all: StrictBool = Field(default=False, description="All jobs of yours.")


class Subscribe(_Subscriptions):
    """Asks for jobs, in addition to those asked for before."""

    action: Literal["subscribe"]
    kinds: list[Annotated[str, Field(max_length=100, pattern=r"^[\w.]+$")]] = Field(
        default_factory=list, max_length=MOST_KINDS, description="With `all`: only of these kinds."
    )

    @model_validator(mode="after")
    def _require_all_for_kinds(self) -> Self:
        if self.kinds and not self.all:
            raise PydanticCustomError("kinds_without_all", "Kinds can be named together with all only.")
        return self


class Unsubscribe(_Subscriptions):
    """Asks for jobs no longer."""

    action: Literal["unsubscribe"]


class Ping(_ClientMessage):
    """Asks for a `pong`."""

    action: Literal["ping"]


ClientMessage = Annotated[Authenticate | Subscribe | Unsubscribe | Ping, Field(discriminator="action")]
_client_messages: TypeAdapter[Authenticate | Subscribe | Unsubscribe | Ping] = TypeAdapter(ClientMessage)


class Ready(BaseModel):
    """Says that the client is known; from now on it may subscribe."""

    event: Literal["ready"] = "ready"
    ref: str | None = None
    expires_at: datetime = Field(description="When the token ends, and the connection with it unless it is renewed.")


class Subscriptions(BaseModel):
    """Is what a connection is subscribed to."""

    jobs: list[UUID]
    tags: list[str]
    all: bool
    kinds: list[str] = Field(description="Of `all`; none means every kind.")


class Subscribed(BaseModel):
    """Answers `subscribe` and `unsubscribe` with everything that the connection is subscribed to now."""

    event: Literal["subscribed", "unsubscribed"]
    ref: str | None = None
    subscriptions: Subscriptions


class JobMessage(BaseModel):
    """Is a job as GET gives it: when it changed, and at first as it is."""

    event: Literal["job"] = "job"
    data: Job


class BroadcastMessage(BaseModel):
    """Is what an operator tells everybody who is connected."""

    event: Literal["broadcast"] = "broadcast"
    data: Broadcast


class ErrorMessage(BaseModel):
    """Says that a message was not done, and why; the connection stays."""

    event: Literal["error"] = "error"
    ref: str | None = None
    data: Problem


class Pong(BaseModel):
    """Answers `ping`."""

    event: Literal["pong"] = "pong"
    ref: str | None = None


class End(BaseModel):
    """Says why the server closes the connection, right before it does."""

    event: Literal["end"] = "end"
    reason: EndReason


ServerMessage = Annotated[
    Ready | Subscribed | JobMessage | BroadcastMessage | ErrorMessage | Pong | End, Field(discriminator="event")
]


def read_message(text: str | None) -> Authenticate | Subscribe | Unsubscribe | Ping:
    """Read a client's message, of which a binary one has no text; raises `MessageNotValid`."""
    if text is None:
        raise MessageNotValid("Messages are text, none are binary.")
    try:
        return _client_messages.validate_json(text)
    except ValidationError as error:
        found = [each.model_copy(update={"pointer": _without_action(each.pointer)}) for each in input_errors(error, "")]
        raise MessageNotValid(
            "This is not a message that can be sent here; see errors.", found, _ref_of(text)
        ) from None


def write_job(frame: Frame) -> bytes:
    """Write the message of a job's frame: its bytes as they are."""
    return b'{"event":"job","data":%b}' % frame.json


def _without_action(pointer: str) -> str:
    # The discriminated union puts the action first; the client never wrote that level.
    _, _, rest = pointer.partition("/")
    action, slash, inner = rest.partition("/")
    return slash + inner if action in {"authenticate", "subscribe", "unsubscribe", "ping"} else pointer


def _ref_of(text: str) -> str | None:
    try:
        message: Any = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    ref = message.get("ref") if isinstance(message, dict) else None
    return ref if isinstance(ref, str) and len(ref) <= LONGEST_REF else None
