"""What is told of an event: the envelope of Standard Webhooks around the subject as GET shows it, and the bytes sent.

{"id", "type", "timestamp", "data": {the subject, "omitted": null | [names]}}
"""

from dataclasses import dataclass
from typing import Any

import orjson

from shared.events import Event
from shared.job_events import JSON_OPTIONS
from shared.recorded_events import RecordedEvent, event_of
from shared.settings import Settings

LARGEST_BODY_BYTES = 20_000
"""What is sent is smaller: Standard Webhooks asks for bodies below 20 kB."""

_FIRST_OMITTED = ("input", "result")


@dataclass(frozen=True, slots=True)
class Told:
    """Is an event as it is told: to listeners whole, to webhooks as `body`."""

    row: RecordedEvent
    event: Event
    body: str


def tell(row: RecordedEvent, settings: Settings) -> Told:
    """Find the words for an event; raises whatever a row that cannot be told brings about."""
    event = event_of(row, settings.job_retention)
    envelope = {"id": event.id, "type": event.type, "timestamp": event.timestamp, "data": event.data}
    return Told(row, event, _bounded(envelope).decode())


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
    return orjson.dumps(envelope | {"data": subject}, option=JSON_OPTIONS)
