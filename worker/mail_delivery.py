"""Delivering the e-mails of a job: one conversation for each, several at a time, each answer written to its row.

    begin (settle what broke off) ─► a place in the line ─► page by page, what is due ─► for each a moment (rates),
    a connection (pool), a conversation ─► nothing left: the result; else: Snooze until the next is due

A run ends when nothing more is due, after its time, when the server is away, the worker stops or the job is cancelled;
conversations that were begun are brought to their end first.
"""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing
from datetime import timedelta
from uuid import UUID

from shared.errors import JobyardError
from shared.job_context import JobContext
from shared.job_outcome import Cancelled, Fail, Snooze
from shared.mail_settings import SmtpServer
from worker.mail_content import DueEmail, MessageMaker, read_due
from worker.mail_conversation import Conversation, away_reply, give_up
from worker.mail_ledger import MailLedger, Standing
from worker.mail_message import Message
from worker.mail_rates import MailRates
from worker.mail_transport import MailTransport, transport_of_this_process
from worker.smtp_connection import MailServerAway, OutcomeUnknown

RUN_SECONDS = 30.0
"""How long a run begins new conversations; then other jobs get their turn."""
_BUSY_SECONDS = 1.0
_SHORTEST_WAIT_SECONDS = 0.1


async def deliver(context: JobContext) -> tuple[dict[str, int], str]:
    """Deliver what is due of the job's e-mails; gives how many recipients are in each state, and the last reply.

    Raises `Snooze` while some are not settled, and `Cancelled`.
    """
    transport = transport_of_this_process(context.settings)
    ledger = MailLedger(context, transport.database)
    await ledger.begin()
    run = DeliveryRun(context, transport, ledger, await ledger.standing())
    await run.go()
    standing = await ledger.standing()
    wait = run.wait_for_rest(standing)
    if wait is not None:
        raise Snooze(timedelta(seconds=wait))
    return standing.counts, await ledger.last_words()


class DeliveryRun:
    """Is one run over a job's e-mails."""

    def __init__(self, context: JobContext, transport: MailTransport, ledger: MailLedger, standing: Standing) -> None:
        self._context = context
        self._transport = transport
        self._ledger = ledger
        self._rates = MailRates(context)
        self._maker = MessageMaker(context)
        self._total = sum(standing.counts.values())
        self._settled = self._total - standing.unsettled
        self._ends = time.monotonic() + RUN_SECONDS
        self._busy = False
        self._away: MailServerAway | None = None
        self._error: BaseException | None = None

    async def go(self) -> None:
        """Deliver what is due; raises `Cancelled`, and what else went wrong, once all conversations have ended."""
        page = await self._read(UUID(int=0))
        if not page:
            return
        with self._transport.place(self._transport.server_of(page[0].sender)) as has_place:
            self._busy = not has_place
            if has_place:
                await self._deliver_all(page)
        if self._error is not None:
            raise self._error
        if self._away is not None:
            await self._ledger.defer_all(away_reply(self._away))

    def wait_for_rest(self, standing: Standing) -> float | None:
        """Tell after how many seconds another run makes sense; None when all recipients are settled."""
        if not standing.unsettled:
            return None
        if self._busy:
            return _BUSY_SECONDS * random.uniform(1, 2)  # noqa: S311 - spreads load, guards nothing
        if self._rates.free_in is not None:
            return max(self._rates.free_in, _SHORTEST_WAIT_SECONDS)
        only_deferred = standing.unsettled == standing.counts.get("deferred", 0)
        return max(standing.due_in or 0.0, 0.0) if only_deferred else 0.0

    async def _deliver_all(self, page: list[DueEmail]) -> None:
        tasks: set[asyncio.Task[None]] = set()
        most = self._context.settings.smtp_connections
        async with aclosing(self._due(page)) as due:
            async for email in due:
                if self._must_end():
                    break
                tasks.add(asyncio.create_task(self._guarded(self._deliver(email))))
                if len(tasks) >= most:
                    _, tasks = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if tasks:
            await asyncio.wait(tasks)

    async def _due(self, page: list[DueEmail]) -> AsyncGenerator[DueEmail]:
        while page:
            for email in page:
                yield email
            page = await self._read(page[-1].row.id)

    async def _read(self, after: UUID) -> list[DueEmail]:
        return await read_due(self._transport.database, self._context.job_id, after)

    def _must_end(self) -> bool:
        try:
            self._context.progress(min(self._settled, self._total), self._total)
        except Cancelled as cancelled:
            self._error = self._error or cancelled
        return (
            self._error is not None
            or self._away is not None
            or self._context.is_stopping
            or time.monotonic() >= self._ends
        )

    async def _guarded(self, work: Awaitable[None]) -> None:
        try:
            await work
        except BaseException as error:  # noqa: BLE001 - the others end their conversations before it is raised
            self._error = self._error or error

    async def _deliver(self, email: DueEmail) -> None:
        try:
            message = await self._make(email)
        except (Fail, JobyardError, ValueError) as error:
            await give_up(self._ledger, email, str(error))
            return
        server = self._transport.server_of(email.sender)
        domains = {addressee.mailbox.wire.rpartition("@")[2].lower() for addressee in email.addressees}
        if await self._rates.take(server, domains):
            await self._converse(server, email, message)
            self._settled += len(email.addressees)

    async def _make(self, email: DueEmail) -> Message:
        if email.row.attachment_ids or email.row.inline_images:
            make = await asyncio.to_thread(self._maker.read, email)
        else:
            make = self._maker.read(email)
        return make()

    async def _converse(self, server: SmtpServer, email: DueEmail, message: Message) -> None:
        conversation = Conversation(self._context.settings, self._ledger, self._transport.signers, email)
        try:
            async with self._transport.pool.connection(server) as connection:
                await conversation.have(connection, message)
        except MailServerAway as away:
            # One that broke off is written down; one that was never had tells of the server.
            if not conversation.begun:
                self._away = away
        except OutcomeUnknown:
            return
