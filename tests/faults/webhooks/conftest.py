"""A Jobyard that tells a receiver which a test holds up."""

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from tests.faults.conftest import JSON, Yard
from tests.polling import await_that
from tests.webhook_receiver import WebhookReceiver

_ALL_MADE = """
SELECT count(*) >= %s AND NOT bool_or(state = 'pending') FROM webhook_deliveries WHERE endpoint_id = %s
"""


@dataclass(frozen=True)
class WebhookYard(Yard):
    """Is a running Jobyard, and a receiver."""

    receiver: WebhookReceiver

    def register(self, *events: str, path: str = "/hooks") -> JSON:
        """Register the receiver for events; gives the endpoint with its secret."""
        body = {"url": self.receiver.url(path), "events": list(events)}
        return self.client.post("/v1/webhooks", json=body).raise_for_status().json()

    def remove(self, endpoint: JSON) -> None:
        """Delete an endpoint."""
        self.client.delete(endpoint["links"]["self"]).raise_for_status()

    def deliveries(self, endpoint: JSON) -> list[JSON]:
        """Give the log of an endpoint, oldest first."""
        page = self.client.get(endpoint["links"]["self"] + "/deliveries", params={"limit": 100})
        return list(reversed(page.raise_for_status().json()["items"]))

    def wait_for_deliveries(self, endpoint: JSON, count: int) -> list[JSON]:
        """Wait until so many deliveries have been made and their jobs have ended; gives them."""
        with self.database() as database:
            await_that(lambda: database.execute(_ALL_MADE, (count, endpoint["id"])).fetchone() == (True,))
        return self.deliveries(endpoint)

    def finish(self, paths: Iterable[str]) -> list[JSON]:
        """Wait for the end of jobs."""
        return [self.wait(path) for path in paths]

    @contextmanager
    def database(self) -> Generator[psycopg.Connection[Any]]:
        """Open an autocommit connection to the ledger."""
        with psycopg.connect(self.stack.endpoints.database_url, autocommit=True) as connection:
            yield connection


@contextmanager
def receiving(yard: Yard) -> Generator[WebhookYard]:
    """Run a receiver beside a Jobyard."""
    with WebhookReceiver() as receiver:
        yield WebhookYard(yard.client, yard.gates, yard.stack, receiver)


@pytest.fixture(scope="module")
def yard(yard: Yard) -> Iterator[WebhookYard]:
    """Give the shared Jobyard, with a receiver for a module's tests."""
    with receiving(yard) as with_receiver:
        yield with_receiver
