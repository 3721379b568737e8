"""A real SMTP server whose answers a test decides."""

import asyncio
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any, cast

from aiosmtpd.smtp import SMTP, Envelope, Session

OK = "250 OK"
DROP = "drop"
STALL = "stall"


@dataclass(frozen=True, slots=True)
class Delivered:
    """Is a message that reached the server, accepted or not."""

    sender: str
    recipients: list[str]
    content: bytes
    mail_options: list[str]

    @property
    def message(self) -> EmailMessage:
        """The message as the standard library reads it."""
        return message_from_bytes(self.content, policy=default)


@dataclass
class MailServer:
    """Listens on a free port in a thread. Replies are used up in order; when none is left, it is 250 or `OK`.

    `DROP` closes the connection instead of answering, `STALL` never answers.
    """

    options: dict[str, Any] = field(default_factory=dict[str, Any])
    implicit_tls: ssl.SSLContext | None = None
    rcpt_replies: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    mail_replies: list[str] = field(default_factory=list[str])
    data_replies: list[str] = field(default_factory=list[str])
    before_rcpt: Callable[[], None] | None = None
    before_data_reply: Callable[[], None] | None = None
    asked: list[str] = field(default_factory=list[str])
    delivered: list[Delivered] = field(default_factory=list[Delivered])
    port: int = 0
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _connections: list[SMTP] = field(default_factory=list[SMTP])
    _thread: threading.Thread | None = None
    _server: asyncio.Server | None = None

    def start(self) -> None:
        """Listen."""
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _listen(self) -> asyncio.Server:
        def connection() -> SMTP:
            options: dict[str, Any] = {"enable_SMTPUTF8": True, **self.options}
            made = SMTP(self, loop=self._loop, hostname="mail.example.com", **options)
            self._connections.append(made)
            return made

        return await self._loop.create_server(connection, "127.0.0.1", 0, ssl=self.implicit_tls)

    def stop(self) -> None:
        """Stop listening and drop every connection."""
        if self._thread is not None and self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)
            self._loop.close()

    def hang_up(self) -> None:
        """Close every connection, and go on listening."""
        asyncio.run_coroutine_threadsafe(self._hang_up(), self._loop).result(10)

    @property
    def accepted(self) -> int:
        """How many connections there have been."""
        return len(self._connections)

    async def _hang_up(self) -> None:
        for connection in self._connections:
            if connection.transport is not None:
                cast("asyncio.Transport", connection.transport).close()
        # They are only closed in the loop's next turns.
        for _ in range(5):
            await asyncio.sleep(0)

    async def _end(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._hang_up()
        for connection in self._connections:
            # One over TLS waits for the other side's goodbye.
            if connection.transport is not None:
                cast("asyncio.Transport", connection.transport).abort()
        others = asyncio.all_tasks() - {cast("asyncio.Task[Any]", asyncio.current_task())}
        for task in others:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*others, return_exceptions=True)

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's names
        self, server: SMTP, _: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Answer MAIL FROM."""
        reply = self.mail_replies.pop(0) if self.mail_replies else OK
        if reply == OK:
            envelope.mail_from = address
            envelope.mail_options.extend(options)
        return await self._answer(server, reply)

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, _: Session, envelope: Envelope, address: str, __: list[str]
    ) -> str:
        """Answer RCPT TO."""
        self.asked.append(address)
        if self.before_rcpt is not None:
            await asyncio.to_thread(self.before_rcpt)
        replies = self.rcpt_replies.get(address)
        reply = replies.pop(0) if replies else OK
        if reply == OK:
            envelope.rcpt_tos.append(address)
        return await self._answer(server, reply)

    async def handle_DATA(self, server: SMTP, _: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """Keep the message and answer."""
        self.delivered.append(
            Delivered(
                str(envelope.mail_from),
                [str(address) for address in envelope.rcpt_tos],
                cast("bytes", envelope.content),
                [str(option) for option in envelope.mail_options],
            )
        )
        if self.before_data_reply is not None:
            await asyncio.to_thread(self.before_data_reply)
        return await self._answer(server, self.data_replies.pop(0) if self.data_replies else OK)

    async def _answer(self, server: SMTP, reply: str) -> str:
        if reply == STALL:
            await asyncio.Event().wait()
        if reply == DROP:
            cast("asyncio.Transport", server.transport).abort()
        return reply
