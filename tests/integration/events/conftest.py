"""An ear: who listens is written down as the dispatcher would, and what was recorded for it is read."""

from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from psycopg.rows import args_row

from shared.events import EVENT_TYPES, Event, covers
from shared.ids import new_id
from shared.recorded_events import EVENT_COLUMNS, RecordedEvent, event_of
from shared.settings import Settings
from tests.conftest import Owner
from tests.integration.emails import conftest as emails

mail_server = emails.mail_server
settings = emails.settings
runner = emails.runner
post = emails.post

_READ = f"SELECT {EVENT_COLUMNS} FROM events ORDER BY sequence"  # noqa: S608 - the columns are a constant


@dataclass(frozen=True, slots=True)
class Ear:
    """Listens to events, and reads what was recorded."""

    database: psycopg.Connection[Any]
    settings: Settings

    def listen(self, *filters: str) -> None:
        for name in EVENT_TYPES:
            if any(covers(filter_, name) for filter_ in filters):
                self.database.execute("INSERT INTO event_listeners VALUES (%s, 'listener.test')", (name,))

    def subscribe(self, owner: Owner, *filters: str, disabled: bool = False) -> None:
        """Register a webhook of an owner's."""
        self.database.execute(
            "INSERT INTO webhook_endpoints (id, owner_id, url, events, secret, disabled_at)"
            " VALUES (%s, %s, 'https://example.com', %s, 'whsec_AAAA', CASE WHEN %s THEN now() END)",
            (new_id(), owner.id, list(filters), disabled),
        )

    def rows(self) -> list[RecordedEvent]:
        with self.database.cursor(row_factory=args_row(RecordedEvent)) as cursor:
            return cursor.execute(_READ).fetchall()

    def heard(self) -> list[Event]:
        return [event_of(row, self.settings.job_retention) for row in self.rows()]

    def names(self) -> list[str]:
        return [row.name for row in self.rows()]

    def forget(self) -> None:
        self.database.execute("DELETE FROM events")


@pytest.fixture
def ear(database: psycopg.Connection[Any], settings: Settings) -> Ear:
    return Ear(database, settings)
