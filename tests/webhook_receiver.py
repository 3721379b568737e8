"""A receiver of webhooks that a test watches: a real HTTP(S) server, whose answers are scripts of raw steps.

What it has read as a whole counts as received. Without a script it answers 204.
"""

import asyncio
import json
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

LOOPBACK = "127.0.0.1"
PATIENCE_SECONDS = 60.0
_FOREVER = 10**9


@dataclass(frozen=True, slots=True)
class Received:
    """Is a request that has come as a whole."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def envelope(self) -> dict[str, Any]:
        """What its body says."""
        return json.loads(self.body)

    @property
    def webhook_id(self) -> str:
        """The id of the message."""
        return self.headers["webhook-id"]


Script = Callable[[Received, asyncio.StreamWriter], Awaitable[None]]


def answer(status: int = 204, body: bytes = b"", **headers: str) -> Script:
    """Answer at once; an underscore in a header's name stands for a hyphen."""

    async def write(_: Received, writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status} Word", f"Content-Length: {len(body)}", "Connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        await writer.drain()

    return write


async def hang(_: Received, __: asyncio.StreamWriter) -> None:
    """Never answer."""
    await asyncio.sleep(_FOREVER)


async def close(_: Received, __: asyncio.StreamWriter) -> None:
    """Close the connection without an answer."""


def raw(parts: Callable[[], Iterable[bytes]], pause: float = 0.0) -> Script:
    """Send these bytes, with a pause after each part."""

    async def write(_: Received, writer: asyncio.StreamWriter) -> None:
        for part in parts():
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)

    return write


def endless(body_bytes: int, sent: list[int]) -> Script:
    """Answer 200 with a body of so many bytes; `sent` gets how many of them went out."""

    async def write(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {body_bytes}\r\n\r\n".encode())
        count = 0
        try:
            while count < body_bytes:
                writer.write(b"x" * 65536)
                await writer.drain()
                count += 65536
        finally:
            sent.append(count)

    return write


def dribble(start: bytes, seconds: float) -> Script:
    """Send a start and then one byte after each pause, for ever."""

    async def write(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(start)
        while True:
            await writer.drain()
            await asyncio.sleep(seconds)
            writer.write(b"x")

    return write


class WebhookReceiver:
    """Listens on a port of its own, in a thread. `script` decides on each request; `on_received` is told first."""

    def __init__(self, tls: ssl.SSLContext | None = None, host: str = LOOPBACK, port: int = 0) -> None:
        self.received: list[Received] = []
        self.script: Script = answer()
        self.on_received: Callable[[Received], None] = lambda _: None
        self.port = port
        self._host = host
        self._tls = tls
        self._changed = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: asyncio.Server | None = None
        self._talks: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_SECONDS)
        self._loop.close()

    def url(self, path: str = "/hooks", host: str | None = None) -> str:
        """Give a URL that leads here, if its host does."""
        return f"{'http' if self._tls is None else 'https'}://{host or self._host}:{self.port}{path}"

    def open(self) -> None:
        """Listen, on the same port as before."""
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(PATIENCE_SECONDS)
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Listen no more, and drop everybody."""
        asyncio.run_coroutine_threadsafe(self._drop_all(), self._loop).result(PATIENCE_SECONDS)

    def wait(self, count: int) -> list[Received]:
        """Wait until so many requests have come; gives all."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.received) >= count, PATIENCE_SECONDS), len(self.received)
            return list(self.received)

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._serve, self._host, self.port, ssl=self._tls, reuse_address=True)

    async def _drop_all(self) -> None:
        if self._server is not None:
            self._server.close()
        for talk in self._talks:
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.current_task()
        assert talk is not None
        self._talks.add(talk)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, asyncio.CancelledError):
                request = await _read(reader)
                with self._changed:
                    self.received.append(request)
                    self._changed.notify_all()
                self.on_received(request)
                await self.script(request, writer)
        finally:
            self._talks.discard(talk)
            writer.close()


async def _read(reader: asyncio.StreamReader) -> Received:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Received(head[0].split(" ")[1], headers, body)
