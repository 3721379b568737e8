"""Server-sent events: a feed as a response that lasts.

A response of our own, because each of thousands is to cost little while nothing happens: one task that waits, another
that watches for the client's going. A client that takes nothing is cut off after a while.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable

import psycopg
from fastapi import Response
from psycopg_pool import PoolTimeout
from starlette.types import Message, Receive, Scope, Send

from api.http_protocol import ABORT, WRITE, chunk_of
from api.job_feeds import Feed, Reason
from api.job_frames import Frame
from shared.settings import Settings

logger = logging.getLogger(__name__)

RETRY_MILLISECONDS = 1000
_BEGINNING = b"retry: %d\n\n" % RETRY_MILLISECONDS
_HEARTBEAT = b":\n\n"
_END = b'event: end\ndata: {"reason":"%s"}\n\n'
_CUT_SECONDS = 1.0

END_REASONS = ("token_expired", "stopping", "slow", "gone", "unavailable")
"""Why a stream ends before its job does: so says `event: end`."""

Pages = AsyncGenerator[list[Frame]]


class Stalled(Exception):
    """Is raised when a client takes nothing of what is sent."""


class EventStream(Response):
    """Tells a client what its feed gives until the one job of the feed is done, the token ends, or the server stops.

    `opened` is closed when the stream ends. `pages` are what the client is to be told of first, read as it takes them.
    Where the server ends the stream before the job's end it says why: `event: end` with `{"reason": …}`: the token has
    expired, the server stops, too much waited, the job was deleted, or what is to be told first cannot be read.
    """

    media_type = "text/event-stream"

    def __init__(
        self, settings: Settings, feed: Feed, token_ends_at: float, opened: contextlib.ExitStack, pages: Pages | None
    ) -> None:
        self.status_code = 200
        self.background = None
        self.raw_headers = [
            (b"content-type", b"text/event-stream"),
            (b"cache-control", b"no-store"),
            (b"x-accel-buffering", b"no"),
        ]
        self._heartbeat_seconds = settings.stream_heartbeat_seconds
        self._stall_seconds = settings.stream_stall_seconds
        self._feed = feed
        self._token_ends_at = asyncio.get_running_loop().time() + token_ends_at - time.time()
        self._opened = opened
        self._pages = pages
        self._abort: Callable[[], None] | None = None
        self._write_chunk: Callable[[bytes], bool] | None = None
        self._is_blocked = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, for as long as it takes."""
        extensions = scope.get("extensions", {})
        self._abort = extensions.get(ABORT, {}).get(ABORT)
        self._write_chunk = extensions.get(WRITE, {}).get(WRITE)
        self._feed.on_let_go = self._cut_if_blocked
        with self._opened:
            gone = asyncio.create_task(_wait_until_gone(receive, self._feed))
            try:
                await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                await self._tell(send)
                await self._send(send, b"", more=False)
            except Stalled:
                self._cut()
                # Whoever runs this would complain about an answer that is not complete, did it not know of the cut.
                await asyncio.wait((gone,), timeout=_CUT_SECONDS)
            finally:
                gone.cancel()

    async def _tell(self, send: Send) -> None:
        await self._send(send, _BEGINNING)
        if self._pages is not None:
            await self._tell_pages(send, self._pages)
            self._pages = None
        if self._write_chunk is not None:
            self._feed.direct = self._write_now
        now = asyncio.get_running_loop().time
        while True:
            try:
                async with asyncio.timeout_at(min(now() + self._heartbeat_seconds, self._token_ends_at)):
                    frames = await self._feed.take()
            except TimeoutError:
                if now() >= self._token_ends_at:
                    await self._send(send, _END % b"token_expired")
                    return
                await self._send(send, _HEARTBEAT)
                continue
            if not frames:
                break
            done = self._feed.only is not None and frames[-1].done
            await self._send(send, self._write(frames))
            if done:
                return
            # While nothing happens nobody needs these any more.
            del frames
        if self._feed.reason not in {"disconnected", "told"}:
            await self._send(send, _END % str(self._feed.reason).encode())

    async def _tell_pages(self, send: Send, pages: Pages) -> None:
        try:
            async with contextlib.aclosing(pages):
                async for page in pages:
                    for frame in page:
                        self._feed.put(frame)
                    if frames := self._feed.take_waiting():
                        await self._send(send, self._write(frames))
        except (psycopg.Error, PoolTimeout) as error:
            logger.warning("a stream's first jobs cannot be read: %s", type(error).__name__)
            self._feed.let_go("unavailable")

    def _write(self, frames: Iterable[Frame]) -> bytes:
        return b"".join(map(_event if self._feed.only is None else _event_with_id, frames))

    def _write_now(self, frame: Frame) -> bool:
        chunk = frame.written(_chunk if self._feed.only is None else _chunk_with_id)
        return not self._is_blocked and self._write_chunk is not None and self._write_chunk(chunk)

    async def _send(self, send: Callable[[Message], Awaitable[None]], body: bytes, *, more: bool = True) -> None:
        self._is_blocked = True
        try:
            async with asyncio.timeout(self._stall_seconds):
                await send({"type": "http.response.body", "body": body, "more_body": more})
        except TimeoutError:
            raise Stalled from None
        finally:
            self._is_blocked = False

    def _cut_if_blocked(self, reason: Reason) -> None:
        # A stop must not wait for a client that takes nothing, and for whom too much waits takes nothing either.
        if self._is_blocked and reason not in {"disconnected", "told"}:
            self._cut()

    def _cut(self) -> None:
        if self._abort is not None:
            self._abort()


def _event(frame: Frame) -> bytes:
    return b"event: job\ndata: %b\n\n" % frame.json


def _event_with_id(frame: Frame) -> bytes:
    return b"event: job\nid: %d\ndata: %b\n\n" % (frame.version, frame.json)


def _chunk(frame: Frame) -> bytes:
    return chunk_of(_event(frame))


def _chunk_with_id(frame: Frame) -> bytes:
    return chunk_of(_event_with_id(frame))


async def _wait_until_gone(receive: Receive, feed: Feed) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    feed.let_go("disconnected")
