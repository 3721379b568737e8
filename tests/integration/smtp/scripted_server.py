"""A mail server that a test scripts byte by byte: what it says at each step, when it hangs up, what it has read."""

import asyncio
import socket
import ssl
import threading
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self, cast

PATIENCE_SECONDS = 20.0
DROP = b"<drop>"
STALL = b"<stall>"
OK = b"250 2.0.0 OK\r\n"
CLOSING = b"421 4.3.2 Shutting down\r\n"
_USUAL = {"connect": b"220 mail.example.com\r\n", "data": b"354 Go ahead\r\n", "quit": b"221 2.0.0 Bye\r\n"}
_END = b"\r\n.\r\n"
_SMALL_BUFFER = 64 * 1024


@dataclass
class Talk:
    """Is one conversation: its commands without their line ends, and its messages as they came, with their last dot."""

    lines: list[bytes] = field(default_factory=list[bytes])
    messages: list[bytes] = field(default_factory=list[bytes])


@dataclass
class ScriptedServer:
    """Listens on a free port in a thread.

    `script` has the answers by step (connect, ehlo, mail, rcpt, data, dot, rset, noop, quit), used up in order; when
    none is left, the usual one is given. `DROP` hangs up and `STALL` says nothing. `most` conversations are had at a
    time, the next is greeted with 421. `body_bytes` is how much of a message is read before hanging up;
    one that does not read on reads nothing of it, and waits.
    `before_dot` is called in a thread before a message is answered.
    """

    script: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict[str, list[bytes]](list))
    extensions: tuple[bytes, ...] = (b"8BITMIME", b"SMTPUTF8", b"SIZE 100000000")
    most: int = 1000
    body_bytes: int | None = None
    reads_on: bool = True
    before_dot: Callable[[], None] | None = None
    tls: ssl.SSLContext | None = None
    talks: list[Talk] = field(default_factory=list[Talk])
    now: int = 0
    most_at_once: int = 0
    turned_away: int = 0
    stalled: int = 0
    port: int = 0

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._changed = threading.Condition()
        # One that nothing else refers to would be collected together with those who wait for it.
        self._never = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(PATIENCE_SECONDS)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_SECONDS)
        self._loop.close()

    @property
    def lines(self) -> list[bytes]:
        """All commands of all conversations."""
        return [line for talk in self.talks for line in talk.lines]

    @property
    def messages(self) -> list[bytes]:
        """All messages of all conversations."""
        return [message for talk in self.talks for message in talk.messages]

    def close(self) -> None:
        """Listen no more, and hang up."""
        self._loop.call_soon_threadsafe(self._server.close)
        self.hang_up()

    def hang_up(self) -> None:
        """End all conversations."""
        asyncio.run_coroutine_threadsafe(self._end_all(), self._loop).result(PATIENCE_SECONDS)

    def wait(self, condition: Callable[[], bool]) -> None:
        """Wait until something holds that changes with a conversation's begin or end, or with a command."""
        with self._changed:
            assert self._changed.wait_for(condition, PATIENCE_SECONDS), self.lines

    async def _listen(self) -> asyncio.Server:
        listening = socket.create_server(("127.0.0.1", 0), backlog=256)
        # A message of some megabytes must not fit into what lies between us and its sender.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BUFFER)
        return await asyncio.start_server(self._converse, sock=listening, limit=_SMALL_BUFFER, ssl=self.tls)

    async def _end_all(self) -> None:
        others = asyncio.all_tasks() - {cast("asyncio.Task[None]", asyncio.current_task())}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        # What was closed is only closed in the loop's next turns.
        for _ in range(5):
            await asyncio.sleep(0)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = Talk()
        self._note(1)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                if self.now > self.most:
                    self.turned_away += 1
                    writer.write(b"421 4.7.0 Too many connections\r\n")
                else:
                    self.talks.append(talk)
                    await self._talk(talk, reader, writer)
        finally:
            writer.close()
            self._note(-1)

    async def _talk(self, talk: Talk, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        step = "connect"
        while (said := await self._say(step, writer)) != DROP and step != "quit":
            if step == "data" and said.startswith(b"354"):
                await self._take(talk, reader)
                step = "dot"
            else:
                line = await reader.readuntil(b"\r\n")
                talk.lines.append(line.removesuffix(b"\r\n"))
                step = line[:4].strip().decode().lower()
                self._note(0)

    async def _say(self, step: str, writer: asyncio.StreamWriter) -> bytes:
        usual = _USUAL.get(step, OK) if step != "ehlo" else self._hello()
        answer = self.script[step].pop(0) if self.script[step] else usual
        if answer == STALL:
            self.stalled += 1
            self._note(0)
            await self._never.wait()
        if answer != DROP:
            writer.write(answer)
            await writer.drain()
        return answer

    def _hello(self) -> bytes:
        lines = [b"mail.example.com", *self.extensions]
        return b"".join(b"250-%s\r\n" % line for line in lines[:-1]) + b"250 %s\r\n" % lines[-1]

    async def _take(self, talk: Talk, reader: asyncio.StreamReader) -> None:
        if self.body_bytes is not None:
            await reader.readexactly(self.body_bytes)
            raise ConnectionAbortedError
        if not self.reads_on:
            await self._never.wait()
        message = b"\r\n"
        while not message.endswith(_END):
            read = await reader.read(_SMALL_BUFFER)
            if not read:
                raise ConnectionAbortedError
            message += read
        talk.messages.append(message.removeprefix(b"\r\n"))
        self._note(0)
        if self.before_dot is not None:
            await asyncio.to_thread(self.before_dot)

    def _note(self, change: int) -> None:
        with self._changed:
            self.now += change
            self.most_at_once = max(self.most_at_once, self.now)
            self._changed.notify_all()
