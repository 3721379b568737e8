"""SIGTERM: every client is told that the server stops, at once, and none holds the stop up."""

import contextlib
import json
import signal

import pytest

from shared.settings import Settings
from tests.api_server import running_server
from tests.conftest import Owner
from tests.faults.web_socket.wire import TEXT, Wire, connect, frame, handshake

KNOWN = 20
UNKNOWN = 20


def open_all(wires: list[Wire], owner: Owner) -> None:
    for number, wire in enumerate(wires):
        wire.send(handshake(owner if number < KNOWN else None))
        assert wire.read_head().startswith(b"HTTP/1.1 101")
    for wire in wires[:KNOWN]:
        assert b'"event":"ready"' in wire.read_frame()[1]
        wire.send(frame(TEXT, b'{"action":"subscribe","all":true}'))
        assert b'"event":"subscribed"' in wire.read_frame()[1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_all_are_told_and_closed_with_1001(settings: Settings, owner: Owner, number: signal.Signals) -> None:
    with running_server(settings) as server, contextlib.ExitStack() as held:
        wires = [held.enter_context(connect(server.port)) for _ in range(KNOWN + UNKNOWN)]
        unfinished = held.enter_context(connect(server.port))
        unfinished.send(handshake(owner)[:-2])
        open_all(wires, owner)

        server.memory.send_signal(number)

        for wire in wires:
            opcode, content = wire.read_frame()
            assert (opcode, json.loads(content)) == (TEXT, {"event": "end", "reason": "stopping"})
            assert wire.close_code() == 1001
        assert unfinished.is_cut()
        # None of them has answered the close, and none needs to.
        assert server.wait_exit() == 0
