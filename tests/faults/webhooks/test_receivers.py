"""Receivers that hang, lie, flood, redirect or lead elsewhere: each costs a bounded time and gets its word."""

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest

from shared.settings import Settings
from shared.webhook_urls import Address
from tests.certificates import Authority
from tests.webhook_receiver import (
    LOOPBACK,
    PATIENCE_SECONDS,
    Script,
    WebhookReceiver,
    answer,
    close,
    dribble,
    endless,
    hang,
    raw,
)
from worker import webhook_request
from worker.webhook_request import Answer, NotAnswered, post

NAME = "hooks.example.com"
METADATA = "169.254.169.254"
NEVER = 10.0**9
HUNDRED_MEGABYTES = 100 * 1024 * 1024


class Lookups:
    """Is a resolver that gives one answer after the other, and the last for ever."""

    def __init__(self, *answers: str) -> None:
        self.count = 0
        self._answers = answers

    async def __call__(self, _: str, __: int) -> Sequence[Address]:
        given = self._answers[min(self.count, len(self._answers) - 1)]
        self.count += 1
        return [ip_address(each) for each in given.split(" ")]


def settings_for(*networks: str, ca_file: Path | None = None) -> Settings:
    return Settings.model_validate({"webhook_allowed_networks": list(networks), "webhook_ca_file": ca_file})


LOOPBACK_ALLOWED = settings_for("127.0.0.0/8")


def send(url: str, settings: Settings = LOOPBACK_ALLOWED, lookups: Lookups | None = None) -> Answer | str:
    """Send a webhook; gives the answer, or the word for why there is none."""
    resolver = {} if lookups is None else {"resolve": lookups}
    try:
        return asyncio.run(post(url, {"Content-Type": "application/json"}, b"{}", settings, **resolver))
    except NotAnswered as error:
        return error.word


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as receiver:
        yield receiver


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the same bounds, shorter."""
    monkeypatch.setattr(webhook_request, "TOTAL_SECONDS", 0.5)
    monkeypatch.setattr(webhook_request, "BODY_SECONDS", 0.1)


def informational_for_ever() -> Script:
    return raw(lambda: itertools.repeat(b"HTTP/1.1 103 Early Hints\r\n\r\n"), pause=0.01)


NO_STATUS: dict[str, tuple[Callable[[], Script], str]] = {
    "hangs": (lambda: hang, "timeout"),
    "dribbles its status": (lambda: dribble(b"", 0.02), "timeout"),
    "dribbles its headers": (lambda: dribble(b"HTTP/1.1 200 OK\r\nX-Slow: ", 0.02), "timeout"),
    "has only hints": (informational_for_ever, "timeout"),
    "closes without an answer": (lambda: close, "no_answer"),
    "speaks another protocol": (lambda: raw(lambda: [b"220 smtp.example.com ESMTP\r\n"]), "no_answer"),
    "has a status that is none": (lambda: raw(lambda: [b"HTTP/1.1 000 Zero\r\n\r\n"]), "no_answer"),
    "switches protocols": (
        lambda: raw(lambda: [b"HTTP/1.1 101 Go\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"]),
        "no_answer",
    ),
    "has headers without end": (
        lambda: raw(lambda: itertools.chain([b"HTTP/1.1 200 OK\r\nX: "], itertools.repeat(b"x" * 65536))),
        "no_answer",
    ),
}


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("what", NO_STATUS)
def test_a_receiver_without_a_status_is_given_up(receiver: WebhookReceiver, what: str) -> None:
    script, word = NO_STATUS[what]
    receiver.script = script()
    assert send(receiver.url()) == word


@pytest.mark.long
def test_a_receiver_that_hangs_is_given_up_after_15_seconds(receiver: WebhookReceiver) -> None:
    receiver.script = hang
    began = time.monotonic()
    assert send(receiver.url()) == "timeout"
    assert 14.5 <= time.monotonic() - began <= 17


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize(
    ("body", "pause"),
    [(b"Content-Length: 1000\r\n\r\nyes", 0.02), (b"Content-Length: 1000\r\n\r\nyes", NEVER),
     (b"Transfer-Encoding: chunked\r\n\r\n9\r\nyes", NEVER),
     (b"Transfer-Encoding: chunked\r\n\r\n3\r\nyes\r\nno length\r\n", NEVER)],
    ids=["dribbles", "hangs", "hangs in a chunk", "is no HTTP"],
)  # fmt: skip
def test_a_receiver_whose_body_does_not_come_has_answered(receiver: WebhookReceiver, body: bytes, pause: float) -> None:
    receiver.script = dribble(b"HTTP/1.1 200 OK\r\n" + body, pause)
    found = send(receiver.url())
    assert isinstance(found, Answer)
    assert found.status == 200
    assert found.text.startswith("yes")


def test_a_receiver_that_answers_100_mb_costs_nothing(receiver: WebhookReceiver) -> None:
    sent: list[int] = []
    receiver.script = endless(HUNDRED_MEGABYTES, sent)
    found = send(receiver.url())
    receiver.close()
    assert isinstance(found, Answer)
    assert found.text == "x" * 1024
    # What the two sockets hold besides the few kilobytes that were read.
    assert sent[0] < HUNDRED_MEGABYTES / 5


def test_a_redirect_is_not_followed(receiver: WebhookReceiver) -> None:
    with WebhookReceiver() as elsewhere:
        for target in (f"http://{METADATA}/latest/meta-data/", elsewhere.url(), f"https://{METADATA}/"):
            receiver.script = answer(302, Location=target)
            found = send(receiver.url())
            assert isinstance(found, Answer)
            assert found.status == 302
        assert elsewhere.received == []
    assert len(receiver.received) == 3


def test_a_request_goes_to_the_very_path_of_its_url(receiver: WebhookReceiver) -> None:
    for path, requested in (("/hook;key=1/a;b?x=1&y=;", None), ("", "/"), ("?x=1", "/?x=1"), ("//a/../b%2F", None)):
        send(receiver.url(path))
        assert receiver.received[-1].path == (requested or path)


@pytest.mark.parametrize(
    "address",
    [METADATA, "127.0.0.1", "10.0.0.1", "::1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1",
     "fe80::1%1", "2606:4700::1111%1", "0.0.0.0"],
)  # fmt: skip
def test_a_name_that_leads_to_what_is_not_public_is_not_connected_to(address: str) -> None:
    assert send(f"https://{NAME}/", settings_for(), Lookups(address)) == "address_not_allowed"


def test_a_name_that_leads_to_127_0_0_1_on_the_second_lookup_gets_nothing_there() -> None:
    with WebhookReceiver(host="127.0.0.2") as outside:
        inside = WebhookReceiver(port=outside.port)
        with inside:
            settings = settings_for("127.0.0.2/32")
            lookups = Lookups("127.0.0.2", LOOPBACK)
            first = send(outside.url(host=NAME), settings, lookups)
            assert isinstance(first, Answer)
            assert lookups.count == 1, "what was judged is what was connected to"
            assert send(outside.url(host=NAME), settings, lookups) == "address_not_allowed"
            assert send(outside.url(host=NAME), settings, Lookups(f"{LOOPBACK} {METADATA}")) == "address_not_allowed"
            assert isinstance(send(outside.url(host=NAME), settings, Lookups(f"{LOOPBACK} 127.0.0.2")), Answer)
        assert inside.received == []
        assert len(outside.received) == 2


def test_plain_http_is_for_allowed_networks_alone() -> None:
    assert send(f"http://{NAME}/", settings_for("10.0.0.0/8"), Lookups("8.8.8.8")) == "address_not_allowed"
    assert send(f"http://{NAME}/", settings_for(), Lookups("8.8.8.8")) == "url_not_allowed"


def test_nobody_and_nothing_there_have_their_words(receiver: WebhookReceiver) -> None:
    receiver.close()
    assert send(receiver.url()) == "connection_refused"
    assert send("https://no-such-host.invalid/", settings_for()) == "dns_error"


def test_proxies_of_the_environment_are_not_used(receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert isinstance(send(receiver.url()), Answer)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def test_a_certificate_is_checked_against_the_name_and_not_the_address(authority: Authority) -> None:
    with WebhookReceiver(authority.context(NAME)) as receiver:
        settings = settings_for("127.0.0.0/8", ca_file=authority.file)
        assert isinstance(send(receiver.url(host=NAME), settings, Lookups(LOOPBACK)), Answer)
        assert isinstance(send(receiver.url(), settings), Answer)
        assert isinstance(send(receiver.url(host=f"{NAME}."), settings, Lookups(LOOPBACK)), Answer)
        assert send(receiver.url(host="other.example.com"), settings, Lookups(LOOPBACK)) == "tls_error"
        assert send(receiver.url(), LOOPBACK_ALLOWED) == "tls_error", "nobody vouches for it"
    assert [request.headers["host"] for request in receiver.received] == [
        f"{host}:{receiver.port}" for host in (NAME, LOOPBACK, f"{NAME}.")
    ]


@pytest.mark.usefixtures("short")
def test_a_receiver_that_hangs_in_or_after_the_handshake_is_given_up(
    authority: Authority, receiver: WebhookReceiver
) -> None:
    assert send(receiver.url().replace("http:", "https:")) == "timeout", "it waits for the end of a head"
    with WebhookReceiver(authority.context(NAME)) as shaken:
        shaken.script = hang
        settings = settings_for("127.0.0.0/8", ca_file=authority.file)
        assert send(shaken.url(host=NAME), settings, Lookups(LOOPBACK)) == "timeout"


@pytest.mark.usefixtures("short")
def test_a_handshake_that_is_broken_off_leaves_no_connection() -> None:
    async def attempt() -> None:
        ended = asyncio.Event()

        async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()
            ended.set()

        async with await asyncio.start_server(listen, LOOPBACK, 0) as server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(NotAnswered, match="timeout"):
                await post(f"https://{LOOPBACK}:{port}/", {}, b"{}", LOOPBACK_ALLOWED)
            await asyncio.wait_for(ended.wait(), PATIENCE_SECONDS)

    asyncio.run(attempt())


def test_an_expired_certificate_is_a_tls_error(authority: Authority) -> None:
    with WebhookReceiver(authority.context(NAME, lives=-timedelta(days=1))) as receiver:
        assert send(receiver.url(), settings_for("127.0.0.0/8", ca_file=authority.file)) == "tls_error"
        assert receiver.received == []
