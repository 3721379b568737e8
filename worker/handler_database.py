"""The connection on which handlers of a worker process that must not lose a word write, kept between jobs."""

import asyncio
import threading
from typing import Any, LiteralString

import psycopg

from shared.database import connect
from shared.settings import Settings

_SHORTEST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 2.0


class HandlerDatabase:
    """Executes single statements, each a transaction; a connection that was lost is opened anew."""

    def __init__(self, settings: Settings, application_name: str) -> None:
        self._settings = settings
        self._application_name = application_name
        self._connection: psycopg.Connection[Any] | None = None
        self._lock = threading.Lock()

    async def insist(self, statement: LiteralString, values: dict[str, Any]) -> list[Any]:
        """Execute a statement and give its rows, for as long as PostgreSQL is away; it may be executed twice then."""
        pause = _SHORTEST_PAUSE_SECONDS
        while True:
            try:
                return await asyncio.to_thread(self.rows, statement, values)
            except psycopg.OperationalError:
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    def rows(self, statement: LiteralString, values: dict[str, Any]) -> list[Any]:
        """Execute a statement and give its rows; raises `psycopg.OperationalError`."""
        # One that is lost must not be closed by a thread that still waits for its answer, once there is another.
        with self._lock:
            if self._connection is None or self._connection.closed:
                # These statements take longer to plan than to execute.
                self._connection = connect(self._settings, self._application_name, plan_cache_mode="force_generic_plan")
            try:
                return self._connection.execute(statement, values, prepare=True).fetchall()
            except psycopg.OperationalError:
                self._connection.close()
                raise

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()


_kept: dict[tuple[asyncio.AbstractEventLoop, str], tuple[HandlerDatabase, asyncio.Task[None]]] = {}


def database_of_this_loop(settings: Settings, application_name: str) -> HandlerDatabase:
    """Give what the running loop's earlier jobs left, or make it: never anything from before a fork.

    Whoever closes the loop cancels its tasks first, and with them ends the connection.
    """
    key = asyncio.get_running_loop(), application_name
    if key not in _kept:
        database = HandlerDatabase(settings, application_name)
        _kept[key] = database, key[0].create_task(_close_with_loop(key, database))
    return _kept[key][0]


async def _close_with_loop(key: tuple[asyncio.AbstractEventLoop, str], database: HandlerDatabase) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        del _kept[key]
        database.close()
