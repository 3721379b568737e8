"""Connections that are kept: a few to each server, used one after the other, and given up before they go stale.

A worker process has one pool, in its one event loop. The loop stands still between two jobs, so a connection may have
been closed by its server without anybody having noticed.
"""

import asyncio
import ssl
import time
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from shared.mail_address import parse_mailbox
from shared.mail_settings import SmtpServer
from shared.settings import Settings
from worker.smtp_connection import MailConnection, MailServerAway, ServerFull, open_connection, turn_loop

ASK_AFTER_SECONDS = 5.0
"""How long a connection may have been idle and still be believed without asking."""
FEWER_FOR_SECONDS = 60.0
"""How long a server that turned a connection away is asked for no more than it let us have."""


@dataclass(slots=True)
class _Kept:
    connection: MailConnection
    used_at: float
    messages: int = 0


@dataclass(slots=True)
class _Line:
    """Is the line to one server: who waits, what is open, what is free."""

    most: int
    opened: int = 0
    most_for_now: int = 0
    fewer_until: float = 0.0
    failures: int = 0
    free: list[_Kept] = field(default_factory=list[_Kept])
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque[asyncio.Future[None]])

    @property
    def has_room(self) -> bool:
        most = self.most_for_now if time.monotonic() < self.fewer_until else self.most
        return bool(self.free) or self.opened < most

    def call_next(self) -> None:
        while self.waiting:
            future = self.waiting.popleft()
            if not future.done():
                future.set_result(None)
                return

    def call_all(self) -> None:
        waiting, self.waiting = self.waiting, deque()
        for future in waiting:
            if not future.done():
                future.set_result(None)


class SmtpPool:
    """Lends connections; each server has its own line, so that a slow one holds nobody else up."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lines: dict[SmtpServer, _Line] = {}
        self._tls = ssl.create_default_context()
        self._local_hostname = parse_mailbox(settings.mail_from).wire.rpartition("@")[2]

    @asynccontextmanager
    async def connection(self, server: SmtpServer) -> AsyncGenerator[MailConnection]:
        """Lend a connection for one message, first come, first served.

        Raises `MailServerAway` when none can be had. If a server takes fewer than the settings allow, those that are
        open are waited for.
        """
        line = self._lines.setdefault(server, _Line(self._settings.smtp_connections))
        kept = await self._take(server, line)
        try:
            yield kept.connection
        except BaseException:
            kept.connection.close()
            raise
        finally:
            kept.messages += 1
            kept.used_at = time.monotonic()
            await self._give_back(line, kept)

    async def _take(self, server: SmtpServer, line: _Line) -> _Kept:
        failures = line.failures
        while True:
            while not line.has_room:
                await self._wait(line)
                # One attempt that failed speaks for all who waited for it, or each would wait for its own time-out.
                if line.failures != failures and not line.opened:
                    raise MailServerAway("The mail server cannot be reached.")
            while line.free:
                kept = line.free.pop()
                if await self._is_good(line, kept):
                    return kept
                await self._drop(line, kept)
            try:
                return await self._open(server, line)
            except ServerFull:
                if not line.opened:
                    raise
                line.most_for_now, line.fewer_until = line.opened, time.monotonic() + FEWER_FOR_SECONDS

    async def _wait(self, line: _Line) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        line.waiting.append(future)
        try:
            await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                line.call_next()
            raise

    async def _is_good(self, line: _Line, kept: _Kept) -> bool:
        try:
            return await self._looks_good(kept)
        except BaseException:
            line.opened -= 1
            kept.connection.close()
            line.call_next()
            raise

    async def _looks_good(self, kept: _Kept) -> bool:
        idle = time.monotonic() - kept.used_at
        if idle >= self._settings.smtp_idle_seconds:
            return False
        await turn_loop()
        if not kept.connection.is_open:
            return False
        return idle < ASK_AFTER_SECONDS or await kept.connection.is_alive()

    async def _open(self, server: SmtpServer, line: _Line) -> _Kept:
        line.opened += 1
        try:
            connection = await open_connection(
                server, self._local_hostname, self._settings.smtp_timeout_seconds, self._tls
            )
        except BaseException:
            line.opened -= 1
            line.failures += 1
            if line.opened:
                line.call_next()
            else:
                line.call_all()
            raise
        return _Kept(connection, time.monotonic())

    async def _give_back(self, line: _Line, kept: _Kept) -> None:
        if kept.connection.is_open and kept.messages < self._settings.smtp_messages_per_connection:
            line.free.append(kept)
            line.call_next()
        else:
            await self._drop(line, kept)

    async def _drop(self, line: _Line, kept: _Kept) -> None:
        line.opened -= 1
        try:
            await kept.connection.quit()
        finally:
            line.call_next()

    async def close(self) -> None:
        """End all connections that nobody is using."""
        for line in self._lines.values():
            while line.free:
                await self._drop(line, line.free.pop())
