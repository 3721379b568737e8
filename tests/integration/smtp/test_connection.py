"""Each way in which a conversation ends, and what is known of the message then."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from shared.settings import Settings
from tests.integration.smtp.conftest import ANN, BEN, CONTENT, SHORT_SECONDS, connected, send
from tests.integration.smtp.scripted_server import CLOSING, DROP, STALL, ScriptedServer
from worker.smtp_connection import MailConnection, MailServerAway, OutcomeUnknown

BEFORE = ("connect", "ehlo", "mail", "rcpt", "data")
MALFORMED = (b"hello\r\n", b"99 OK\r\n", b"250-" + b"x" * 9000 + b"\r\n", b"250-x\r\n" * 6000, b"777 OK\r\n")
# More than what the kernels keep between the two.
MUCH = 16 * 1024 * 1024

Talk = Callable[[MailConnection], Awaitable[object]]


def converse(settings: Settings, server: ScriptedServer, talk: Talk = send) -> object:
    """Have a conversation from the greeting to the end; gives what `talk` gives."""

    async def run() -> object:
        async with connected(settings, server) as connection:
            return await talk(connection)

    return asyncio.run(run())


def impatient(settings: Settings) -> Settings:
    return settings.model_copy(update={"smtp_timeout_seconds": SHORT_SECONDS})


def test_the_replies_are_the_servers(settings: Settings, server: ScriptedServer) -> None:
    server.script["rcpt"] = [b"250 2.1.5 Ann\r\n", b"550-5.1.1 No\r\n550 5.1.1 Ben\r\n"]
    server.script["dot"] = [b"250-2.6.0 Taken\r\n250 2.6.0 as 1\r\n"]
    assert converse(settings, server, lambda connection: send(connection, ANN, BEN)) == [
        "250 Ann", "550 No\nBen", "250 Taken\nas 1",
    ]  # fmt: skip
    assert server.messages == [CONTENT + b".\r\n"]
    assert server.lines[:3] == [
        b"EHLO example.com",
        b"MAIL FROM:<jobyard@example.com> SIZE=23",
        b"RCPT TO:<ann@example.org>",
    ]


@pytest.mark.parametrize("mishap", [DROP, CLOSING, *MALFORMED, b"334 Go on\r\n", b"150 Wait\r\n"])
@pytest.mark.parametrize("step", BEFORE)
def test_what_breaks_off_before_the_message_has_not_sent_it(
    settings: Settings, server: ScriptedServer, step: str, mishap: bytes
) -> None:
    server.script[step] = [mishap]
    with pytest.raises(MailServerAway):
        converse(settings, server)
    assert server.messages == []


@pytest.mark.parametrize("step", BEFORE)
def test_a_server_that_falls_silent_before_the_message_has_not_got_it(
    settings: Settings, server: ScriptedServer, step: str
) -> None:
    server.script[step] = [STALL]
    with pytest.raises(MailServerAway):
        converse(impatient(settings), server)


def test_half_a_reply_is_none(settings: Settings, server: ScriptedServer) -> None:
    server.script["rcpt"] = [b"250-2.1.5 OK\r\n250 an", DROP]
    with pytest.raises(MailServerAway):
        converse(impatient(settings), server)


@pytest.mark.parametrize("body_bytes", [1, 100_000, MUCH // 2])
def test_a_server_that_hangs_up_within_the_message_has_not_got_it(
    settings: Settings, server: ScriptedServer, body_bytes: int
) -> None:
    server.body_bytes = body_bytes
    with pytest.raises(MailServerAway):
        converse(settings, server, lambda connection: send(connection, content=b"x" * MUCH))


def test_a_server_that_stops_reading_has_not_got_the_message(settings: Settings, server: ScriptedServer) -> None:
    server.reads_on = False
    with pytest.raises(MailServerAway):
        converse(impatient(settings), server, lambda connection: send(connection, content=b"x" * MUCH))


@pytest.mark.parametrize("mishap", [DROP, *MALFORMED, b"334 Go on\r\n", b"354 Go ahead\r\n", b"150 Wait\r\n"])
def test_what_breaks_off_after_the_message_is_a_doubt(
    settings: Settings, server: ScriptedServer, mishap: bytes
) -> None:
    server.script["dot"] = [mishap]
    with pytest.raises(OutcomeUnknown):
        converse(settings, server)
    assert len(server.messages) == 1


def test_a_server_that_falls_silent_after_the_message_leaves_a_doubt(
    settings: Settings, server: ScriptedServer
) -> None:
    server.script["dot"] = [STALL]
    with pytest.raises(OutcomeUnknown):
        converse(impatient(settings), server)


@pytest.mark.parametrize("answer", [CLOSING, b"451 4.3.0 Later\r\n", b"554 5.7.1 Spam\r\n", b"252 2.0.0 Hm\r\n"])
def test_an_answer_to_the_message_is_no_doubt(settings: Settings, server: ScriptedServer, answer: bytes) -> None:
    server.script["dot"] = [answer]

    async def talk(connection: MailConnection) -> tuple[str, bool]:
        return (await send(connection))[-1], connection.is_open

    said = f"{answer[:3].decode()} {answer[10:-2].decode()}"
    assert converse(settings, server, talk) == (said, answer != CLOSING)
