"""Who wants to be told of events: the endpoints of their owners, and the kinds of job that listen."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.rows import args_row

from shared.events import covers
from shared.ids import new_id
from shared.recorded_events import RecordedEvent
from shared.webhook_signing import new_secret

_MAKE_FOR_JOBS = """
INSERT INTO webhook_endpoints (id, owner_id, secret)
SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::text[]) AS made (id, owner_id, secret)
WHERE NOT EXISTS (SELECT FROM webhook_endpoints WHERE owner_id = made.owner_id AND url IS NULL)
ON CONFLICT (owner_id) WHERE url IS NULL DO NOTHING
"""
# Locked, so that none is deleted before its deliveries are written.
_ENDPOINTS = """
SELECT id, owner_id, url, events FROM webhook_endpoints
WHERE owner_id = ANY(%s) AND disabled_at IS NULL ORDER BY id FOR KEY SHARE
"""
_LISTENERS = "SELECT event, kind FROM event_listeners WHERE event = ANY(%s) ORDER BY event, kind"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Is an enabled endpoint; that without a URL is for the `webhook_url` of single jobs."""

    id: UUID
    owner_id: UUID
    url: str | None
    events: list[str]

    def place(self, row: RecordedEvent) -> str | None:
        """Give the URL at which this endpoint is told of an event, if it is."""
        if self.url is None:
            return row.webhook_url
        return self.url if any(covers(filter_, row.name) for filter_ in self.events) else None


@dataclass(slots=True)
class Audience:
    """Knows who wants to be told, for the time of a transaction."""

    endpoints: dict[UUID, list[Endpoint]] = field(default_factory=lambda: defaultdict(list))
    listeners: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def places(self, row: RecordedEvent) -> list[tuple[UUID, str]]:
        """Give the endpoints that are told of an event, and where."""
        told = [(each.id, each.place(row)) for each in self.endpoints.get(row.owner_id, ())]
        return [(endpoint_id, url) for endpoint_id, url in told if url is not None]

    def kinds(self, row: RecordedEvent) -> Sequence[str]:
        """Name the kinds that listen to an event."""
        return self.listeners.get(row.name, ())


def find_audience(connection: Connection[Any], rows: Sequence[RecordedEvent]) -> Audience:
    """Find who is told of these events, in the caller's transaction; makes the endpoints for single jobs that lack."""
    owners = {row.owner_id for row in rows}
    if lacking := {row.owner_id for row in rows if row.webhook_url is not None}:
        made = [new_id() for _ in lacking], list(lacking), [new_secret() for _ in lacking]
        connection.execute(_MAKE_FOR_JOBS, made)
    audience = Audience()
    with connection.cursor(row_factory=args_row(Endpoint)) as cursor:
        for endpoint in cursor.execute(_ENDPOINTS, (list(owners),), prepare=True):
            audience.endpoints[endpoint.owner_id].append(endpoint)
    for event, kind in connection.execute(_LISTENERS, (list({row.name for row in rows}),), prepare=True):
        audience.listeners[event].append(kind)
    return audience


def write_listeners(connection: Connection[Any], listening: Mapping[str, Sequence[str]]) -> None:
    """Write down which kinds listen to which events, in place of what was known before."""
    pairs = [(event, kind) for event, kinds in listening.items() for kind in kinds]
    given = [event for event, _ in pairs], [kind for _, kind in pairs]
    with connection.transaction():
        connection.execute(
            "DELETE FROM event_listeners WHERE (event, kind) NOT IN (SELECT * FROM unnest(%s::text[], %s::text[]))",
            given,
        )
        connection.execute(
            "INSERT INTO event_listeners (event, kind) SELECT * FROM unnest(%s::text[], %s::text[])"
            " ON CONFLICT DO NOTHING",
            given,
        )
