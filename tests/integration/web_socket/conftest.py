"""A client of `/v1/ws` in the test's own process: what it sends, and what it gets."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.testclient import WebSocketTestSession
from starlette.websockets import WebSocketDisconnect

from tests.conftest import Owner

PATH = "/v1/ws"
JSON = dict[str, Any]


@pytest.fixture
def anyio_backend() -> str:
    """Run asynchronous tests on asyncio."""
    return "asyncio"


def token_of(owner: Owner) -> str:
    """Give an owner's access token."""
    return owner.headers["Authorization"].removeprefix("Bearer ")


@dataclass(frozen=True, slots=True)
class Talk:
    """Is an open connection."""

    session: WebSocketTestSession

    def send(self, **message: Any) -> None:
        """Send a message."""
        self.session.send_json(message)

    def ask(self, **message: Any) -> JSON:
        """Send a message and give the next one that comes."""
        self.send(**message)
        return self.receive()

    def receive(self) -> JSON:
        """Give the next message that comes."""
        return self.session.receive_json()

    def jobs(self, count: int) -> list[JSON]:
        """Give the jobs of the next messages, which must be of jobs."""
        messages = [self.receive() for _ in range(count)]
        assert {message["event"] for message in messages} <= {"job"}
        return [message["data"] for message in messages]

    def end(self) -> tuple[str, int]:
        """Give why the server ends the connection, and the code."""
        message = self.receive()
        assert message["event"] == "end"
        with pytest.raises(WebSocketDisconnect) as closed:
            self.receive()
        return message["reason"], closed.value.code


@contextmanager
def talking(client: TestClient, owner: Owner | None, path: str = PATH, **headers: str) -> Generator[Talk]:
    """Connect, as an owner or before saying who it is."""
    given = headers if owner is None else owner.headers | headers
    with client.websocket_connect(path, headers=given) as session:
        talk = Talk(session)
        if owner is not None:
            assert talk.receive()["event"] == "ready"
        yield talk
