"""What is told of an event: the envelope of Standard Webhooks around the subject as GET shows it, and the bytes sent.

{"id", "type", "timestamp", "data": {the subject, "omitted": null | [names]}}
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
from pydantic import TypeAdapter

from shared.ids import new_id
from shared.job_events import JSON_OPTIONS
from shared.job_row import JobRow, job_frame
from shared.settings import Settings

LARGEST_BODY_BYTES = 20_000
"""What is sent is smaller: Standard Webhooks asks for bodies below 20 kB."""

_FIRST_OMITTED = ("input", "result")
_JOB_ROW = TypeAdapter(JobRow)


@dataclass(frozen=True, slots=True)
class EventRow:
    """Is a row of `events`."""

    sequence: int
    name: str
    owner_id: UUID
    subject_id: UUID
    version: int
    webhook_url: str | None
    body: dict[str, Any]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Told:
    """Is an event as it is told: to listeners whole, to webhooks as `body`."""

    row: EventRow
    event_id: UUID
    envelope: dict[str, Any]
    body: str


def tell(row: EventRow, settings: Settings) -> Told:
    """Give an event its id and its words; raises whatever a row that cannot be told brings about."""
    event_id = new_id()
    head = {"id": event_id, "type": row.name, "timestamp": row.created_at.astimezone(UTC)}
    envelope = orjson.loads(orjson.dumps(head | {"data": _subject(row, settings)}, option=JSON_OPTIONS))
    return Told(row, event_id, envelope, _bounded(envelope).decode())


def _subject(row: EventRow, settings: Settings) -> dict[str, Any]:
    if row.name.startswith("job."):
        return job_frame(_JOB_ROW.validate_python(row.body), settings.job_retention)
    return row.body


def _bounded(envelope: dict[str, Any]) -> bytes:
    whole = envelope["data"]
    body = _with(envelope, whole | {"omitted": None})
    omitted: list[str] = []
    while len(body) >= LARGEST_BODY_BYTES:
        left = whole.keys() - omitted
        # Input and result go first, for they can be read with GET; then whatever is largest.
        first = [name for name in _FIRST_OMITTED if name in left]
        omitted.append(first[0] if first else max(left, key=lambda name: len(orjson.dumps(whole[name]))))
        body = _with(envelope, whole | dict.fromkeys(omitted) | {"omitted": omitted})
    return body


def _with(envelope: dict[str, Any], subject: dict[str, Any]) -> bytes:
    return orjson.dumps(envelope | {"data": subject})
