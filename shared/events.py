"""The registry of events: their names, what they carry, examples. Docs, filters and OpenAPI are made from it.

What crosses the wire is the envelope of Standard Webhooks: `{id, type, timestamp, data}`, where `data` is the same
shape that GET gives of the subject.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from shared.job_state import JobState
from shared.schemas import Job


class Event(BaseModel):
    """Is an event as listeners and webhook receivers get it."""

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


def _job_events() -> list[EventType]:
    example: dict[str, Any] = Job.model_json_schema()["example"]
    return [
        EventType(f"job.{state}", f"A job became {state}.", Job, example | {"state": state.value}) for state in JobState
    ]


EVENT_TYPES: dict[str, EventType] = {event.name: event for event in _job_events()}
"""Every event by name."""


def covers(filter_: str, name: str) -> bool:
    """Tell whether a filter means this event: its name, a family such as `job.*`, or `*`."""
    return filter_ == name or (filter_.endswith("*") and name.startswith(filter_[:-1]))


def is_filter(text: str) -> bool:
    """Tell whether this is `*`, a family or a name that some event has."""
    if text.endswith("*"):
        return text == "*" or (text.endswith(".*") and any(covers(text, name) for name in EVENT_TYPES))
    return text in EVENT_TYPES
