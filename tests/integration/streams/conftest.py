"""What the tests of streams share: the application behind a real server, and jobs that change without a message."""

from collections.abc import Iterator

import httpx2
import psycopg
import pytest
from fastapi import FastAPI

from api import change_channel, ledger_look
from shared import job_events
from shared.settings import Settings
from tests.app_server import AppServer, serving
from tests.subscriptions import wait_for_subscription


@pytest.fixture
def server(app: FastAPI, settings: Settings) -> Iterator[AppServer]:
    """Serve the test's application, which hears of changes."""
    with serving(app) as server:
        wait_for_subscription(settings)
        yield server


@pytest.fixture
def http(server: AppServer) -> Iterator[httpx2.Client]:
    """Open a client of that server."""
    with server.client() as client:
        yield client


@pytest.fixture(autouse=True)
def looking_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look into the ledger more often than a second, to save time."""
    monkeypatch.setattr(ledger_look, "LEDGER_SECONDS", 0.1)


@pytest.fixture
def never_looking(monkeypatch: pytest.MonkeyPatch, looking_often: None) -> None:  # noqa: ARG001 - after it
    """Take the look of every second away, so that only messages tell of changes, however slow Redis is."""
    monkeypatch.setattr(ledger_look, "LEDGER_SECONDS", 3600.0)
    for module in (change_channel, job_events):
        monkeypatch.setattr(module, "TIMEOUT_SECONDS", 60.0)


def change(database: psycopg.Connection, job_id: str, **columns: object) -> None:
    """Change a job's row as a worker would, without telling anybody."""
    names = ", ".join(f"{name} = %({name})s" for name in columns)
    statement = f"UPDATE jobs SET {names}, version = version + 1 WHERE id = %(id)s"  # noqa: S608 - of this test
    assert database.execute(statement.encode(), columns | {"id": job_id}).rowcount == 1
