"""Fixtures on real parts: one PostgreSQL and one Redis per session, both emptied for each test."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
import redis
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api.app import create_app
from api.tokens import issue_access_token
from ops.postgres import LocalPostgres
from ops.redis import LocalRedis
from shared.ids import new_id
from shared.job_kind import JobKind, load_job_kinds
from shared.migrations import upgrade
from shared.settings import Settings
from tests.s3_server import S3Server

# Emptying takes a few milliseconds where a new database takes most of a second.
EMPTY = """
TRUNCATE users, dispatcher_lease, queues, workers, event_listeners CASCADE;
INSERT INTO dispatcher_lease (id) VALUES (1);
INSERT INTO users (id, email, password_hash, is_active)
VALUES ('00000000-0000-0000-0000-000000000000', 'system@jobyard.invalid', '!', false)
"""


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalPostgres]:
    """Run a PostgreSQL whose database is migrated."""
    server = LocalPostgres(tmp_path_factory.mktemp("postgres"), fsync=False)
    server.start()
    try:
        upgrade(server.url)
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRedis]:
    """Run a Redis."""
    server = LocalRedis(tmp_path_factory.mktemp("redis"))
    server.start()
    try:
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """Run an S3 endpoint."""
    server = S3Server()
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def database_url(postgres: LocalPostgres) -> str:
    """Empty the database for one test."""
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("SET lock_timeout = '5s'")
        connection.execute(EMPTY)
    return postgres.url


@pytest.fixture
def redis_url(redis_server: LocalRedis) -> str:
    """Empty the Redis for one test."""
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
    return redis_server.url


@pytest.fixture
def settings(database_url: str, redis_url: str, tmp_path: Path) -> Settings:
    """Give settings of a test's own services."""
    return Settings.model_validate(
        {
            "environment": "test",
            "database_url": database_url,
            "redis_url": redis_url,
            "storage_dir": tmp_path / "storage",
            "job_modules": ["worker.jobs", "tests.kinds"],
            "secret_key": "a-secret-of-the-tests-that-is-long-enough",
        }
    )


@pytest.fixture
def database(database_url: str) -> Iterator[psycopg.Connection]:
    """Open an autocommit connection to the test's database."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


@dataclass(frozen=True, slots=True)
class Owner:
    """Is a user of a test, and the headers of their requests."""

    id: UUID
    headers: dict[str, str]


def make_owner(database: psycopg.Connection, settings: Settings, email: str, role: str = "user") -> Owner:
    """Insert a user that cannot sign in, and issue a token for it."""
    user_id = new_id()
    database.execute(
        "INSERT INTO users (id, email, password_hash, role) VALUES (%s, %s, '!', %s)", (user_id, email, role)
    )
    token, _ = issue_access_token(settings, user_id, role)
    return Owner(user_id, {"Authorization": f"Bearer {token}"})


@pytest.fixture
def owner(database: psycopg.Connection, settings: Settings) -> Owner:
    """Make a user."""
    return make_owner(database, settings, "owner@example.com")


@pytest.fixture
def stranger(database: psycopg.Connection, settings: Settings) -> Owner:
    """Make another user."""
    return make_owner(database, settings, "stranger@example.com")


@pytest.fixture
def operator(database: psycopg.Connection, settings: Settings) -> Owner:
    """Make an operator."""
    return make_owner(database, settings, "operator@example.com", "operator")


@pytest.fixture
def kinds(settings: Settings) -> dict[str, JobKind]:
    """Load the kinds of job that the settings name."""
    return load_job_kinds(settings.job_modules)


@pytest.fixture
def app(settings: Settings) -> FastAPI:
    """Make the application on the test's services."""
    return create_app(settings)


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    """Run the application, its lifespan included; a 500 is answered, not raised."""
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client
