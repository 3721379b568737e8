"""What a worker process keeps for its mail from one job to the next: connections, keys, its place in the line."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager

from shared.mail_address import Mailbox
from shared.mail_settings import EVERY_DOMAIN, SmtpServer
from shared.settings import Settings
from worker.dkim_signing import Signers
from worker.handler_database import HandlerDatabase
from worker.places import place
from worker.smtp_pool import SmtpPool


class MailTransport:
    """Is one worker process's way to the mail servers; it belongs to the event loop that it was made in."""

    def __init__(self, settings: Settings) -> None:
        self.pool = SmtpPool(settings)
        self.database = HandlerDatabase(settings, "jobyard-mail")
        self.signers = Signers(settings)
        self._settings = settings
        self._servers = settings.smtp_servers

    def server_of(self, sender: Mailbox) -> SmtpServer:
        """Choose the server by the sender's domain."""
        domain = sender.wire.rpartition("@")[2].lower()
        return self._servers.get(domain, self._servers[EVERY_DOMAIN])

    @contextmanager
    def place(self, server: SmtpServer) -> Generator[bool]:
        """Take a place in the line to a server for the time of a job; False when none is free.

        With several servers each gets its share of a worker's slots and no more, so that a slow one cannot take them
        all. A place is a lock in PostgreSQL, which frees it when the process dies.
        """
        distinct = len({each.name for each in self._servers.values()})
        if distinct == 1:
            yield True
            return
        places = max(1, self._settings.worker_concurrency // distinct)
        with place(self.database, f"mail {server.name}", places) as has_place:
            yield has_place


_transports: dict[asyncio.AbstractEventLoop, tuple[MailTransport, asyncio.Task[None]]] = {}


def transport_of_this_process(settings: Settings) -> MailTransport:
    """Give what the running loop's earlier jobs left, or make it: never anything from before a fork.

    Whoever closes the loop cancels its tasks first, and with them ends the connections.
    """
    loop = asyncio.get_running_loop()
    if loop not in _transports:
        transport = MailTransport(settings)
        _transports[loop] = transport, loop.create_task(_close_with_loop(loop, transport))
    return _transports[loop][0]


async def _close_with_loop(loop: asyncio.AbstractEventLoop, transport: MailTransport) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        del _transports[loop]
        transport.database.close()
        await transport.pool.close()
