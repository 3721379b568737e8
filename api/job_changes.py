"""Waiting for a job to change without holding a database connection.

Hints arrive over one Redis subscription per process. Once a second one statement asks the ledger for the versions of
all jobs that are waited for, so a lost hint, or no Redis at all, costs a waiter at most that second. A server that
stops lets all waiters go.
"""

import asyncio
import contextlib
import logging
from collections.abc import Generator, Sequence
from typing import Any, cast
from uuid import UUID

import psycopg
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool, PoolTimeout
from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.job_events import CHANNEL, TIMEOUT_SECONDS, decode_event, encode_event
from shared.job_row import JobRow
from shared.settings import Settings

logger = logging.getLogger(__name__)

LEDGER_SECONDS = 1.0
_VERSIONS = "SELECT id, version FROM jobs WHERE id = ANY(%s)"


class Waiter:
    """Is told of the newest version of one job."""

    def __init__(self, *, let_go: bool = False) -> None:
        self.version = 0
        self._let_go = let_go
        self._changed = asyncio.Event()

    def announce(self, version: int) -> None:
        """Note a version; wakes the waiter when it is news."""
        if version > self.version:
            self.version = version
            self._changed.set()

    def let_go(self) -> None:
        """End the wait, and every later one."""
        self._let_go = True
        self._changed.set()

    async def changed_since(self, version: int) -> bool:
        """Return True as soon as a version newer than this one is known, False when there is no more waiting."""
        while self.version <= version:
            if self._let_go:
                return False
            self._changed.clear()
            await self._changed.wait()
        return True


class JobChanges:
    """Knows who waits for which job. `stopping` is set when the server begins to stop: then nobody waits any more."""

    def __init__(self, settings: Settings, ledger: AsyncConnectionPool[AsyncConnection[tuple[Any, ...]]]) -> None:
        self._settings = settings
        self._ledger = ledger
        self._waiters: dict[UUID, set[Waiter]] = {}
        self._anyone = asyncio.Event()
        self.stopping = asyncio.Event()
        self._redis = Redis.from_url(
            settings.redis_url,
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=TIMEOUT_SECONDS,
            retry=None,
        )

    @contextlib.contextmanager
    def watch(self, job_id: UUID) -> Generator[Waiter]:
        """Wait for a job within this block; begin before reading the row, or a change in between is missed."""
        waiter = Waiter(let_go=self.stopping.is_set())
        self._waiters.setdefault(job_id, set()).add(waiter)
        self._anyone.set()
        try:
            yield waiter
        finally:
            waiters = self._waiters[job_id]
            waiters.discard(waiter)
            if not waiters:
                del self._waiters[job_id]

    async def publish(self, rows: Sequence[JobRow]) -> None:
        """Tell all processes that jobs now are as these rows say; a Redis that is away is no error."""
        for row in rows:
            self._announce(row.id, row.version)
        try:
            async with self._redis.pipeline(transaction=False) as pipeline:
                for row in rows:
                    pipeline.publish(CHANNEL, encode_event(row, self._settings.job_retention))
                await pipeline.execute()
        except (RedisError, OSError) as error:
            logger.warning("changes of %s jobs were not told: %s", len(rows), type(error).__name__)

    def stop(self) -> None:
        """Let all waiters go, those to come included."""
        self.stopping.set()
        for waiters in self._waiters.values():
            for waiter in waiters:
                waiter.let_go()

    async def close(self) -> None:
        """Close the connections to Redis."""
        with contextlib.suppress(RedisError, OSError):
            await self._redis.aclose()

    def _announce(self, job_id: UUID, version: int) -> None:
        for waiter in self._waiters.get(job_id, ()):
            waiter.announce(version)

    async def listen(self) -> None:
        """Take hints from Redis until cancelled."""
        while True:
            try:
                async with self._redis.pubsub(ignore_subscribe_messages=True) as subscription:
                    await subscription.subscribe(CHANNEL)
                    while True:
                        # A bounded read: a half-open connection must not silence the hints for good.
                        message = await subscription.get_message(timeout=10.0)
                        if message is None:
                            await subscription.ping()
                        elif message["type"] == "message":
                            event = decode_event(cast("bytes", message["data"]))
                            self._announce(event.job_id, event.version)
            except (RedisError, OSError, ValueError) as error:
                logger.warning("no hints, waiters read the ledger: %s", type(error).__name__)
                await asyncio.sleep(LEDGER_SECONDS)

    async def look(self) -> None:
        """Ask the ledger about all waited-for jobs once a second until cancelled."""
        while True:
            await self._anyone.wait()
            await asyncio.sleep(LEDGER_SECONDS)
            if not self._waiters:
                self._anyone.clear()
                continue
            try:
                async with self._ledger.connection() as connection:
                    cursor = await connection.execute(_VERSIONS, (list(self._waiters),))
                    versions: list[tuple[UUID, int]] = await cursor.fetchall()
            except (psycopg.Error, PoolTimeout) as error:
                logger.warning("PostgreSQL does not answer the waiters: %s", type(error).__name__)
                continue
            for job_id, version in versions:
                self._announce(job_id, version)
