"""Turns: long work on something is done once at a time, and only a few such works at once."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from uuid import UUID
from weakref import WeakValueDictionary


class Turns:
    """Gives turns within this process: one at a time for an id, and so many in all."""

    def __init__(self, most: int) -> None:
        self._places = asyncio.Semaphore(most)
        self._locks: WeakValueDictionary[UUID, asyncio.Lock] = WeakValueDictionary()

    @contextlib.asynccontextmanager
    async def take(self, work_id: UUID, patience: float) -> AsyncGenerator[None]:
        """Take the turn for an id; raises `TimeoutError` when it does not come within `patience` seconds."""
        # Those who wait keep the lock alive; with the last of them it goes.
        lock = self._locks.setdefault(work_id, asyncio.Lock())
        async with contextlib.AsyncExitStack() as stack:
            async with asyncio.timeout(patience):
                await stack.enter_async_context(lock)
                await stack.enter_async_context(self._places)
            yield
