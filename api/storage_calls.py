"""Calls to the storage, in threads of their own: a storage that hangs stops whoever needs it, and nobody else."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

THREADS = 32
"""For each purpose. A call to a bucket is waiting, mostly; a client that is slow to send or to take holds no thread."""

Result = TypeVar("Result")


class StorageCalls:
    """Makes one process's calls to the storage for one purpose: those of another have their own threads."""

    def __init__(self, purpose: str, threads: int = THREADS) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=f"storage-{purpose}")

    def begin(self, call: Callable[[], Result]) -> Future[Result]:
        """Begin a call."""
        return self._threads.submit(call)

    async def make(self, call: Callable[[], Result]) -> Result:
        """Make a call; cancelled, wait for it all the same: what it leaves must be there to be discarded."""
        running = asyncio.get_running_loop().run_in_executor(self._threads, call)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            await asyncio.gather(running, return_exceptions=True)
            raise

    def close(self) -> None:
        """Drop the calls that have not begun; what runs ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)
