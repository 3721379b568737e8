"""The ways to learn of a job's end, each as a connection that costs the generator as little as it can."""

import asyncio
import base64
import json
import os
import random
import struct
import time
from collections.abc import Callable
from typing import Any, ClassVar, cast

from tests.bench.http_client import request_bytes
from tests.bench.orders import Watch

_DONE = b'"done":true'
_NOT_DONE = b'"done":false'
_MASK = b"\x00\x00\x00\x00"
_TEXT_FRAME, _MASKED, _LENGTH_OF_TWO_BYTES = 0x81, 0x80, 126


class Waiter(asyncio.Protocol):
    """Waits for one job's end on one connection. `told_at` is when its bytes came, in ns of the machine's clock."""

    def __init__(self, order: Watch) -> None:
        loop = asyncio.get_running_loop()
        self.order = order
        self.requests = 0
        self.told_at = 0
        self.ready: asyncio.Future[None] = loop.create_future()
        self.told: asyncio.Future[None] = loop.create_future()
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclass of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self.begin()

    def begin(self) -> None:
        """Ask."""
        raise NotImplementedError

    def take(self, received: bytes) -> None:
        """Look at what has come since the last request."""
        raise NotImplementedError

    def send(self, request: bytes) -> None:
        """Send a request, or part of a conversation."""
        if self._transport is None:
            raise ConnectionError("not connected")
        self._received = b""
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self.told_at:
            self.take(self._received)

    def note_ready(self) -> None:
        """Note that the server has this waiter."""
        if not self.ready.done():
            self.ready.set_result(None)

    def note_told(self) -> None:
        """Note that the end has come."""
        self.told_at = time.time_ns()
        self.told.set_result(None)

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        error = exc or ConnectionResetError(f"closed by the server: {self._received[:300]!r}")
        for future in (self.ready, self.told):
            if not future.done():
                future.set_exception(error)
                # Whoever has stopped waiting for it must not be told of it.
                future.exception()

    def get(self, path: str, **headers: str) -> bytes:
        """Write a GET as the job's owner."""
        return request_bytes("GET", path, self.order.headers | headers)


class ServerSentEvents(Waiter):
    """Is a reader of the job's stream."""

    def begin(self) -> None:
        self.requests += 1
        self.send(self.get(f"/v1/jobs/{self.order.job_id}/events"))

    def take(self, received: bytes) -> None:
        if _DONE in received:
            self.note_told()
        elif _NOT_DONE in received:
            self.note_ready()


class WebSocketReader(Waiter):
    """Is a WebSocket that is subscribed to the job."""

    def begin(self) -> None:
        self.requests += 1
        key = base64.b64encode(os.urandom(16)).decode()
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
        self.send(self.get("/v1/ws", **upgrade, **{"Sec-WebSocket-Key": key}))

    def take(self, received: bytes) -> None:
        if _DONE in received:
            self.note_told()
        elif _NOT_DONE in received:
            self.note_ready()
        elif b'"ready"' in received:
            self.send(_text_frame({"action": "subscribe", "jobs": [self.order.job_id]}))


class LongPoll(Waiter):
    """Asks with `Prefer: wait`, and asks again where that was not long enough."""

    def begin(self) -> None:
        self.requests += 1
        self.send(self.get(f"/v1/jobs/{self.order.job_id}", Prefer="wait=30"))
        self.note_ready()

    def take(self, received: bytes) -> None:
        if _DONE in received:
            self.note_told()
        elif _NOT_DONE in received:
            self.begin()


class Polling(Waiter):
    """Asks once a second, the first time at a moment of chance."""

    seconds: ClassVar[float] = 1.0

    def begin(self) -> None:
        self.note_ready()
        delay = random.uniform(0, self.seconds)  # noqa: S311 - spreads the polls, guards nothing
        asyncio.get_running_loop().call_later(delay, self._ask)

    def _ask(self) -> None:
        self.requests += 1
        self.send(self.get(f"/v1/jobs/{self.order.job_id}"))

    def take(self, received: bytes) -> None:
        if _DONE in received:
            self.note_told()
        elif _NOT_DONE in received:
            asyncio.get_running_loop().call_later(self.seconds, self._ask)


WAYS: dict[str, Callable[[Watch], Waiter]] = {
    "SSE": ServerSentEvents,
    "WebSocket": WebSocketReader,
    "long-poll": LongPoll,
    "polling": Polling,
}
"""How each way is called in the tables."""


def _text_frame(message: Any) -> bytes:
    content = json.dumps(message).encode()
    # The mask of zeros leaves the content as it is; between 126 and 65,535 bytes the length takes two more.
    if len(content) < _LENGTH_OF_TWO_BYTES:
        head = bytes([_TEXT_FRAME, _MASKED | len(content)])
    else:
        head = bytes([_TEXT_FRAME, _MASKED | _LENGTH_OF_TWO_BYTES]) + struct.pack("!H", len(content))
    return head + _MASK + content
