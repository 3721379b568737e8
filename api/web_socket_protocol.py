"""WebSocket connections on the wire: uvicorn's, bounded where it is not.

What it adds: a connection that its client does not read, or that is being closed, goes within a time; a refused
handshake, a frame that is too large and one that is none end with an answer that arrives; nothing that clients send is
logged, tickets and tokens neither; and a server that stops leaves it to the application to say so.
"""

import asyncio
import logging
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request

WRITE = "jobyard.write"
"""The extension of ASGI, and in it the function, that writes a message at once; see `write_frame`."""
LARGEST_MESSAGE_BYTES = 64 * 1024
PING_SECONDS = 20.0
LINGER_SECONDS = 5.0
"""How long a client may take to read what is left, and to close as well."""
STOPPING_LINGER_SECONDS = 1.0
MOST_FRAGMENTS = 256

_failures = logging.getLogger(__name__)
# Below warnings it would tell of every connection by its URL; these it calls failures, and they are the client's.
_CLIENTS_FAULTS = ("Invalid UTF-8", "ASGI callable returned without completing handshake")
_failures.addFilter(lambda record: record.levelno > logging.WARNING and not str(record.msg).startswith(_CLIENTS_FAULTS))
_nothing = logging.getLogger(f"{__name__}.frames")
_nothing.disabled = True


def text_frame(text: bytes) -> bytes:
    """Write a text message as a server's frame (RFC 6455, section 5.2)."""
    return Frame(Opcode.TEXT, text).serialize(mask=False)


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """Is one connection; see the module."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.logger = _failures
        self.conn.logger = _nothing
        self.conn.debug = False
        self.close_timeout = LINGER_SECONDS
        self._stopping = False
        self._ended = False
        self._abort_timer: asyncio.TimerHandle | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        if self._abort_timer is not None:
            self._abort_timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what the client sent; once it broke the rules, nothing more of it."""
        if self.conn.parser_exc is not None or self.conn.handshake_exc is not None:
            return
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            # The library has refused it (too many headers, a header too long), and uvicorn does not send that.
            self.transport.write(b"".join(self.conn.data_to_send()))
            self._close_soon()

    def handle_connect(self, event: Request) -> None:
        """Begin a connection, whose application may write without waiting for its turn."""
        super().handle_connect(event)
        if not self.close_sent:
            extensions = cast("dict[str, Any]", self.scope.get("extensions"))
            extensions[WRITE] = {WRITE: self.write_frame}

    def write_frame(self, frame: bytes) -> bool:
        """Write a frame of `text_frame` on a connection that is open and on which nothing is being sent.

        Gives False, and writes nothing, where the client does not keep up, has gone or is being closed.
        """
        if not self.writable.is_set() or self.close_sent or self.disconnected or self.transport.is_closing():
            return False
        self.transport.write(frame)
        return True

    def handle_cont(self, event: Frame) -> None:
        """Take a fragment; a message of very many of them, which may all be empty, is refused."""
        if self.close_sent:
            return
        if len(self.frames) >= MOST_FRAGMENTS:
            self.conn.fail(CloseCode.POLICY_VIOLATION, "too many fragments")
            self.handle_parser_exception()
            return
        super().handle_cont(event)

    def handle_ping(self) -> None:
        """Answer a ping, unless the client does not read what it was sent."""
        pongs = self.conn.data_to_send()
        if self.writable.is_set():
            self.transport.write(b"".join(pongs))

    def handle_parser_exception(self) -> None:
        """Say why the connection ends; what the client is still sending is read, or it would not hear that."""
        sent = self.conn.close_sent
        code, reason = (sent.code, sent.reason) if sent else (CloseCode.PROTOCOL_ERROR.value, "")
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.close_sent = True
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.transport.resume_reading()
        self._close_soon()

    def keepalive_timeout(self) -> None:
        """Give a client up that does not answer pings."""
        super().keepalive_timeout()
        self._abort_in(STOPPING_LINGER_SECONDS)

    def shutdown(self) -> None:
        """Begin to stop: the application ends its connections itself."""
        self._stopping = True
        if self._ended:
            self._abort_in(STOPPING_LINGER_SECONDS)

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        """End the connection with the application's part in it, whether its client reads and closes or not."""
        super().on_task_complete(task)
        self._ended = True
        if not self.disconnected:
            self._abort_in(STOPPING_LINGER_SECONDS if self._stopping else LINGER_SECONDS)

    def _close_soon(self) -> None:
        if self.transport.can_write_eof():
            self.transport.write_eof()
        # While this is set, the end of the application does not close what is still being read.
        self.close_timer = self.loop.call_later(STOPPING_LINGER_SECONDS, self.transport.close)

    def _abort_in(self, seconds: float) -> None:
        if self._abort_timer is not None:
            self._abort_timer.cancel()
        # Not close(): that waits for the client to read what is left, for ever if it does not.
        self._abort_timer = self.loop.call_later(seconds, self.transport.abort)
