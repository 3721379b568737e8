"""The broadcast room: everybody in this web process who hears what operators tell all.

The row is the truth. A hint over Redis makes it fast; once a second the ledger is read for what no hint told, so a
message arrives with Redis away. Whoever was in the room when a message was sent hears it, once.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

import psycopg
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool, PoolTimeout
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

logger = logging.getLogger(__name__)

CHANNEL = "jobyard:broadcasts"
LOOK_SECONDS = 1.0
COMMIT_SECONDS = 10
"""No transaction that writes a broadcast is longer, so what was committed late is found by looking back this far."""

_LOOK = """
SELECT now(), id, message, created_at, extract(epoch FROM now() - created_at)::float8
FROM (SELECT 1) AS always
LEFT JOIN broadcasts ON created_at > coalesce(%s::timestamptz, now()) - make_interval(secs => %s)
ORDER BY created_at
"""

_EXAMPLE: JsonDict = {
    "id": "0198f3c2-7b1e-7d58-9d55-1d1f0a2f7a11",
    "message": "Maintenance begins in ten minutes.",
    "created_at": "2026-11-27T09:00:00Z",
}


class Broadcast(BaseModel):
    """Is what an operator tells everybody."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"example": _EXAMPLE})

    id: UUID
    message: str = Field(description="Plain text.")
    created_at: datetime


@dataclass(eq=False, frozen=True, slots=True)
class _Listener:
    hear: Callable[[Broadcast], None]
    since: float


class BroadcastRoom:
    """Tells each broadcast once to everybody in the room; while nobody is, the ledger need not be read."""

    def __init__(self) -> None:
        self._listeners: set[_Listener] = set()
        self._told: set[UUID] = set()
        self._looked_at: datetime | None = None
        self._anybody = asyncio.Event()

    @property
    def empty(self) -> bool:
        """Whether nobody is there."""
        return not self._listeners

    @contextlib.contextmanager
    def listening(self, hear: Callable[[Broadcast], None]) -> Generator[None]:
        """Have broadcasts heard within this block; `hear` must not wait."""
        listener = _Listener(hear, time.monotonic())
        self._listeners.add(listener)
        self._anybody.set()
        try:
            yield
        finally:
            self._listeners.discard(listener)
            if not self._listeners:
                self._anybody.clear()
                self._looked_at = None
                self._told.clear()

    def hint(self, message: bytes) -> None:
        """Take a message of the channel; raises `ValueError` for one that is no broadcast."""
        self.tell(Broadcast.model_validate_json(message))

    def tell(self, broadcast: Broadcast, age: float = 0.0) -> None:
        """Tell a broadcast, so many seconds old, to everybody who was there then; a second time it is left alone."""
        if broadcast.id in self._told or not self._listeners:
            return
        self._told.add(broadcast.id)
        sent_at = time.monotonic() - age
        for listener in list(self._listeners):
            if listener.since <= sent_at:
                listener.hear(broadcast)

    async def look_for_ever(self, ledger: AsyncConnectionPool[AsyncConnection[tuple[Any, ...]]]) -> None:
        """Look into the ledger once a second, while anybody is there, until cancelled."""
        while True:
            await self._anybody.wait()
            try:
                async with ledger.connection() as connection:
                    await self._look(connection)
            except (psycopg.Error, PoolTimeout, OSError) as error:
                logger.warning("PostgreSQL does not answer the broadcast room: %s", type(error).__name__)
            await asyncio.sleep(LOOK_SECONDS)

    async def _look(self, connection: AsyncConnection[Any]) -> None:
        # From where the last look was: after a time without the ledger nothing is passed over.
        told_before = set(self._told)
        cursor = await connection.execute(_LOOK, (self._looked_at, COMMIT_SECONDS))
        rows = await cursor.fetchall()
        if not self._listeners:
            return
        self._looked_at = rows[0][0]
        found = {cast("UUID", row[1]): row for row in rows if row[1] is not None}
        for id_, (_, _, message, created_at, age) in found.items():
            self.tell(Broadcast(id=id_, message=message, created_at=created_at), age)
        # What was told before and is not found is older than all that will be looked for.
        self._told -= told_before - found.keys()
