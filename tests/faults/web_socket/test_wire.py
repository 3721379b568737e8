"""Clients that break the rules below the level of messages: slow ones, large ones, silent ones."""

import contextlib
import select

import pytest

from api import http_protocol, web_socket_protocol
from tests.conftest import Owner
from tests.faults.web_socket.conftest import Served
from tests.faults.web_socket.wire import CLOSE, CONTINUATION, PING, TEXT, Wire, frame, handshake

PING_MESSAGE = b'{"action":"ping"}'
PONG_MESSAGE = b'{"event":"pong","ref":null}'


@pytest.fixture
def in_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten what is waited for; it must be asked for before the server."""
    monkeypatch.setattr(http_protocol, "HEADERS_SECONDS", 0.3)
    monkeypatch.setattr(web_socket_protocol, "PING_SECONDS", 0.3)


@pytest.mark.parametrize("sent", [b"", b"\r\n", b"GET /v1/ws", handshake()[:-2], handshake()[:-30]])
@pytest.mark.usefixtures("in_haste")
def test_a_handshake_that_is_never_finished_is_cut(served: Served, owner: Owner, sent: bytes) -> None:
    wire = served.connect()
    wire.send(sent)

    assert served.still_serves(owner)
    assert wire.is_cut()
    served.wait_until_empty()


def dribble(wire: Wire, content: bytes) -> bool:
    """Send byte by byte until the server says something; tells whether it did before the end."""
    for byte in content:
        wire.send(bytes([byte]))
        if select.select([wire.connection], [], [], 0.005)[0]:
            return True
    return False


@pytest.mark.usefixtures("in_haste")
def test_a_handshake_that_comes_byte_by_byte_is_cut(served: Served) -> None:
    wire = served.connect()

    assert dribble(wire, handshake(None, *(f"X-{number}: {number:050}" for number in range(50))))
    assert wire.is_cut()
    served.wait_until_empty()


@pytest.mark.usefixtures("in_haste")
def test_a_frame_that_comes_byte_by_byte_is_given_up_for_want_of_pongs(served: Served, owner: Owner) -> None:
    wire = served.open(owner)

    assert dribble(wire, frame(TEXT, b" " * 60_000))
    assert wire.read_frame()[0] == PING
    assert dribble(wire, b" " * 1000)
    assert wire.close_code() == 1011
    assert wire.is_cut()
    served.wait_until_empty()


@pytest.mark.usefixtures("in_haste")
def test_who_never_answers_a_ping_is_given_up(served: Served, owner: Owner) -> None:
    wire = served.open(owner)

    assert wire.close_code() == 1011
    assert wire.is_cut()
    served.wait_until_empty()


@pytest.mark.parametrize("size", [65_537, 10_000_000])
def test_a_frame_that_is_too_large_is_refused_and_its_client_hears_so(served: Served, owner: Owner, size: int) -> None:
    wire = served.open(owner)

    wire.send(frame(TEXT, b"x" * size))

    assert wire.close_code() == 1009
    assert served.still_serves(owner)
    wire.close()
    served.wait_until_empty()


def test_a_message_of_64_kb_is_read(served: Served, owner: Owner) -> None:
    wire = served.open(owner)

    wire.send(frame(TEXT, PING_MESSAGE.ljust(65_536)))

    assert wire.read_frame() == (TEXT, PONG_MESSAGE)


def test_fragments_together_are_no_larger_than_one_message_may_be(served: Served, owner: Owner) -> None:
    wire = served.open(owner)

    wire.send(frame(TEXT, PING_MESSAGE, final=False))
    for _ in range(100):
        wire.send(frame(CONTINUATION, b" " * 1000, final=False))

    assert wire.close_code() == 1009


def test_a_message_of_endless_empty_fragments_is_refused(served: Served, owner: Owner) -> None:
    wire = served.open(owner)

    wire.send(frame(TEXT, PING_MESSAGE, final=False) + frame(CONTINUATION, final=False) * 10_000)

    assert wire.close_code() == 1008
    assert served.still_serves(owner)


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (frame(TEXT, b"\xff\xfe"), 1007),
        (frame(TEXT, b"\xf0\x9f"), 1007),
        (frame(3), 1002),
        (frame(PING, b"x" * 126), 1002),
        (frame(CONTINUATION, b"x"), 1002),
        (b"\x81\x02{}", 1002),
        (b"GET / HTTP/1.1\r\n\r\n", 1002),
        (frame(CLOSE, b"\x00"), 1002),
        (frame(CLOSE, b"\x03\xed"), 1002),
    ],
    ids=["utf8", "half a character", "opcode", "long ping", "continuation", "no mask", "http", "close", "code"],
)
def test_what_is_no_frame_is_refused_with_the_code_for_it(
    served: Served, owner: Owner, caplog: pytest.LogCaptureFixture, sent: bytes, code: int
) -> None:
    wire = served.open(owner)

    wire.send(sent)

    assert wire.close_code() == code
    wire.close()
    served.wait_until_empty()
    assert [record for record in caplog.records if record.levelname in {"ERROR", "CRITICAL"}] == []


@pytest.mark.parametrize("known", [True, False])
def test_frames_that_do_not_wait_for_the_answer_to_the_handshake_break_nothing(
    served: Served, owner: Owner, *, known: bool
) -> None:
    wire = served.connect()
    wire.send(handshake(owner if known else None))
    wire.send(frame(TEXT, b"\xff") + b"\xff" * 1000)

    assert served.still_serves(owner)
    wire.close()
    served.wait_until_empty()


@pytest.mark.parametrize(
    "more", [[f"X-{number}: y" for number in range(200)], ["X-Long: " + "y" * 20_000]], ids=["many", "long"]
)
def test_too_many_headers_are_refused(served: Served, owner: Owner, more: list[str]) -> None:
    wire = served.connect()
    wire.send(handshake(owner, *more))

    assert wire.read_head().startswith(b"HTTP/1.1 431")
    assert wire.is_cut()
    served.wait_until_empty()


def test_a_flood_of_pings_that_nobody_reads_the_answers_to_fills_no_memory(served: Served, owner: Owner) -> None:
    wire = served.open(owner)
    pings = frame(PING, b"p" * 125) * 1000
    wire.connection.settimeout(0.5)
    sent = 0
    with contextlib.suppress(TimeoutError):
        while sent < 20_000_000:
            wire.connection.sendall(pings)
            sent += len(pings)

    assert all(size < 1_000_000 for size in served.unsent())
    assert served.still_serves(owner)
    wire.close()
    served.wait_until_empty()
