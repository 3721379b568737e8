"""A mail server that takes everything and keeps nothing: `python -m tests.bench.mail_sink`.

It prints its port; for each line on its standard input, `read` or `reset`, it prints what has arrived since the last
reset. It ends with its input. aiosmtpd would cost more for a message than what is measured with it.
"""

import asyncio
import gc
import json
import os
import sys
import time
from dataclasses import asdict, dataclass
from typing import cast

import uvloop

LOOPBACK = "127.0.0.1"
_GREETING = b"220 sink\r\n"
_EXTENSIONS = b"250-sink\r\n250-SIZE 52428800\r\n250-8BITMIME\r\n250-PIPELINING\r\n250 SMTPUTF8\r\n"
_OK = b"250 OK\r\n"
_GO_AHEAD = b"354 Go ahead\r\n"
_GOODBYE = b"221 Bye\r\n"
_END = b"\r\n.\r\n"


@dataclass
class Arrivals:
    """Is what has arrived since the last reset; times of the monotonic clock, which all processes share."""

    messages: int = 0
    connections: int = 0
    content_bytes: int = 0
    last_at: float = 0.0


class Conversation(asyncio.Protocol):
    """Answers one client, pipelined or not."""

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self._received = b""
        self._takes_content = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclass of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._arrivals.connections += 1
        self._transport.write(_GREETING)

    def data_received(self, data: bytes) -> None:
        self._received += data
        answers: list[bytes] = []
        while (answer := self._next_answer()) is not None:
            answers.append(answer)
        if self._transport is not None and answers:
            self._transport.write(b"".join(answers))
            if answers[-1] is _GOODBYE:
                self._transport.close()

    def _next_answer(self) -> bytes | None:
        end = _END if self._takes_content else b"\r\n"
        found, separator, rest = self._received.partition(end)
        if not separator:
            return None
        self._received = rest
        if self._takes_content:
            self._takes_content = False
            self._arrivals.messages += 1
            self._arrivals.content_bytes += len(found)
            self._arrivals.last_at = time.monotonic()
            return _OK
        return self._obey(found[:4].upper())

    def _obey(self, verb: bytes) -> bytes:
        match verb:
            case b"EHLO":
                return _EXTENSIONS
            case b"DATA":
                self._takes_content = True
                return _GO_AHEAD
            case b"QUIT":
                return _GOODBYE
            case _:
                return _OK


async def serve() -> None:
    """Serve until the input ends."""
    loop = asyncio.get_running_loop()
    arrivals = Arrivals()
    server = await loop.create_server(lambda: Conversation(arrivals), LOOPBACK, 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    ended = asyncio.Event()

    def obey() -> None:
        order = os.read(sys.stdin.fileno(), 64)
        if order.startswith(b"reset"):
            arrivals.__init__()
        elif not order:
            ended.set()
            return
        print(json.dumps(asdict(arrivals)), flush=True)

    loop.add_reader(sys.stdin.fileno(), obey)
    gc.freeze()
    await ended.wait()
    loop.remove_reader(sys.stdin.fileno())
    server.close()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve())
