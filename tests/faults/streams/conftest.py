"""Services of this package's own, which may be frozen, wiped and restarted under an application that serves."""

from collections.abc import Iterator

import httpx2
import psycopg
import pytest
from fastapi import FastAPI

from ops.ports import free_port
from ops.postgres import LocalPostgres
from ops.redis import LocalRedis
from shared.migrations import upgrade
from shared.settings import Settings
from tests.app_server import AppServer, serving
from tests.conftest import Owner


@pytest.fixture(scope="package")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalPostgres]:
    """Run a PostgreSQL that keeps its port when it is restarted."""
    server = LocalPostgres(tmp_path_factory.mktemp("postgres"), port=free_port(), fsync=False)
    server.start()
    try:
        upgrade(server.url)
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="package")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRedis]:
    """Run a Redis that keeps its port when it is restarted."""
    server = LocalRedis(tmp_path_factory.mktemp("redis"), port=free_port())
    server.start()
    try:
        yield server
    finally:
        server.remove()


@pytest.fixture
def server(app: FastAPI) -> Iterator[AppServer]:
    """Serve the test's application."""
    with serving(app) as server:
        yield server


@pytest.fixture
def http(server: AppServer) -> Iterator[httpx2.Client]:
    """Open a client of that server."""
    with server.client() as client:
        yield client


@pytest.fixture
def later(settings: Settings, owner: Owner) -> "Later":
    """Change jobs without a message."""
    return Later(settings, owner)


class Later:
    """Changes the ledger by connections that are opened when they are needed, for PostgreSQL may be restarted."""

    def __init__(self, settings: Settings, owner: Owner) -> None:
        self._settings = settings
        self.owner = owner

    def change(self, job_id: str, state: str) -> None:
        """Give a job another state and tell nobody."""
        statement = """
            UPDATE jobs SET state = %(state)s, version = version + 1,
                finished_at = CASE WHEN %(state)s = 'succeeded' THEN now() END
            WHERE id = %(id)s
        """
        with psycopg.connect(self._settings.database_url, autocommit=True) as connection:
            connection.execute(statement, {"state": state, "id": job_id})
