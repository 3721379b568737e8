"""Settings without PostgreSQL and Redis, a scripted server, and a way to have one conversation with it."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager

import pytest

from shared.mail_address import Mailbox, parse_mailbox
from shared.mail_settings import SmtpServer, parse_server
from shared.settings import Settings
from tests.integration.smtp.scripted_server import ScriptedServer
from worker.smtp_connection import MailConnection
from worker.smtp_pool import SmtpPool

SENDER = parse_mailbox("jobyard@example.com")
ANN, BEN = parse_mailbox("ann@example.org"), parse_mailbox("ben@example.org")
CONTENT = b"Subject: Hello\r\n\r\nHi.\r\n"
# Long enough for a busy machine; only a test that waits for it to pass asks for less.
PATIENT_SECONDS, SHORT_SECONDS = 20.0, 0.2


@pytest.fixture
def settings() -> Settings:
    return Settings.model_validate(
        {"environment": "test", "smtp_timeout_seconds": PATIENT_SECONDS, "mail_from": "Jobyard <jobyard@example.com>"}
    )


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


def address_of(server: ScriptedServer, scheme: str = "smtp") -> SmtpServer:
    return parse_server(f"{scheme}://127.0.0.1:{server.port}")


@asynccontextmanager
async def connected(settings: Settings, server: ScriptedServer) -> AsyncGenerator[MailConnection]:
    """Lend a connection from a pool that ends with it."""
    pool = SmtpPool(settings)
    try:
        async with pool.connection(address_of(server)) as connection:
            yield connection
    finally:
        await pool.close()


async def send(connection: MailConnection, *recipients: Mailbox, content: bytes = CONTENT) -> list[str]:
    """Have a whole conversation; gives the replies to the recipients, and to the message last."""
    replies = await connection.offer(SENDER, recipients or (ANN,), len(content), utf8=False)
    if any(reply.accepted for reply in replies):
        replies.append(await connection.transmit(content))
    return [f"{reply.code} {reply.text}" for reply in replies]
