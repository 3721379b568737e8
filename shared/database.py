"""Connections to PostgreSQL: psycopg for the ledger, SQLAlchemy on psycopg for everything else."""

from typing import Any, cast

import psycopg
from sqlalchemy import Engine, create_engine
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm import Session

from shared.settings import Settings

CONNECT_TIMEOUT_SECONDS = 5


def connect(settings: Settings, application_name: str, **session: str) -> psycopg.Connection[tuple[Any, ...]]:
    """Open an autocommit connection; keyword arguments become settings of the session."""
    connection = psycopg.connect(settings.database_url, autocommit=True, **connection_options(application_name))
    for name, value in session.items():
        connection.execute("SELECT set_config(%s, %s, false)", (name, value))
    return connection


def connection_options(application_name: str) -> dict[str, Any]:
    """Give what every connection has: a name for pg_stat_activity, and bounds on a dead network."""
    return {
        "application_name": application_name,
        "connect_timeout": CONNECT_TIMEOUT_SECONDS,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 20_000,
    }


def make_engine(settings: Settings, application_name: str, pool_size: int = 1) -> Engine:
    """Make the engine of a worker process, for handlers' sessions."""
    return create_engine(
        settings.sqlalchemy_url,
        pool_size=pool_size,
        pool_pre_ping=True,
        # An error would otherwise carry the values of its statement, password hashes among them, into the log.
        hide_parameters=True,
        connect_args=connection_options(application_name),
    )


def web_connection_options() -> dict[str, Any]:
    """Give what the connections of `web` have: beside the bounds of all, on waiting for locks and on holding them.

    A process that is frozen within a transaction holds its locks no longer than that. Who waits for a lock outlasts a
    frozen dispatcher, whose transactions end after 5 s.
    """
    bounds = "-c lock_timeout=8s -c idle_in_transaction_session_timeout=30s"
    return connection_options("jobyard-web") | {"options": bounds}


def make_async_engine(settings: Settings, pool_size: int = 5) -> AsyncEngine:
    """Make the engine of the API, for everything but the hot pair of create and read job."""
    return create_async_engine(
        settings.sqlalchemy_url,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=CONNECT_TIMEOUT_SECONDS,
        pool_pre_ping=True,
        # An error would otherwise carry the values of its statement, password hashes among them, into the log.
        hide_parameters=True,
        connect_args=web_connection_options(),
    )


def driver_connection(session: Session) -> psycopg.Connection[Any]:
    """Give the driver's connection of a worker's session, for the ledger's statements in its transaction."""
    session.flush()
    return cast("psycopg.Connection[Any]", session.connection().connection.driver_connection)
