"""The load generator, a process of its own: `python -m tests.bench.generator` reads orders and answers outcomes."""

import asyncio
import gc
import itertools
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import uvloop

from tests.bench.http_client import Answer, Connection, connect, request_bytes
from tests.bench.orders import Dialect, Order, Outcome, Storm, Submissions, Trickle

HOST = "127.0.0.1"
GIVE_UP_SECONDS = 30.0


class UnexpectedAnswer(Exception):
    """Says that a contender did not do what was asked, so that nothing it did counts."""


async def run_storm(order: Storm) -> list[float]:
    """Storm a front; gives the latencies in milliseconds."""
    connections = [await connect(HOST, order.port) for _ in range(order.concurrency)]
    requests = itertools.cycle([request.encode() for request in order.requests])
    latencies: list[float] = []
    deadline = time.perf_counter() + (order.seconds or GIVE_UP_SECONDS)
    left = iter(range(order.count)) if order.count is not None else itertools.count()
    try:
        flights = [_fly(connection, requests, left, deadline, order, latencies) for connection in connections]
        await asyncio.gather(*flights)
    finally:
        for connection in connections:
            connection.close()
    return latencies


def _fly(
    connection: Connection,
    requests: Iterator[bytes],
    left: Iterator[int],
    deadline: float,
    order: Storm,
    latencies: list[float],
) -> asyncio.Future[None]:
    landed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    clock, expected = time.perf_counter, order.expected_status
    sent = 0.0

    def send_next() -> None:
        nonlocal sent
        sent = clock()
        if sent >= deadline or next(left, None) is None:
            landed.set_result(None)
        else:
            connection.send(next(requests))

    def take(answer: Answer) -> None:
        if answer.status != expected:
            if not landed.done():
                landed.set_exception(UnexpectedAnswer(f"{answer.status} {answer.body[:300]!r}"))
            return
        latencies.append((clock() - sent) * 1000)
        send_next()

    connection.on_answer = take
    send_next()
    return landed


async def run_trickle(order: Trickle) -> list[float]:
    """Send at a pace; gives the latencies in milliseconds."""
    connection = await connect(HOST, order.port)
    latencies: list[float] = []
    start = time.perf_counter()
    try:
        for number in range(order.count):
            await asyncio.sleep(start + number / order.per_second - time.perf_counter())
            sent = time.perf_counter()
            answer = await connection.ask(order.request.encode())
            if answer.status != order.expected_status:
                raise UnexpectedAnswer(f"{answer.status} {answer.body[:300]!r}")
            latencies.append((time.perf_counter() - sent) * 1000)
    finally:
        connection.close()
    return latencies


async def run_submissions(order: Submissions, job_ids: list[str]) -> list[float]:
    """See jobs through and note their ids; gives the milliseconds from submit to done."""
    connection = await connect(HOST, order.port)
    latencies: list[float] = []
    try:
        for _ in range(order.count):
            sent = time.perf_counter()
            async with asyncio.timeout(GIVE_UP_SECONDS):
                job_ids.append(await _see_through(connection, order))
            latencies.append((time.perf_counter() - sent) * 1000)
            await asyncio.sleep(order.gap_seconds)
    finally:
        connection.close()
    return latencies


async def _see_through(connection: Connection, order: Submissions) -> str:
    answer = await connection.ask(order.submit.encode())
    job_id: str = _read(answer)[order.dialect.id_field]
    ask = request_bytes("GET", order.dialect.status_path.format(job_id), order.status_headers)
    if order.poll_seconds is None and _is_done(answer, order.dialect):
        return job_id
    while True:
        if _is_done(await connection.ask(ask), order.dialect):
            return job_id
        await asyncio.sleep(order.poll_seconds or 0.0)


def _is_done(answer: Answer, dialect: Dialect) -> bool:
    state = _read(answer)[dialect.state_field]
    if state not in (dialect.succeeded, *dialect.unfinished):
        raise UnexpectedAnswer(f"{answer.status} {answer.body[:300]!r}")
    return state == dialect.succeeded


def _read(answer: Answer) -> dict[str, Any]:
    if answer.status not in {200, 202}:
        raise UnexpectedAnswer(f"{answer.status} {answer.body[:300]!r}")
    return json.loads(answer.body)


async def carry_out(order: Order) -> Outcome:
    """Carry an order out; an error is part of the outcome."""
    gc.collect()
    gc.freeze()
    started, busy = time.perf_counter(), time.process_time()
    latencies: list[float] = []
    job_ids: list[str] = []
    error = None
    try:
        match order:
            case Storm():
                latencies = await run_storm(order)
            case Trickle():
                latencies = await run_trickle(order)
            case Submissions():
                latencies = await run_submissions(order, job_ids)
    except (UnexpectedAnswer, OSError, TimeoutError, ValueError, KeyError) as raised:
        error = f"{type(raised).__name__}: {raised}"
    elapsed = time.perf_counter() - started
    return Outcome(
        elapsed_seconds=elapsed,
        generator_share=(time.process_time() - busy) / elapsed,
        latencies=latencies,
        job_ids=job_ids,
        error=error,
    )


def decode_order(line: str) -> Order:
    """Read an order."""
    name, fields = json.loads(line)
    match name:
        case "Storm":
            return Storm(**fields)
        case "Trickle":
            return Trickle(**fields)
        case _:
            return Submissions(**(fields | {"dialect": Dialect(**fields["dialect"])}))


def main() -> None:
    """Carry out orders until standard input ends."""
    gc.disable()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for line in sys.stdin:
            outcome = runner.run(carry_out(decode_order(line)))
            print(json.dumps(asdict(outcome)), flush=True)


if __name__ == "__main__":
    main()
