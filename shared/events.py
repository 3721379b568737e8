"""The registry of events: their names, what they carry, examples. Docs, filters and OpenAPI are made from it.

What crosses the wire is the envelope of Standard Webhooks: `{id, type, timestamp, data}`, where `data` is the same
shape that GET gives of the subject.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from shared.account_shapes import Account
from shared.email_shapes import EmailSummary
from shared.event_examples import JOB_CHANGES, RECIPIENT_CHANGES, example_of
from shared.event_shapes import RecipientOfEmail
from shared.file_shapes import File
from shared.job_state import JobState
from shared.mail_models import RECIPIENT_STATES
from shared.schemas import Job


class Event(BaseModel):
    """Is an event as listeners and webhook receivers get it; `data` is JSON."""

    model_config = ConfigDict(frozen=True)

    id: UUID = Field(description="The same wherever this event is told.")
    type: str = Field(description="The event's name.")
    timestamp: datetime = Field(description="When it happened.")
    data: dict[str, Any] = Field(description="The subject as it then was.")


@dataclass(frozen=True, slots=True)
class EventType:
    """Is everything known about the events of one name."""

    name: str
    summary: str
    model: type[BaseModel]
    example: dict[str, Any]


TOLD_RECIPIENT_STATES = tuple(state for state in RECIPIENT_STATES if state not in {"queued", "sending"})
"""The states of a recipient that make events."""

_RECIPIENT_SUMMARIES = {
    "sent": "The mail server took the message to a recipient.",
    "deferred": "The message to a recipient could not go yet and will be tried again; told at each attempt.",
    "bounced": "A recipient was refused for good, or deferred to the end.",
    "suppressed": "A recipient is on the suppression list, so nothing goes there.",
    "uncertain": "The message to a recipient may have arrived, and is not tried again.",
    "cancelled": "The e-mail was cancelled before it went to a recipient.",
    "failed": "The job gave up before the message went to a recipient.",
}


def _job_events() -> list[EventType]:
    example = example_of(Job)
    return [
        EventType(f"job.{state}", f"A job became {state}.", Job, example | {"state": state.value} | JOB_CHANGES[state])
        for state in JobState
    ]


def _file_events() -> list[EventType]:
    example = example_of(File)
    return [
        EventType("file.created", "A file was stored: an upload is complete, or a job made it.", File, example),
        EventType("file.deleted", "A file was deleted, by its owner or because it expired.", File, example),
    ]


def _email_events() -> list[EventType]:
    settled = example_of(EmailSummary)
    counts = settled["counts"]
    queued = settled | {"done": False, "counts": counts | {"queued": 1, "sent": 0}}
    return [
        EventType("email.queued", "An e-mail was accepted.", EmailSummary, queued),
        EventType("email.settled", "Every recipient of an e-mail has its final state.", EmailSummary, settled),
    ]


def _recipient_events() -> list[EventType]:
    example = example_of(RecipientOfEmail)
    recipient = example["recipient"]
    return [
        EventType(
            f"email.recipient.{state}",
            _RECIPIENT_SUMMARIES[state],
            RecipientOfEmail,
            example | {"recipient": recipient | {"state": state} | RECIPIENT_CHANGES[state]},
        )
        for state in TOLD_RECIPIENT_STATES
    ]


def _user_events() -> list[EventType]:
    return [EventType("user.created", "An account was made.", Account, example_of(Account))]


EVENT_TYPES: dict[str, EventType] = {
    event.name: event
    for event in (*_job_events(), *_file_events(), *_email_events(), *_recipient_events(), *_user_events())
}
"""Every event by name. Each is recorded by a trigger in the database, in the transaction in which it happened."""


def covers(filter_: str, name: str) -> bool:
    """Tell whether a filter means this event: its name, a family such as `job.*`, or `*`."""
    return filter_ == name or (filter_.endswith("*") and name.startswith(filter_[:-1]))


def known_filters() -> list[str]:
    """Name every filter that there is: all, each family, each event."""
    stems = [name.split(".")[:-1] for name in EVENT_TYPES]
    families = {".".join(stem[:length]) + ".*" for stem in stems for length in range(1, len(stem) + 1)}
    return ["*", *sorted(families), *sorted(EVENT_TYPES)]


def is_filter(text: str) -> bool:
    """Tell whether this is `*`, a family or a name that some event has."""
    return text in known_filters()
