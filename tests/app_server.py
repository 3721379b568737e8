"""The application behind a real uvicorn in a thread of the test: for streams, of which a test client would see the end.

The test can look into the application while it serves.
"""

import asyncio
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx2
import uvicorn
from fastapi import FastAPI

from api.server import Server
from api.serving import make_config

DEADLINE_SECONDS = 20


class _Server(Server):
    def __init__(self, app: FastAPI) -> None:
        super().__init__(make_config(app, "127.0.0.1", 0), app.state.resources.changes)
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


@dataclass(frozen=True, slots=True)
class AppServer:
    """Is a running server."""

    port: int
    server: uvicorn.Server
    thread: threading.Thread

    def client(self) -> httpx2.Client:
        """Open a client."""
        return httpx2.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=DEADLINE_SECONDS, trust_env=False)

    def stop(self) -> None:
        """Begin to stop, as SIGTERM would."""
        self.server.should_exit = True


@contextmanager
def serving(app: FastAPI) -> Generator[AppServer]:
    """Serve an application on a free loopback port until the block ends."""
    server = _Server(app)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])))
        thread.start()
        try:
            assert server.ready.wait(DEADLINE_SECONDS)
            yield AppServer(listener.getsockname()[1], server, thread)
        finally:
            server.should_exit = True
            thread.join(DEADLINE_SECONDS)
            assert not thread.is_alive()
