"""One connection to a mail server: naming, handing over, and knowing exactly how far it came.

What breaks off before the end of DATA has been written to the socket was not sent (`MailServerAway`); what breaks off
after it may have been (`OutcomeUnknown`). So the end is written by itself, once all before it has left this process.
"""

import asyncio
import logging
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress

import aiosmtplib
from aiosmtplib import (
    SMTPException,
    SMTPRecipientRefused,
    SMTPResponse,
    SMTPResponseException,
    SMTPSenderRefused,
)
from aiosmtplib.protocol import PERIOD_REGEX, SMTPProtocol, normalize_message_line_endings

from shared.errors import JobyardError
from shared.mail_address import Mailbox
from worker.smtp_replies import NEEDS_SMTPUTF8, Reply, is_answer, read_reply

logger = logging.getLogger(__name__)

_GO_ON = 354
_QUIT_SECONDS = 2.0
_ASK_SECONDS = 5.0
_PIECE = 256 * 1024
_BODY_SECONDS = 240.0
"""How long a message may take on its way to the server: the job's time limit must not cut it."""
_END = b".\r\n"


class MailServerAway(JobyardError):
    """Is raised when a conversation could not be had or broke off: the message was certainly not taken."""

    status = 503
    code = "mail_server_away"
    title = "Mail server away"


class ServerFull(MailServerAway):
    """Is raised when a server turned a connection away, for now: it may have as many of ours as it takes.

    `answered` says that it did so in words, and so is there.
    """

    answered = False


class OutcomeUnknown(Exception):
    """Is raised when a conversation broke off after the end of the message was sent: it may have been taken."""


class MailConnection:
    """Is a conversation with a server; of no more use once a step has raised (`broken`)."""

    def __init__(self, client: aiosmtplib.SMTP, step_seconds: float) -> None:
        self.broken = False
        self.kept = False
        self._heard = False
        self.smtputf8 = client.supports_extension("smtputf8")
        self._client = client
        self._step_seconds = step_seconds

    @property
    def was_stale(self) -> bool:
        """Whether it was kept from an earlier message and has not said a word to this one: another may do better."""
        return self.kept and not self._heard

    @property
    def is_open(self) -> bool:
        """Whether nothing is known to be wrong with it; the server may have closed it without our knowing yet."""
        return not self.broken and self._client.is_connected

    async def offer(self, sender: Mailbox, recipients: Sequence[Mailbox], size: int, *, utf8: bool) -> list[Reply]:
        """Name the sender and the recipients of a message; gives a reply for each recipient.

        `size` is the message's in bytes; `utf8` says that its headers hold addresses which need SMTPUTF8.
        Raises `MailServerAway`.
        """
        options = [f"SIZE={size}"] if self._client.supports_extension("size") else []
        if utf8 and self.smtputf8:
            options.append("SMTPUTF8")
        elif sender.needs_smtputf8:
            return [NEEDS_SMTPUTF8] * len(recipients)
        self._heard = False
        with self._talking():
            try:
                await self._client.mail(sender.wire, options=options, encoding="utf-8")
            except SMTPSenderRefused as refusal:
                reply = read_reply(_answer(refusal))
                self._heard = True
                if not reply.accepted:
                    return [reply] * len(recipients)
            self._heard = True
            self._require_order()
            return [await self._name(recipient) for recipient in recipients]

    async def _name(self, recipient: Mailbox) -> Reply:
        if recipient.needs_smtputf8 and not self.smtputf8:
            return NEEDS_SMTPUTF8
        try:
            answer = await self._client.rcpt(recipient.wire, encoding="utf-8")
        except SMTPRecipientRefused as refusal:
            answer = _answer(refusal)
        self._require_order()
        return read_reply(answer, about_address=True)

    async def transmit(self, content: bytes) -> Reply:
        """Hand over the message that was offered; the reply holds for all recipients that were accepted.

        Raises `MailServerAway`, `OutcomeUnknown`.
        """
        with self._talking():
            begun = await self._client.execute_command(b"DATA")
            self._require_order()
            if begun.code != _GO_ON:
                return await self._turned_down(begun)
            protocol = self._protocol()
            await self._write(protocol, PERIOD_REGEX.sub(b"..", normalize_message_line_endings(content)))
            protocol.write(_END)
        try:
            answer = await protocol.read_response(timeout=self._step_seconds)
        except (SMTPException, OSError) as error:
            self._break(error)
            raise OutcomeUnknown from error
        except BaseException:
            self.broken = True
            raise
        if not 200 <= answer.code < 600 or 300 <= answer.code < 400:  # noqa: PLR2004 - RFC 5321, 4.2.1
            self.broken = True
            raise OutcomeUnknown
        self.broken = not is_answer(answer.code) or bool(_unread(protocol))
        return read_reply(answer)

    async def _turned_down(self, begun: SMTPResponse) -> Reply:
        refusal = SMTPResponseException(begun.code, begun.message)
        reply = read_reply(_answer(refusal))
        if reply.accepted:
            # Nothing was handed over that could have been taken.
            raise refusal
        # Sender and recipients still stand: another MAIL would be refused.
        with suppress(MailServerAway):
            await self.reset()
        return reply

    def _require_order(self) -> None:
        """Break off when the server has answered what it was not asked: its next answers would be taken for others."""
        if self._client.protocol is not None and _unread(self._client.protocol):
            raise SMTPException("the server answered without being asked")

    async def _write(self, protocol: SMTPProtocol, body: bytes) -> None:
        """Write the message and wait until all of it has left this process."""
        transport = protocol.transport
        if not isinstance(transport, asyncio.WriteTransport):
            raise aiosmtplib.SMTPServerDisconnected("Connection lost")
        # asyncio's TLS pauses at its mark, plain connections beyond it.
        transport.set_write_buffer_limits(high=1 if transport.get_extra_info("sslcontext") else 0, low=0)
        ends = asyncio.get_running_loop().time() + max(_BODY_SECONDS, self._step_seconds)
        for start in range(0, len(body), _PIECE):
            protocol.write(body[start : start + _PIECE])
            left = ends - asyncio.get_running_loop().time()
            async with asyncio.timeout(min(self._step_seconds, left)):
                # What StreamWriter.drain() calls; a StreamWriter of ours would close the transport when collected.
                await protocol._drain_helper()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - see above
        await turn_loop()
        if not protocol.is_connected:
            raise aiosmtplib.SMTPServerDisconnected("Connection lost")

    def _protocol(self) -> SMTPProtocol:
        if self._client.protocol is None:
            raise aiosmtplib.SMTPServerDisconnected("Connection lost")
        return self._client.protocol

    async def reset(self) -> None:
        """Take back an offer; raises `MailServerAway`."""
        with self._talking():
            await self._client.rset()

    async def is_alive(self) -> bool:
        """Ask the server whether it is still there."""
        try:
            with self._talking():
                await self._client.noop(timeout=_ASK_SECONDS)
        except MailServerAway:
            return False
        return True

    async def quit(self) -> None:
        """End the conversation, politely if that is quick."""
        try:
            if self.is_open:
                with suppress(SMTPException, OSError):
                    await self._client.quit(timeout=_QUIT_SECONDS)
        finally:
            self.close()

    def close(self) -> None:
        """Close the connection as it is."""
        self.broken = True
        # Not close(): that waits for the server to read what is still to be written.
        if isinstance(self._client.transport, asyncio.WriteTransport):
            self._client.transport.abort()
        self._client.close()

    @contextmanager
    def _talking(self) -> Generator[None]:
        try:
            yield
        except (SMTPException, OSError) as error:
            self._break(error)
            raise MailServerAway(f"The mail server did not take the message ({type(error).__name__}).") from error
        except BaseException:
            self.broken = True
            raise

    def _break(self, error: BaseException) -> None:
        self.broken = True
        # The text may name hosts and certificates: for operators alone.
        logger.warning("a mail server broke off: %s: %s", type(error).__name__, error)


def _answer(refusal: SMTPResponseException) -> SMTPResponseException:
    """Give a refusal; one that ends the conversation, or that is none of SMTP, is raised on."""
    if not is_answer(refusal.code):
        raise refusal
    return refusal


def _unread(protocol: SMTPProtocol) -> bytes:
    # aiosmtplib drops what comes between two commands, but not what came together with an answer.
    return bytes(protocol._buffer)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - it is not told otherwise


async def turn_loop() -> None:
    """Let the event loop notice what has happened: it reads in one turn, and tells in the next."""
    for _ in range(2):
        await asyncio.sleep(0)
