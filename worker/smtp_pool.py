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
from worker.smtp_connection import MailConnection, MailServerAway, ServerFull, turn_loop
from worker.smtp_opening import open_connection

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
    """Is the line to one server: who waits, what is open, what is free.

    Who is called has the first right to what there is room for; whoever gives a place up calls the next.
    """

    most: int
    opened: int = 0
    opening: int = 0
    called: int = 0
    most_for_now: int = 0
    fewer_until: float = 0.0
    free: list[_Kept] = field(default_factory=list[_Kept])
    waiting: deque[asyncio.Future[bool]] = field(default_factory=deque[asyncio.Future[bool]])

    @property
    def has_room(self) -> bool:
        """Whether there is a place for one more than those who have been called."""
        most = self.most_for_now if time.monotonic() < self.fewer_until else self.most
        return len(self.free) + max(0, most - self.opened) > self.called

    def call(self) -> None:
        """Call as many as there are places for."""
        while self.waiting and self.has_room:
            future = self.waiting.popleft()
            if not future.done():
                self.called += 1
                future.set_result(True)

    def send_away(self) -> None:
        """Tell all who wait that the server is away: or each would wait for a time-out of its own."""
        waiting, self.waiting = self.waiting, deque()
        for future in waiting:
            if not future.done():
                future.set_result(False)


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
            kept.connection.kept = True
            kept.used_at = time.monotonic()
            await self._give_back(line, kept)

    async def _take(self, server: SmtpServer, line: _Line) -> _Kept:
        while True:
            if not line.has_room:
                await self._wait(line)
            elif line.free:
                kept = line.free.pop()
                if await self._is_good(line, kept):
                    return kept
                await self._drop(line, kept)
            else:
                try:
                    return await self._open(server, line)
                except ServerFull:
                    if not line.opened:
                        raise

    async def _wait(self, line: _Line) -> None:
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        line.waiting.append(future)
        try:
            is_there = await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.result():
                line.called -= 1
                line.call()
            raise
        if not is_there:
            raise MailServerAway("The mail server cannot be reached.")
        line.called -= 1

    async def _is_good(self, line: _Line, kept: _Kept) -> bool:
        try:
            return await self._looks_good(kept)
        except BaseException:
            kept.connection.close()
            await self._drop(line, kept)
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
        line.opening += 1
        try:
            connection = await open_connection(
                server, self._local_hostname, self._settings.smtp_timeout_seconds, self._tls
            )
        except BaseException as error:
            line.opened -= 1
            line.opening -= 1
            self._note_failure(line, error)
            line.call()
            raise
        line.opening -= 1
        return _Kept(connection, time.monotonic())

    def _note_failure(self, line: _Line, error: BaseException) -> None:
        if isinstance(error, ServerFull) and line.opened:
            line.most_for_now, line.fewer_until = line.opened, time.monotonic() + FEWER_FOR_SECONDS
        elif isinstance(error, MailServerAway) and line.opened == line.opening:
            line.send_away()

    async def _give_back(self, line: _Line, kept: _Kept) -> None:
        if kept.connection.is_open and kept.messages < self._settings.smtp_messages_per_connection:
            line.free.append(kept)
            line.call()
        else:
            await self._drop(line, kept)

    async def _drop(self, line: _Line, kept: _Kept) -> None:
        try:
            await kept.connection.quit()
        finally:
            # Not before it has left: the server may be counting.
            line.opened -= 1
            line.call()

    async def close(self) -> None:
        """End all connections that nobody is using."""
        unused = [(line, kept) for line in self._lines.values() for kept in line.free]
        for line in self._lines.values():
            line.free.clear()
        await asyncio.gather(*(self._drop(line, kept) for line, kept in unused))
