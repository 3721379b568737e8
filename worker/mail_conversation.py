"""One message's conversation with a server, and what is written down at each of its steps.

    compose, sign ─► offer (MAIL, RCPT) ─► written: `sending`, or refused ─► transmit (DATA) ─► written: the answer

The first writing is the last moment at which a cancellation holds the message. From there on only what is certain is
called so: what broke off before the end of DATA was not sent; after it nobody knows.
"""

import asyncio
from collections.abc import Sequence

from shared.settings import Settings
from worker.dkim_signing import Signers
from worker.mail_content import Addressee, DueEmail
from worker.mail_ledger import MailLedger, Outcome, Word
from worker.mail_message import Message, compose
from worker.smtp_connection import MailConnection, MailServerAway, OutcomeUnknown
from worker.smtp_replies import Reply, own_reply

OFFER_SECONDS = 120.0
"""How long a server may take to answer for all recipients of a message."""

_UNKNOWN = own_reply("The connection broke after the message was handed over: it may have arrived.")


class Conversation:
    """Is the conversation about one e-mail."""

    def __init__(self, settings: Settings, ledger: MailLedger, signers: Signers, email: DueEmail) -> None:
        self._settings = settings
        self._ledger = ledger
        self._signers = signers
        self._email = email
        self._pending: Sequence[Addressee] = email.addressees
        self._offered = False

    async def have(self, connection: MailConnection, message: Message) -> None:
        """Hand the message over.

        Raises `MailServerAway` and `OutcomeUnknown`, once they are written down: the connection is of no more use. Of a
        connection that `was_stale` nothing is written: the conversation can be had by another.
        """
        content = self._signers.sign(message.sender, compose(message, smtputf8=connection.smtputf8))
        if len(content) > self._settings.max_message_bytes:
            await give_up(self._ledger, self._email, f"The message is {len(content)} bytes, which is too large.")
            return
        try:
            if not await self._offer(connection, message, len(content)):
                await connection.reset()
                return
            reply = await connection.transmit(content)
        except MailServerAway as away:
            if not connection.was_stale:
                await self._record("deferred", away_reply(away))
            raise
        except OutcomeUnknown:
            await self._record("doubtful", _UNKNOWN)
            raise
        await self._record("sent" if reply.accepted else _refusal(reply), reply)

    async def _offer(self, connection: MailConnection, message: Message, size: int) -> bool:
        """Name sender and recipients; False when the message is not to go, to none of them or not any more."""
        mailboxes = [addressee.mailbox for addressee in self._pending]
        shown = [message.sender, *message.to, *message.cc, *([message.reply_to] if message.reply_to else [])]
        utf8 = any(mailbox.needs_smtputf8 for mailbox in [*shown, *mailboxes])
        try:
            async with asyncio.timeout(OFFER_SECONDS):
                replies = await connection.offer(message.sender, mailboxes, size, utf8=utf8)
        except TimeoutError as error:
            raise MailServerAway("The mail server took too long to answer for all recipients.") from error
        answered = list(zip(self._pending, replies, strict=True))
        accepted = [addressee for addressee, reply in answered if reply.accepted]
        written = await self._ledger.record(
            [Outcome(each.id, "sending" if reply.accepted else _refusal(reply), reply) for each, reply in answered]
        )
        self._offered, self._pending = True, [each for each in accepted if each.id in written]
        if len(self._pending) < len(accepted):
            await self._record("deferred", own_reply("The message was held back."))
            self._pending = []
        return bool(self._pending)

    async def _record(self, state: Word, reply: Reply) -> None:
        # An offer was counted as an attempt when it was written.
        tried = not self._offered
        await self._ledger.record([Outcome(each.id, state, reply, tried=tried) for each in self._pending])


def _refusal(reply: Reply) -> Word:
    return "bounced" if reply.refused else "deferred"


def away_reply(away: MailServerAway) -> Reply:
    """Say of a recipient that its server could not be talked to."""
    return own_reply(str(away))


async def give_up(ledger: MailLedger, email: DueEmail, why: str) -> None:
    """Settle an e-mail that no server will be asked to take."""
    reply = own_reply(why)
    await ledger.record([Outcome(each.id, "failed", reply, tried=False) for each in email.addressees])
