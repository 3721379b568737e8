"""What goes over the wire: one message and nothing else, whatever it holds; and no answer is taken for another's."""

import asyncio
import logging
import re
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

import pytest

from shared.mail_address import Mailbox, parse_mailbox
from shared.mail_settings import parse_server
from shared.settings import Settings
from tests.integration.emails.mail_server import MailServer
from tests.integration.smtp.conftest import ANN, BEN, SENDER, connected, send
from tests.integration.smtp.scripted_server import CLOSING, OK, ScriptedServer
from worker.smtp_connection import MailConnection, MailServerAway
from worker.smtp_pool import SmtpPool

JOERG = parse_mailbox("jörg@bücher.example")
T = TypeVar("T")
EVIL = b"MAIL FROM:<evil@example.org>\r\nRCPT TO:<evil@example.org>\r\nDATA\r\nSubject: Evil\r\n\r\n"


def converse(settings: Settings, server: ScriptedServer, talk: Callable[[MailConnection], Awaitable[T]]) -> T:
    async def run() -> T:
        async with connected(settings, server) as connection:
            return await talk(connection)

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("content", "read"),
    [
        (b".", b".\r\n"),
        (b"..\r\n...\r\n", b"..\r\n...\r\n"),
        (b"a\r\n.\r\nb\r\n", b"a\r\n.\r\nb\r\n"),
        (b"a\r\n.\r\n" + EVIL, b"a\r\n.\r\n" + EVIL),
        (b"a\n.\n" + EVIL, b"a\r\n.\r\n" + EVIL),
        (b"a\r.\r" + EVIL, b"a\r\n.\r\n" + EVIL),
        (b"a\n.\r\n" + EVIL, b"a\r\n.\r\n" + EVIL),
        (b"a\r\n.\r" + EVIL, b"a\r\n.\r\n" + EVIL),
        (b"a\r\n\x00.\r\n\xff\xfe" + EVIL, b"a\r\n\x00.\r\n\xff\xfe" + EVIL),
        (b"", b"\r\n"),
    ],
)
def test_a_message_is_one_message_whatever_it_holds(
    settings: Settings, server: ScriptedServer, content: bytes, read: bytes
) -> None:
    converse(settings, server, lambda connection: send(connection, content=content))
    [wire] = server.messages
    assert wire.endswith(b"\r\n.\r\n") or wire == b".\r\n"
    lines = wire.removesuffix(b".\r\n").split(b"\r\n")
    # No server, however it reads line ends, finds one of its own or a dot alone within.
    assert not any(b"\r" in line or b"\n" in line or line == b"." for line in lines)
    assert b"\r\n".join(line.removeprefix(b".") for line in lines) == read
    assert [line[:4] for line in server.lines] == [b"EHLO", b"MAIL", b"RCPT", b"DATA", b"QUIT"]


def test_a_real_server_reads_it_as_it_was_written(settings: Settings) -> None:
    content = b"Subject: x\r\n\r\n.\r\n..\r\n" + EVIL + b".\r\n" + bytes(range(14, 256)) + b"\r\n"
    real = MailServer(options={"decode_data": False})
    real.start()

    async def run() -> None:
        pool = SmtpPool(settings)
        async with pool.connection(parse_server(f"smtp://127.0.0.1:{real.port}")) as connection:
            await send(connection, content=content)
        await pool.close()

    asyncio.run(run())
    real.stop()
    assert [arrived.content for arrived in real.delivered] == [content]


@pytest.mark.parametrize(
    "address",
    ["a@x.org>\r\nRSET\r\nRCPT TO:<b@x.org", "a@x.org> NOTIFY=NEVER", "a@x.org\nRSET", "a\0@x.org", "a\ud800@x"],
)
@pytest.mark.parametrize("is_sender", [True, False])
def test_an_address_that_was_never_checked_brings_no_command_onto_the_wire(
    settings: Settings, server: ScriptedServer, address: str, *, is_sender: bool
) -> None:
    bad = Mailbox(None, address, address)

    async def talk(connection: MailConnection) -> None:
        sender, recipients = (bad, [ANN]) if is_sender else (SENDER, [bad])
        with suppress(ValueError):
            await connection.offer(sender, recipients, 10, utf8=False)
            # aiosmtplib may have cut it: then it is one address, and the conversation goes on.
            assert connection.is_open
            return
        assert not connection.is_open

    converse(settings, server, talk)
    command = re.compile(rb"EHLO example.com|QUIT|MAIL FROM:<[^<> ]+> SIZE=10|RCPT TO:<[^<> ]+>")
    assert all(command.fullmatch(line) for line in server.lines), server.lines
    assert sum(line.startswith(b"RCPT") for line in server.lines) <= 1


@pytest.mark.parametrize(("is_offered", "utf8"), [(True, True), (True, False), (False, True)])
def test_smtputf8_is_used_where_it_is_offered_and_needed(
    settings: Settings, server: ScriptedServer, *, is_offered: bool, utf8: bool
) -> None:
    if not is_offered:
        server.extensions = (b"8BITMIME",)

    async def talk(connection: MailConnection) -> list[int | None]:
        assert connection.smtputf8 is is_offered
        recipients = [JOERG, ANN] if utf8 else [ANN]
        return [reply.code for reply in await connection.offer(SENDER, recipients, 10, utf8=utf8)]

    codes = converse(settings, server, talk)
    assert codes == ([250] if not utf8 else [250 if is_offered else 553, 250])
    assert any(b"SMTPUTF8" in line for line in server.lines) is (is_offered and utf8)
    assert ("RCPT TO:<jörg@xn--bcher-kva.example>".encode() in server.lines) is (is_offered and utf8)


def test_a_sender_who_needs_smtputf8_is_not_named_without_it(settings: Settings, server: ScriptedServer) -> None:
    server.extensions = (b"8BITMIME",)
    replies = converse(settings, server, lambda connection: connection.offer(JOERG, [ANN, BEN], 10, utf8=True))
    assert [(reply.code, reply.hard_bounce) for reply in replies] == [(553, False)] * 2
    assert [line[:4] for line in server.lines] == [b"EHLO", b"QUIT"]


@pytest.mark.parametrize("step", ["mail", "rcpt", "data"])
def test_an_answer_that_came_with_another_is_not_taken_for_the_next(
    settings: Settings, server: ScriptedServer, step: str
) -> None:
    server.script[step] = [(b"354 Go\r\n" if step == "data" else OK) + OK]
    server.script["dot"] = [b"554 5.7.1 Spam\r\n"]
    with pytest.raises(MailServerAway):
        converse(settings, server, send)
    assert server.messages == []


def test_a_connection_with_an_answer_too_many_is_not_used_again(settings: Settings, server: ScriptedServer) -> None:
    server.script["dot"] = [b"554 5.7.1 Spam\r\n" + OK]

    async def talk(connection: MailConnection) -> tuple[str, bool]:
        return (await send(connection))[-1], connection.is_open

    assert converse(settings, server, talk) == ("554 Spam", False)


def test_a_yes_before_the_message_is_not_one_to_it(settings: Settings, server: ScriptedServer) -> None:
    server.script["data"] = [OK]
    with pytest.raises(MailServerAway):
        converse(settings, server, send)
    assert server.messages == []


def test_any_yes_to_the_sender_goes_on_to_the_recipients(settings: Settings, server: ScriptedServer) -> None:
    server.script["mail"] = [b"252 2.1.0 Perhaps\r\n"]
    server.script["rcpt"] = [b"550 5.1.1 No\r\n"]
    assert converse(settings, server, send) == ["550 No"]


@pytest.mark.parametrize(("answer", "reset"), [(b"451 4.3.0 Later\r\n", OK), (b"554 5.5.1 No\r\n", CLOSING)])
def test_a_message_turned_down_before_it_was_sent_is_taken_back(
    settings: Settings, server: ScriptedServer, answer: bytes, reset: bytes
) -> None:
    server.script["data"], server.script["rset"] = [answer], [reset]

    async def talk(connection: MailConnection) -> tuple[str, bool]:
        return (await send(connection))[-1][:3], connection.is_open

    assert converse(settings, server, talk) == (answer[:3].decode(), reset == OK)
    assert server.lines[4] == b"RSET"


def open_at(settings: Settings, url: str) -> None:
    async def run() -> None:
        pool = SmtpPool(settings)
        async with pool.connection(parse_server(url)):
            pass

    asyncio.run(run())


@pytest.mark.parametrize("host", ["mail.example.invalid", "127.0.0.1.example.invalid", "0.0.0.0", "192.0.2.1"])
def test_a_password_is_not_sent_in_clear_to_another_host(
    settings: Settings, host: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look_up(*_: object, **__: object) -> None:
        pytest.fail("the host was asked for")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with caplog.at_level(logging.DEBUG), pytest.raises(MailServerAway):
        open_at(settings, f"smtp://user:hunter2@{host}:2525")
    assert "only sent over TLS" in caplog.text
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize("host", ["no-such-host.invalid", "no..host", "x" * 70 + ".example", "münchen.invalid"])
def test_a_host_that_cannot_be_found_is_away(settings: Settings, host: str) -> None:
    with pytest.raises(MailServerAway):
        open_at(settings, f"smtp://{host}:2525")


def test_a_server_that_repeats_the_credentials_does_not_bring_them_into_the_log(
    settings: Settings, server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.extensions = (b"AUTH PLAIN LOGIN",)
    server.script["auth"] = [b"535 user hunter2 is wrong\r\n", b"334 VXNlcm5hbWU6\r\n"]
    # The password in base64 is a line of its own.
    server.script["ahvu"] = [b"500 AHVzZXI hunter2\r\n"]
    with caplog.at_level(logging.DEBUG), pytest.raises(MailServerAway) as away:
        open_at(settings, f"smtp://user:hunter2@127.0.0.1:{server.port}")
    assert "500" in caplog.text
    assert "hunter2" not in caplog.text + str(away.value)
