"""WebSockets by hand, for what no client library would send."""

import base64
import os
import socket
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.conftest import Owner

DEADLINE_SECONDS = 30
_MASK = b"\x00\x00\x00\x00"
TEXT, CONTINUATION, CLOSE, PING, PONG = 1, 0, 8, 9, 10


def handshake(owner: Owner | None = None, *more: str) -> bytes:
    """Make the request that opens a WebSocket."""
    key = base64.b64encode(os.urandom(16)).decode()
    lines = ["GET /v1/ws HTTP/1.1", "Host: jobyard", "Upgrade: websocket", "Connection: Upgrade", *more]
    lines += ["Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}"]
    if owner is not None:
        lines.append(f"Authorization: {owner.headers['Authorization']}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def frame(opcode: int, content: bytes = b"", *, final: bool = True) -> bytes:
    """Make a frame as clients send it; its mask is of zeros."""
    length = len(content)
    if length < 126:
        size = bytes([0x80 | length])
    elif length < 65536:
        size = bytes([0x80 | 126]) + length.to_bytes(2, "big")
    else:
        size = bytes([0x80 | 127]) + length.to_bytes(8, "big")
    return bytes([(0x80 if final else 0) | opcode]) + size + _MASK + content


@dataclass(slots=True)
class Wire:
    """Is a connection below the level of messages."""

    connection: socket.socket
    _left: bytes = b""

    def send(self, content: bytes) -> None:
        """Send bytes."""
        self.connection.sendall(content)

    def close(self) -> None:
        """Go away."""
        self.connection.close()

    def read_head(self) -> bytes:
        """Read the answer to a handshake."""
        while b"\r\n\r\n" not in self._left:
            self._read_more()
        head, _, self._left = self._left.partition(b"\r\n\r\n")
        return head

    def read_frame(self) -> tuple[int, bytes]:
        """Read a frame; gives its opcode and content. Raises `ConnectionError` at the end."""
        opcode, length = self._read(1)[0] & 15, self._read(1)[0]
        if length >= 126:
            length = int.from_bytes(self._read(2 if length == 126 else 8), "big")
        return opcode, self._read(length)

    def close_code(self) -> int:
        """Read on to the frame that closes the connection; gives its code."""
        while True:
            opcode, content = self.read_frame()
            if opcode == CLOSE:
                return int.from_bytes(content[:2], "big")

    def is_cut(self) -> bool:
        """Read whatever there still is; gives True when the connection has ended, which is waited for."""
        try:
            while self.connection.recv(65536):
                pass
        except ConnectionError:
            pass
        return True

    def _read(self, count: int) -> bytes:
        while len(self._left) < count:
            self._read_more()
        content, self._left = self._left[:count], self._left[count:]
        return content

    def _read_more(self) -> None:
        more = self.connection.recv(65536)
        if not more:
            raise ConnectionError
        self._left += more


@contextmanager
def connect(port: int) -> Generator[Wire]:
    """Open a connection for this block; nothing is sent yet."""
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_SECONDS) as connection:
        yield Wire(connection)
