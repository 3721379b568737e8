"""Settings without PostgreSQL and Redis, a scripted server, and a way to have one conversation with it."""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from typing import Any

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

Work = Callable[[SmtpPool], Coroutine[Any, Any, None]]


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Settings:
    # Each pool reads the certificates that it trusts, and those of all the world take a while.
    monkeypatch.setenv("SSL_CERT_FILE", os.devnull)
    monkeypatch.setenv("SSL_CERT_DIR", os.devnull)
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


def with_pool(settings: Settings, work: Work, **changes: float) -> None:
    """Run something with a pool, whose line must have lost no place in the end, nor kept one after its close."""

    async def run() -> None:
        pool = SmtpPool(settings.model_copy(update=changes))
        await work(pool)
        lines = list(pool._lines.values())  # pyright: ignore[reportPrivateUsage] - its places are counted
        for line in lines:
            assert (line.opened, line.opening, line.called) == (len(line.free), 0, 0)
            assert not any(not future.done() for future in line.waiting)
        await pool.close()
        assert all(line.opened == 0 for line in lines)

    asyncio.run(run())


async def post(pool: SmtpPool, server: ScriptedServer, messages: int = 1) -> None:
    for _ in range(messages):
        async with pool.connection(address_of(server)) as connection:
            assert (await send(connection))[-1] == "250 OK"


async def post_by_all(pool: SmtpPool, server: ScriptedServer, tasks: int, messages: int) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(tasks):
            group.create_task(post(pool, server, messages // tasks))
