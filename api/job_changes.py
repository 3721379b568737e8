"""Waiting for a job to change without holding a database connection.

Hints arrive over one Redis subscription per process. Once a second one statement asks the ledger for the versions of
all jobs that are waited for, so a lost hint, or no Redis at all, costs a waiter at most that second.
"""

import asyncio
import contextlib
import logging
from collections.abc import Generator
from typing import Any, cast
from uuid import UUID

import psycopg
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool, PoolTimeout
from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.job_events import CHANNEL, TIMEOUT_SECONDS, decode_event, encode_event
from shared.settings import Settings

logger = logging.getLogger(__name__)

LEDGER_SECONDS = 1.0
_VERSIONS = "SELECT id, version FROM jobs WHERE id = ANY(%s)"


class Waiter:
    """Is told of the newest version of one job."""

    def __init__(self) -> None:
        self.version = 0
        self._changed = asyncio.Event()

    def announce(self, version: int) -> None:
        """Note a version; wakes the waiter when it is news."""
        if version > self.version:
            self.version = version
            self._changed.set()

    async def changed_since(self, version: int) -> None:
        """Return as soon as a version newer than this one is known."""
        while self.version <= version:
            self._changed.clear()
            await self._changed.wait()


class JobChanges:
    """Knows who waits for which job."""

    def __init__(self, settings: Settings, ledger: AsyncConnectionPool[AsyncConnection[tuple[Any, ...]]]) -> None:
        self._settings = settings
        self._ledger = ledger
        self._waiters: dict[UUID, set[Waiter]] = {}
        self._anyone = asyncio.Event()
        self._redis = Redis.from_url(
            settings.redis_url,
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=TIMEOUT_SECONDS,
            retry=None,
        )

    @contextlib.contextmanager
    def watch(self, job_id: UUID) -> Generator[Waiter]:
        """Wait for a job within this block; begin before reading the row, or a change in between is missed."""
        waiter = Waiter()
        self._waiters.setdefault(job_id, set()).add(waiter)
        self._anyone.set()
        try:
            yield waiter
        finally:
            waiters = self._waiters[job_id]
            waiters.discard(waiter)
            if not waiters:
                del self._waiters[job_id]

    async def publish(self, job_id: UUID, version: int) -> None:
        """Hint to all processes that a job changed; a Redis that is away is no error."""
        self._announce(job_id, version)
        try:
            await self._redis.publish(CHANNEL, encode_event(job_id, version))
        except (RedisError, OSError) as error:
            logger.warning("a hint was not sent: %s", type(error).__name__)

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
                            self._announce(*decode_event(cast("bytes", message["data"]).decode()))
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
