"""Reading server-sent events as a browser would."""

import json
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx2

JSON = dict[str, Any]


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """Is one event, or a comment, which has no name."""

    name: str | None
    id: int | None
    data: JSON


class Stream:
    """Is an open stream."""

    def __init__(self, response: httpx2.Response) -> None:
        self.response = response
        self._events = parse_events(response.iter_lines())

    def next(self) -> StreamEvent:
        """Wait for the next event that is no sign of life."""
        return next(event for event in self._events if event.name is not None)

    def next_job(self) -> JSON:
        """Wait for the next event, which is about a job; gives that."""
        event = self.next()
        assert event.name == "job", event
        return event.data

    def rest(self) -> list[StreamEvent]:
        """Give everything up to the end, signs of life included."""
        return list(self._events)


@contextmanager
def follow(
    client: httpx2.Client, path: str, headers: dict[str, str], last_event_id: object = None
) -> Generator[Stream]:
    """Open a stream."""
    if last_event_id is not None:
        headers = headers | {"Last-Event-ID": str(last_event_id)}
    with client.stream("GET", path, headers=headers) as response:
        assert response.status_code == 200, response.read()
        yield Stream(response)


def parse_events(lines: Iterable[str]) -> Iterator[StreamEvent]:
    """Read events and comments; what only sets the time to reconnect is neither."""
    fields: dict[str, str] = {}
    for line in lines:
        if line.startswith(":"):
            yield StreamEvent(None, None, {})
        elif line:
            name, _, value = line.partition(": ")
            assert name in {"event", "id", "data", "retry"}, line
            assert name not in fields, line
            fields[name] = value
        else:
            if "data" in fields:
                id_ = int(fields["id"]) if "id" in fields else None
                yield StreamEvent(fields["event"], id_, json.loads(fields["data"]))
            fields = {}
