"""Nudging the dispatcher after commits: at most one NOTIFY per 5 ms and process, on a connection of its own turn."""

import asyncio
import logging
from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from shared.job_queue import NUDGE

logger = logging.getLogger(__name__)

INTERVAL_SECONDS = 0.005


class Nudger:
    """Sends the nudges of a process; one that is lost costs at most the dispatcher's fall-back of a second."""

    def __init__(self, ledger: AsyncConnectionPool[AsyncConnection[tuple[Any, ...]]]) -> None:
        self._ledger = ledger
        self._wanted = asyncio.Event()

    def nudge(self) -> None:
        """Ask for a nudge; call it after the commit."""
        self._wanted.set()

    async def run(self) -> None:
        """Send nudges until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            try:
                async with self._ledger.connection() as connection:
                    await connection.execute(NUDGE)
            except (psycopg.Error, PoolTimeout) as error:
                logger.warning("a nudge was not sent: %s", type(error).__name__)
            # Whatever is enqueued meanwhile shares the next nudge.
            await asyncio.sleep(INTERVAL_SECONDS)
