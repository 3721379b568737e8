"""A mail server that a test watches and holds up, step by step; what it has read counts as arrived.

A conversation's later steps are known by the recipients that it has named; before that nobody can tell.
"""

import asyncio
import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self

LOOPBACK = "127.0.0.1"
PATIENCE_SECONDS = 60.0
_ADDRESS = re.compile(rb"<([^>]*)>")
_EXTENSIONS = b"250-office\r\n250-8BITMIME\r\n250-PIPELINING\r\n250 SMTPUTF8\r\n"
_OK = "250 2.0.0 OK"


class Step(StrEnum):
    """Is where a conversation stands, before the server's answer."""

    CONNECT = "connect"
    EHLO = "ehlo"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    BODY = "body"


@dataclass(frozen=True, slots=True)
class Arrival:
    """Is a message that has come as a whole, `at` a time of the monotonic clock."""

    at: float
    sender: str
    recipients: tuple[str, ...]
    content: bytes

    @property
    def message_id(self) -> str:
        """What its header says."""
        found = re.search(rb"^Message-ID: *(\S+)\r$", self.content, re.IGNORECASE | re.MULTILINE)
        assert found, self.content
        return found[1].decode()


class Gate:
    """Holds up the first conversation that comes to a step, for one recipient if one is named."""

    def __init__(self, step: Step, recipient: str | None, loop: asyncio.AbstractEventLoop) -> None:
        self.step = step
        self.recipient = recipient
        self.taken = threading.Event()
        self._loop = loop
        self._opened = asyncio.Event()

    def wait_taken(self) -> None:
        """Wait until a conversation is held up here."""
        assert self.taken.wait(PATIENCE_SECONDS), f"nobody came to {self.step} for {self.recipient}"

    def open(self) -> None:
        """Let it go on."""
        self._loop.call_soon_threadsafe(self._opened.set)

    async def hold(self) -> None:
        """Hold whoever comes."""
        self.taken.set()
        await self._opened.wait()


@dataclass
class Talk:
    """Is one conversation."""

    sender: str = ""
    recipients: list[str] = field(default_factory=list[str])


class MailOffice:
    """Listens on a port of its own, in a thread.

    `judge` gives the reply to a recipient, told how often that has been asked for; `on_arrival` is called for each
    message before it is answered.
    """

    def __init__(self) -> None:
        self.port = 0
        self.arrivals: list[Arrival] = []
        self.answered: list[str] = []
        self.asked: dict[str, int] = defaultdict(int)
        self.judge: Callable[[str, int], str] = lambda _, __: _OK
        self.on_arrival: Callable[[int], None] = lambda _: None
        self._gates: list[Gate] = []
        self._changed = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: asyncio.Server | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_SECONDS)
        self._loop.close()

    def open(self) -> None:
        """Listen, on the same port as before."""
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(PATIENCE_SECONDS)
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Listen no more, and drop everybody."""
        asyncio.run_coroutine_threadsafe(self._drop_all(), self._loop).result(PATIENCE_SECONDS)

    def hang_up(self) -> None:
        """Drop everybody, and judge as at first; who connects again is welcome."""
        self.close()
        self.judge = lambda _, __: _OK
        self.open()

    def gate(self, step: Step, recipient: str | None = None) -> Gate:
        """Set up a gate."""
        gate = Gate(step, recipient, self._loop)
        self._gates.append(gate)
        return gate

    def clear_gates(self) -> None:
        """Let everybody through, from now on and who is held."""
        gates, self._gates = self._gates, []
        for gate in gates:
            gate.open()

    def wait(self, condition: Callable[[], bool]) -> None:
        """Wait until something holds that changes when a message comes or is answered."""
        with self._changed:
            assert self._changed.wait_for(condition, PATIENCE_SECONDS), f"{len(self.arrivals)} messages have come"

    def to(self, recipient: str) -> list[Arrival]:
        """Give what has come for a recipient."""
        return [arrival for arrival in self.arrivals if recipient in arrival.recipients]

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._converse, LOOPBACK, self.port, limit=2**20, backlog=256)

    async def _drop_all(self) -> None:
        if self._server is not None:
            self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # What is left unsaid when the other side is gone is of no interest.
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._pass(Step.CONNECT)
                writer.write(b"220 office\r\n")
                talk = Talk()
                while line := await reader.readline():
                    writer.write(await self._answer(talk, line, reader, writer))
                    await writer.drain()
                    if line[:4].upper() == b"QUIT":
                        break
        finally:
            writer.transport.abort()

    async def _answer(
        self, talk: Talk, line: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bytes:
        match line[:4].upper():
            case b"EHLO":
                await self._pass(Step.EHLO)
                return _EXTENSIONS
            case b"MAIL":
                talk.sender, talk.recipients = _address(line), []
                await self._pass(Step.MAIL)
            case b"RCPT":
                recipient = _address(line)
                await self._pass(Step.RCPT, recipient)
                return self._judge(talk, recipient)
            case b"DATA":
                return await self._take(talk, reader, writer)
            case b"QUIT":
                return b"221 2.0.0 Bye\r\n"
            case _:
                pass
        return b"250 2.0.0 OK\r\n"

    def _judge(self, talk: Talk, recipient: str) -> bytes:
        reply = self.judge(recipient, self.asked[recipient])
        self.asked[recipient] += 1
        if reply.startswith("2"):
            talk.recipients.append(recipient)
        return f"{reply}\r\n".encode()

    async def _take(self, talk: Talk, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        await self._pass(Step.DATA, *talk.recipients)
        if not talk.recipients:
            return b"554 5.5.1 No valid recipients\r\n"
        writer.write(b"354 Go ahead\r\n")
        content = await reader.readuntil(b"\r\n.\r\n")
        with self._changed:
            self.arrivals.append(Arrival(time.monotonic(), talk.sender, tuple(talk.recipients), content))
            self._changed.notify_all()
        self.on_arrival(len(self.arrivals))
        await self._pass(Step.BODY, *talk.recipients)
        with self._changed:
            self.answered += talk.recipients
            self._changed.notify_all()
        return b"250 2.0.0 Taken\r\n"

    async def _pass(self, step: Step, *recipients: str) -> None:
        for gate in self._gates:
            if gate.step == step and gate.recipient in {None, *recipients} and not gate.taken.is_set():
                await gate.hold()
                return


def _address(line: bytes) -> str:
    found = _ADDRESS.search(line)
    assert found, line
    return found[1].decode()
