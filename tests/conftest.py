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
from psycopg.sql import SQL, Identifier

from api.app import create_app
from api.resources import make_resources
from api.tokens import issue_access_token
from ops.postgres import LocalPostgres
from ops.redis import LocalRedis
from shared.ids import new_id
from shared.job_kind import JobKind, load_job_kinds
from shared.logs import configure_logging
from shared.migrations import upgrade
from shared.models import Base
from shared.settings import Settings
from tests.s3_server import S3Server

_SYSTEM = """
INSERT INTO dispatcher_lease (id) VALUES (1);
INSERT INTO users (id, email, password_hash, is_active)
VALUES ('00000000-0000-0000-0000-000000000000', 'system@jobyard.invalid', '!', false)
"""
# A few milliseconds: a new database takes most of a second, and TRUNCATE makes new files for each table and index.
EMPTY = SQL("; ").join(
    [
        SQL("SET session_replication_role = replica"),
        *(SQL("DELETE FROM {}").format(Identifier(table)) for table in Base.metadata.tables),
        SQL(_SYSTEM),
    ]
)
"""Leaves what the migrations leave; triggers and foreign keys are of no account meanwhile."""


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


def make_settings(database_url: str, redis_url: str, storage_dir: Path) -> Settings:
    """Give settings of some services, and what all tests have in common."""
    return Settings.model_validate(
        {
            "environment": "test",
            "database_url": database_url,
            "redis_url": redis_url,
            "storage_dir": storage_dir,
            "job_modules": ["worker.jobs", "tests.kinds"],
            "secret_key": "a-secret-of-the-tests-that-is-long-enough",
        }
    )


@pytest.fixture
def settings(database_url: str, redis_url: str, tmp_path: Path) -> Settings:
    """Give settings of a test's own services."""
    return make_settings(database_url, redis_url, tmp_path / "storage")


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


@pytest.fixture(scope="session")
def applications() -> dict[tuple[str, ...], FastAPI]:
    """Keep applications by their modules of kinds, because making the routes takes longer than most tests."""
    return {}


@pytest.fixture
def app(settings: Settings, applications: dict[tuple[str, ...], FastAPI]) -> FastAPI:
    """Give the application on the test's services; nothing else of it is the test's own."""
    modules = tuple(settings.job_modules)
    if modules not in applications:
        applications[modules] = create_app(settings)
    else:
        configure_logging(settings)
        applications[modules].state.resources = make_resources(settings)
    return applications[modules]


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    """Run the application, its lifespan included; a 500 is answered, not raised."""
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client
