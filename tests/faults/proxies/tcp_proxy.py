"""A TCP proxy in front of a service: passes everything on, until it is told to swallow it or to cut the line."""

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

from ops.ports import LOOPBACK

CHUNK = 65536


class LineCut(Exception):
    """Ends a link from both sides."""


class Link:
    """Is a client's connection and the one behind it. Once silent it stays so, like a line whose other end is gone."""

    def __init__(self, client: socket.socket, server: socket.socket | None) -> None:
        self._client = client
        self._server = server
        self.silent = server is None

    def run(self) -> None:
        """Pass on until one side has gone."""
        with self._client:
            if self._server is None:
                self._swallow()
                return
            with self._server:
                answers = threading.Thread(target=self._pass_answers, args=(self._server,))
                answers.start()
                self._pass_requests(self._server)
                answers.join()

    def close(self) -> None:
        """End both connections."""
        for end in (self._client, self._server):
            if end is not None:
                # It may have ended already.
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def see_request(self, chunk: bytes) -> bytes:
        """Give what is passed on of what the client sent; raises `LineCut`."""
        return chunk

    def see_answer(self, chunk: bytes) -> bytes:
        """Give what is passed on of what the server sent; raises `LineCut`."""
        return chunk

    def _swallow(self) -> None:
        with suppress(OSError):
            while self._client.recv(CHUNK):
                pass

    def _pass_requests(self, server: socket.socket) -> None:
        with suppress(OSError, LineCut):
            while chunk := self._client.recv(CHUNK):
                if not self.silent:
                    server.sendall(self.see_request(chunk))
        self.close()

    def _pass_answers(self, server: socket.socket) -> None:
        with suppress(OSError, LineCut):
            while chunk := server.recv(CHUNK):
                if not self.silent:
                    self._client.sendall(self.see_answer(chunk))
        # Whoever is behind a silent line does not hear that its other end has gone.
        if not self.silent:
            self.close()


class Proxy:
    """Listens on a port of its own for the server on `server_port`."""

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._listener = socket.create_server((LOOPBACK, 0))
        self.port: int = self._listener.getsockname()[1]
        self._silent = False
        self._away = False
        self._ended = False
        self._lock = threading.Lock()
        self._links: dict[Link, threading.Thread] = {}
        self._acceptor = threading.Thread(target=self._accept)
        self._acceptor.start()

    def url(self, url: str) -> str:
        """Give the URL of the server with the proxy's port in it."""
        return url.replace(f"{LOOPBACK}:{self._server_port}", f"{LOOPBACK}:{self.port}")

    def fall_silent(self) -> None:
        """Swallow everything from now on, in both directions; new connections are accepted, and heard no more of."""
        with self._lock:
            self._silent = True
            for link in self._links:
                link.silent = True

    def go_away(self) -> None:
        """Cut all connections and refuse new ones."""
        self._away = True
        self.cut()

    def come_back(self) -> None:
        """Pass new connections on again. Those that fell silent stay so."""
        self._silent = self._away = False

    def cut(self) -> None:
        """Cut all connections that there are."""
        with self._lock:
            for link in self._links:
                link.close()

    def close(self) -> None:
        """End everything."""
        self._ended = True
        # Wakes the acceptor up; on macOS a shutdown of the listener would not.
        with suppress(OSError):
            socket.create_connection((LOOPBACK, self.port)).close()
        self._acceptor.join()
        self._listener.close()
        with self._lock:
            links = dict(self._links)
        for link, thread in links.items():
            link.close()
            thread.join()

    def make_link(self, client: socket.socket, server: socket.socket | None) -> Link:
        """Make the link of a new connection."""
        return Link(client, server)

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            if self._ended:
                client.close()
                return
            threading.Thread(target=self._serve, args=(client,)).start()

    def _serve(self, client: socket.socket) -> None:
        server: socket.socket | None = None
        if not self._silent:
            try:
                server = socket.create_connection((LOOPBACK, self._server_port))
            except OSError:
                client.close()
                return
        with self._lock:
            if self._away or self._ended:
                client.close()
                if server is not None:
                    server.close()
                return
            link = self.make_link(client, server)
            link.silent |= self._silent
            self._links[link] = threading.current_thread()
        try:
            link.run()
        finally:
            with self._lock:
                del self._links[link]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
