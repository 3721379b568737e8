"""A proxy that understands PostgreSQL's protocol, version 3, well enough to cut the line around a chosen COMMIT."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.faults.proxies.tcp_proxy import LineCut, Link, Proxy

_HEADER_BYTES = 5
_LENGTH_BYTES = 4
_WAIT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Cut:
    """Is a transaction around which the line shall be cut: that of the first statement with these words.

    It is either committed, and the answer to that is lost, or the statement is lost and it never comes to a commit.
    """

    words: str
    committed: bool
    made: threading.Event = field(default_factory=threading.Event)

    def wait(self) -> None:
        """Wait until the line was cut."""
        assert self.made.wait(_WAIT_SECONDS), f"nobody executed a statement with {self.words!r}"


class Messages:
    """Splits a stream into messages: a letter, a length, a body. A client's first one has no letter."""

    def __init__(self, *, begins_without_letter: bool) -> None:
        self._buffer = b""
        self._no_letter = begins_without_letter

    def split(self, chunk: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Add to the stream; give each message that is complete now, as its letter and the whole of it."""
        self._buffer += chunk
        while True:
            start = 0 if self._no_letter else 1
            if len(self._buffer) < start + _LENGTH_BYTES:
                return
            (length,) = struct.unpack_from("!I", self._buffer, start)
            if len(self._buffer) < start + length:
                return
            message, self._buffer = self._buffer[: start + length], self._buffer[start + length :]
            yield message[:start], message
            self._no_letter = False


class PostgresLink(Link):
    """Follows which statements a session executes."""

    def __init__(
        self, client: socket.socket, server: socket.socket | None, take_cut: Callable[[str], Cut | None]
    ) -> None:
        super().__init__(client, server)
        self._take_cut = take_cut
        self._requests = Messages(begins_without_letter=True)
        self._answers = Messages(begins_without_letter=False)
        self._prepared: dict[bytes, str] = {}
        self._cut: Cut | None = None
        self._held_back = b""

    def see_request(self, chunk: bytes) -> bytes:
        """Note what is executed before it is passed on; cut the line when it must not be."""
        for letter, message in self._requests.split(chunk):
            body = message[_HEADER_BYTES:]
            if letter == b"P":
                name, text, _ = body.split(b"\0", 2)
                self._prepared[name] = text.decode()
            elif letter == b"B":
                _, name, _ = body.split(b"\0", 2)
                self._note(self._prepared[name])
            elif letter == b"Q":
                self._note(body.rstrip(b"\0").decode())
        return chunk

    def _note(self, statement: str) -> None:
        if self._cut is None:
            self._cut = self._take_cut(statement)
            if self._cut is not None and not self._cut.committed:
                self._cut.made.set()
                raise LineCut

    def see_answer(self, chunk: bytes) -> bytes:
        """Pass on what is complete; lose the answer that says that the chosen transaction has ended."""
        passed = b""
        for letter, message in self._answers.split(chunk):
            if self._cut is None:
                passed += message
                continue
            self._held_back += message
            if letter == b"Z":
                # ReadyForQuery names the session's state: I is idle, so the transaction is over.
                if message.endswith(b"I"):
                    self._cut.made.set()
                    raise LineCut
                passed, self._held_back = passed + self._held_back, b""
        return passed


class PostgresProxy(Proxy):
    """Cuts lines where it is told to."""

    def __init__(self, server_port: int) -> None:
        super().__init__(server_port)
        self._next_cut: Cut | None = None

    def url(self, url: str) -> str:
        """Give the URL with the proxy's port in it; clients must speak plainly."""
        return super().url(url) + "?sslmode=disable&gssencmode=disable"

    def cut_at(self, words: str, *, committed: bool) -> Cut:
        """Cut the line around the COMMIT of the next statement that contains these words, however they are spaced."""
        self._next_cut = Cut(words, committed)
        return self._next_cut

    def make_link(self, client: socket.socket, server: socket.socket | None) -> Link:
        """Make the link of a new session."""
        return PostgresLink(client, server, self._take_cut)

    def _take_cut(self, statement: str) -> Cut | None:
        with self._lock:
            cut = self._next_cut
            if cut is None or cut.words not in " ".join(statement.split()):
                return None
            self._next_cut = None
            return cut
