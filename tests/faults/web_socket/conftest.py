"""An application behind a real server in the test's process, which the test can look into."""

import time
from collections.abc import Generator
from contextlib import ExitStack
from typing import Any

import pytest
from fastapi import FastAPI

from api.resources import Resources
from tests.app_server import AppServer, serving
from tests.conftest import Owner
from tests.faults.web_socket import wire
from tests.faults.web_socket.wire import Wire


class Served:
    """Is a running application."""

    def __init__(self, app: FastAPI, server: AppServer, held: ExitStack) -> None:
        self._held = held
        self._server = server
        self._owners: dict[Any, Any] = app.state.resources.changes.watched.owners
        self.resources: Resources = app.state.resources

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._server.port

    def count(self) -> dict[str, int]:
        """Count what connections leave behind: themselves, tasks, feeds and who they are held for."""
        return {
            "connections": len(self._server.server.server_state.connections),
            "tasks": len(self._server.server.server_state.tasks),
            "owners": len(self._owners),
            "jobs": len(self.resources.changes.watched.jobs),
        }

    def unsent(self) -> list[int]:
        """Tell how many bytes wait for each connection to be read, besides what the system keeps."""
        connections: list[Any] = list(self._server.server.server_state.connections)
        return [connection.transport.get_write_buffer_size() for connection in connections]

    def wait_until_empty(self) -> None:
        """Wait until nothing is left of any connection."""
        deadline = time.monotonic() + wire.DEADLINE_SECONDS
        while any(left := self.count().values()):
            assert time.monotonic() < deadline, left
            time.sleep(0.02)

    def connect(self) -> Wire:
        """Open a connection for the length of the test; nothing is sent yet."""
        return self._held.enter_context(wire.connect(self.port))

    def open(self, owner: Owner | None = None) -> Wire:
        """Open a WebSocket for the length of the test; as an owner, it is ready."""
        opened = self.connect()
        opened.send(wire.handshake(owner))
        assert opened.read_head().startswith(b"HTTP/1.1 101")
        if owner is not None:
            assert b'"event":"ready"' in opened.read_frame()[1]
        return opened

    def still_serves(self, owner: Owner) -> bool:
        """Tell whether somebody else is served."""
        other = self.open(owner)
        other.send(wire.frame(wire.TEXT, b'{"action":"ping"}'))
        answer = other.read_frame()
        other.close()
        return answer == (wire.TEXT, b'{"event":"pong","ref":null}')


@pytest.fixture
def served(app: FastAPI) -> Generator[Served]:
    """Serve the test's application."""
    with serving(app) as server, ExitStack() as held:
        yield Served(app, server, held)
