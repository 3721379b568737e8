"""Calls that block, such as the storage's, made off the event loop."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


async def to_the_end(call: Callable[[], Result]) -> Result:
    """Make a call in a thread; cancelled, wait for it all the same: what it leaves must be there to be discarded."""
    running = asyncio.get_running_loop().run_in_executor(None, call)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.gather(running, return_exceptions=True)
        raise
