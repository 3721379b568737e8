"""A Jobyard that tells a receiver which a test holds up."""

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.faults.conftest import JSON, Yard, open_yard
from tests.webhook_receiver import WebhookReceiver

PROGRAMS = ("web", "dispatcher", "worker")
ENVIRONMENT = {"JOBYARD_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8"}


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
            while database.execute(
                "SELECT count(*) < %s OR bool_or(state = 'pending') FROM webhook_deliveries WHERE endpoint_id = %s",
                (count, endpoint["id"]),
            ).fetchone() != (False,):
                database.execute("SELECT 1")
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
def open_webhook_yard(directory: Path, **options: Any) -> Generator[WebhookYard]:
    """Run a Jobyard and a receiver."""
    environment = ENVIRONMENT | options.pop("environment", {})
    with (
        WebhookReceiver() as receiver,
        open_yard(directory, only=PROGRAMS, environment=environment, **options) as yard,
    ):
        yield WebhookYard(yard.client, yard.gates, yard.stack, receiver)


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebhookYard]:
    """Run a Jobyard for a module's tests."""
    with open_webhook_yard(tmp_path_factory.mktemp("webhooks")) as yard:
        yield yard
