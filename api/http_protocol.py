"""HTTP connections on the wire: uvicorn's, with a time within which a request's headers must have come.

Without it, whoever sends a byte now and then holds a connection for good, handshakes of WebSockets included.
"""

import asyncio
from typing import cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

HEADERS_SECONDS = 20.0
ABORT = "jobyard.abort"
"""The extension of ASGI, and in it the function, that cuts a connection."""
WRITE = "jobyard.write"
"""The extension of ASGI, and in it the function, that writes a piece of an answer at once; see `write_chunk`."""


def chunk_of(body: bytes) -> bytes:
    """Write a piece of a body as a chunk (RFC 9112, section 7.1)."""
    return b"%x\r\n%b\r\n" % (len(body), body)


class HttpProtocol(HttpToolsProtocol):
    """Is one connection; one that begins a request and does not finish its headers is closed."""

    _headers_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Expect the first request's headers."""
        super().connection_made(transport)
        self._expect_headers()

    def data_received(self, data: bytes) -> None:
        """Take what the client sent; between two requests the first byte begins the time of the next one."""
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if self._headers_timer is None and (cycle is None or cycle.response_complete):
            self._expect_headers()
        super().data_received(data)

    def on_message_begin(self) -> None:
        """Begin to read a request, whose application may cut the connection whatever is still unsent."""
        super().on_message_begin()
        self.scope["extensions"] = {ABORT: {ABORT: self.transport.abort}, WRITE: {WRITE: self.write_chunk}}

    def on_headers_complete(self) -> None:
        """Begin a request; its body has limits of its own."""
        self._stop_expecting()
        super().on_headers_complete()

    def write_chunk(self, chunk: bytes) -> bool:
        """Write a chunk of an answer that has begun, is sent in chunks, and of which nothing is being sent.

        Gives False, and writes nothing, where the client does not keep up or has gone.
        """
        if self.flow.write_paused or self.transport.is_closing():
            return False
        self.transport.write(chunk)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_expecting()
        super().connection_lost(exc)

    def _expect_headers(self) -> None:
        self._headers_timer = self.loop.call_later(HEADERS_SECONDS, self.transport.abort)

    def _stop_expecting(self) -> None:
        if self._headers_timer is not None:
            self._headers_timer.cancel()
            self._headers_timer = None
