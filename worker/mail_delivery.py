"""Delivering the e-mails of a job: one conversation for each, several at a time, each answer written to its row.

    begin (settle what broke off) ─► a place in the line ─► page by page, what is due ─► for each a moment (rates),
    a connection (pool), a conversation ─► nothing left: the result; else: Snooze until the next is due

A run ends when nothing more is due, after its time, when the server is away, the worker stops or the job is cancelled;
conversations that were begun are brought to their end first.
"""

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, nullcontext
from datetime import timedelta
from uuid import UUID

import psycopg

from shared.job_context import JobContext
from shared.job_outcome import Cancelled, Fail, Snooze
from shared.mail_settings import SmtpServer
from shared.mail_templates import TemplateError
from worker.mail_content import PAGE, DueEmail, MessageMaker, read_due
from worker.mail_conversation import Conversation, away_reply, give_up
from worker.mail_ledger import MailLedger, Outcome, Standing
from worker.mail_message import Message
from worker.mail_rates import MailRates
from worker.mail_transport import MailTransport, transport_of_this_process
from worker.smtp_connection import MailConnection, MailServerAway, OutcomeUnknown, ServerFull
from worker.smtp_replies import own_reply

logger = logging.getLogger(__name__)

RUN_SECONDS = 30.0
"""How long a run begins new conversations; then other jobs get their turn."""
_BUSY_SECONDS = 5.0
_SHORTEST_WAIT_SECONDS = 1.0
_MOST_WITH_FILES = 3
"""Messages with files that are in memory at a time, each several times over."""


async def deliver(context: JobContext) -> tuple[dict[str, int], str]:
    """Deliver what is due of the job's e-mails; gives how many are in each state, and if none was sent the last reply.

    Raises `Snooze` while some are not settled, and `Cancelled`.
    """
    transport = transport_of_this_process(context.settings)
    ledger = MailLedger(context, transport.database)
    await ledger.begin()
    run = DeliveryRun(context, transport, ledger)
    await run.go()
    standing = await ledger.standing()
    run.tell(standing)
    wait = run.wait_for_rest(standing)
    if wait is not None:
        raise Snooze(timedelta(seconds=wait))
    return standing.counts, "" if standing.counts.get("sent") else await ledger.last_words()


class DeliveryRun:
    """Is one run over a job's e-mails."""

    def __init__(self, context: JobContext, transport: MailTransport, ledger: MailLedger) -> None:
        self._context = context
        self._transport = transport
        self._ledger = ledger
        self._rates = MailRates(context)
        self._maker = MessageMaker(context)
        self._settled = self._total = 0
        self._ends = time.monotonic() + RUN_SECONDS
        self._busy = False
        self._cut_short = False
        self._with_files = asyncio.Semaphore(_MOST_WITH_FILES)
        self._away: MailServerAway | None = None
        self._error: BaseException | None = None

    async def go(self) -> None:
        """Deliver what is due; raises `Cancelled`, and what else went wrong, once all conversations have ended."""
        page = await self._read(UUID(int=0))
        if not page:
            return
        if len(page) > 1:
            self._note(await self._ledger.standing())
        with self._transport.place(self._transport.server_of(page[0].sender)) as has_place:
            self._busy = not has_place
            if has_place:
                await self._deliver_all(page)
        if self._error is not None:
            raise self._error
        if self._away is not None:
            # A server that is there and has no room yet was not tried: other processes of ours may have it all.
            full = isinstance(self._away, ServerFull) and self._away.answered
            await self._ledger.defer_all(away_reply(self._away), tried=not full)

    def tell(self, standing: Standing) -> None:
        """Report how far the job is; raises `Cancelled`."""
        if self._total:
            self._note(standing)
        self._tell()

    def wait_for_rest(self, standing: Standing) -> float | None:
        """Tell after how many seconds another run makes sense; None when all recipients are settled."""
        if not standing.unsettled:
            return None
        if self._busy:
            return _BUSY_SECONDS * random.uniform(1, 2)  # noqa: S311 - spreads load, guards nothing
        if self._cut_short:
            return 0.0
        only_deferred = standing.unsettled == standing.counts.get("deferred", 0)
        waits = [
            wait for wait in (standing.due_in, self._rates.free_in) if wait is not None and (wait > 0 or only_deferred)
        ]
        return max(min(waits, default=0.0), _SHORTEST_WAIT_SECONDS)

    async def _deliver_all(self, page: list[DueEmail]) -> None:
        tasks: set[asyncio.Task[None]] = set()
        most = self._context.settings.smtp_connections
        try:
            async with aclosing(self._due(page)) as due:
                async for email in due:
                    if self._must_end():
                        self._cut_short = True
                        break
                    tasks.add(asyncio.create_task(self._guarded(email)))
                    if len(tasks) >= most:
                        _, tasks = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # Whatever went wrong: none may go on under the next job.
            if tasks:
                await asyncio.wait(tasks)

    async def _due(self, page: list[DueEmail]) -> AsyncGenerator[DueEmail]:
        while page:
            for email in page:
                yield email
            page = await self._read(page[-1].row.id) if len(page) == PAGE else []

    async def _read(self, after: UUID) -> list[DueEmail]:
        return await read_due(self._transport.database, self._context.job_id, after)

    def _must_end(self) -> bool:
        try:
            self._tell()
        except Cancelled as cancelled:
            self._error = self._error or cancelled
        return (
            self._error is not None
            or self._away is not None
            or self._context.is_stopping
            or time.monotonic() >= self._ends
        )

    def _note(self, standing: Standing) -> None:
        self._total = sum(standing.counts.values())
        self._settled = self._total - standing.unsettled

    def _tell(self) -> None:
        # A heartbeat for each job of a single message would cost as much as the message; the ledger looks for a
        # cancel request itself, at the last moment that holds it back.
        if self._total:
            self._context.progress(min(self._settled, self._total), self._total)

    async def _guarded(self, email: DueEmail) -> None:
        try:
            async with self._with_files if email.has_files else nullcontext():
                await self._deliver(email)
        except (Cancelled, psycopg.Error) as error:
            # The others end their conversations before it is raised.
            self._error = self._error or error
        except Exception as error:
            # One message that cannot be made or sent must not hold up the others, nor be lost.
            logger.exception("e-mail %s was not sent", email.row.id)
            reply = own_reply(f"The message was not sent ({type(error).__name__}).")
            await self._ledger.record([Outcome(each.id, "broken", reply) for each in email.addressees])
        except BaseException as error:  # noqa: BLE001 - as above
            self._error = self._error or error

    async def _deliver(self, email: DueEmail) -> None:
        try:
            message = await self._make(email)
        except (Fail, TemplateError, ValueError) as error:
            await give_up(self._ledger, email, str(error))
            return
        server = self._transport.server_of(email.sender)
        domains = {addressee.mailbox.wire.rpartition("@")[2].lower() for addressee in email.addressees}
        if await self._rates.take(server, domains):
            await self._converse(server, email, message)
            self._settled += len(email.addressees)

    async def _make(self, email: DueEmail) -> Message:
        if email.has_files:
            make = await asyncio.to_thread(self._maker.read, email)
        else:
            make = self._maker.read(email)
        return make()

    async def _converse(self, server: SmtpServer, email: DueEmail, message: Message) -> None:
        while await self._is_stale(server, email, message):
            # Another that was kept, or a new one: each that was stale is gone.
            pass

    async def _is_stale(self, server: SmtpServer, email: DueEmail, message: Message) -> bool:
        """Have the conversation; True when its connection had died unnoticed, before a word of it was heard."""
        conversation = Conversation(self._context.settings, self._ledger, self._transport.signers, email)
        connection: MailConnection | None = None
        try:
            async with self._transport.pool.connection(server) as connection:
                # It may have been waited for.
                if self._must_end():
                    self._cut_short = True
                else:
                    await conversation.have(connection, message)
        except MailServerAway as away:
            # One that broke off is written down; one that was never had tells of the server.
            if connection is None:
                self._away = away
            return connection is not None and connection.was_stale
        except OutcomeUnknown:
            pass
        return False
