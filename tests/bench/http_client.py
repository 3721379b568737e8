"""A minimal HTTP/1.1 client: keep-alive, no pipelining, `Content-Length` only. It costs the generator little."""

import asyncio
import re
from collections.abc import Callable
from typing import NamedTuple, cast

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_BODILESS = frozenset({204, 304})


class Answer(NamedTuple):
    """Is a response."""

    status: int
    body: bytes


class Connection(asyncio.Protocol):
    """Sends one request at a time and hands each answer to `on_answer`, or to whoever awaits `ask`."""

    def __init__(self) -> None:
        self.on_answer: Callable[[Answer], None] | None = None
        self._received = b""
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[Answer] | None = None
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclass of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def send(self, request: bytes) -> None:
        if self._transport is None:
            raise ConnectionError("not connected")
        self._transport.write(request)

    async def ask(self, request: bytes) -> Answer:
        self._waiter = asyncio.get_running_loop().create_future()
        self.send(request)
        return await self._waiter

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        received = self._received = self._received + data
        head_end = received.find(b"\r\n\r\n")
        if head_end < 0:
            return
        status = int(received[9:12])
        end = head_end + 4
        if status not in _BODILESS:
            length = _LENGTH.search(received, 0, head_end)
            if length is None:
                raise ValueError(f"no Content-Length: {received[:head_end]!r}")
            end += int(length[1])
        if len(received) >= end:
            self._received = b""
            self._deliver(Answer(status, received[head_end + 4 : end]))

    def connection_lost(self, exc: Exception | None) -> None:
        error = exc or ConnectionResetError("the server closed the connection")
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)
        if not self.lost.done():
            self.lost.set_result(None)

    def _deliver(self, answer: Answer) -> None:
        if self._waiter is not None:
            waiter, self._waiter = self._waiter, None
            waiter.set_result(answer)
        elif self.on_answer is not None:
            self.on_answer(answer)


async def connect(host: str, port: int) -> Connection:
    """Open a connection."""
    _, connection = await asyncio.get_running_loop().create_connection(Connection, host, port)
    return connection


def request_bytes(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    """Write a request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: bench", *(f"{name}: {value}" for name, value in headers.items())]
    if method == "POST":
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body
