"""Clients that wait for a job, a process of its own: `python -m tests.bench.waiters` reads orders, one JSON line each.

It answers each with two lines: one when the server has all of its waiters, one when all were told of the end.
"""

import asyncio
import gc
import json
import sys
import time

import uvloop

from tests.bench.generator import HOST
from tests.bench.orders import Watch
from tests.bench.stream_ways import WAYS, Waiter

_AT_ONCE = 100
_PATIENCE_SECONDS = 60.0


async def watch(order: Watch) -> None:
    """Wait for a job's end on all connections of an order, and print both lines."""
    waiters: list[Waiter] = []
    while len(waiters) < order.count:
        waiters += await asyncio.gather(*(_open(order) for _ in range(min(_AT_ONCE, order.count - len(waiters)))))
    async with asyncio.timeout(_PATIENCE_SECONDS):
        await asyncio.gather(*(waiter.ready for waiter in waiters))
    gc.collect()
    gc.freeze()
    busy, began = time.process_time(), time.perf_counter()
    print(json.dumps({"ready": True}), flush=True)
    async with asyncio.timeout(_PATIENCE_SECONDS):
        await asyncio.gather(*(waiter.told for waiter in waiters))
    share = (time.process_time() - busy) / (time.perf_counter() - began)
    for waiter in waiters:
        waiter.close()
    requests = sum(waiter.requests for waiter in waiters)
    print(json.dumps({"told_at": [w.told_at for w in waiters], "requests": requests, "share": share}), flush=True)


async def _open(order: Watch) -> Waiter:
    loop = asyncio.get_running_loop()
    _, waiter = await loop.create_connection(lambda: WAYS[order.way](order), HOST, order.port)
    return waiter


def main() -> None:
    """Carry out orders until standard input ends."""
    gc.disable()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for line in sys.stdin:
            runner.run(watch(Watch(**json.loads(line))))


if __name__ == "__main__":
    main()
