"""Redis frozen, wiped and killed: changes and broadcasts come from the ledger, once, and by messages again after."""

import json
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest
import redis
from websockets.sync.client import ClientConnection, connect

from api import broadcast_room, change_channel, ledger_look
from api.app import create_app
from ops.redis import LocalRedis
from shared.settings import Settings
from tests.app_server import serving
from tests.conftest import Owner
from tests.faults.services.yards import frozen, restart_empty

JSON = dict[str, Any]
DEADLINE_SECONDS = 30


class Talk:
    """Is a WebSocket on one process, and somebody who acts on another."""

    def __init__(self, socket: ClientConnection, http: httpx2.Client, owner: Owner, operator: Owner) -> None:
        self._socket = socket
        self._http = http
        self._owner = owner
        self._operator = operator

    def receive(self, timeout: float = DEADLINE_SECONDS) -> JSON:
        """Give the next message."""
        return json.loads(self._socket.recv(timeout=timeout))

    def ask(self, **message: Any) -> JSON:
        """Send a message and give its answer."""
        self._socket.send(json.dumps(message))
        return self.receive()

    def enqueue(self) -> JSON:
        """Enqueue a job on the other process."""
        body = {"kind": "test.echo", "input": {}}
        return self._http.post("/v1/jobs", json=body, headers=self._owner.headers).raise_for_status().json()

    def cancel(self, job: JSON) -> JSON:
        """Cancel a job on the other process."""
        return self._http.post(job["links"]["cancel"], headers=self._owner.headers).raise_for_status().json()

    def broadcast(self, message: str) -> JSON:
        """Tell everybody something on the other process."""
        body = {"message": message}
        answer = self._http.post("/v1/admin/broadcast", json=body, headers=self._operator.headers)
        return answer.raise_for_status().json()

    def goes_on(self) -> None:
        """See a job and a broadcast through, each message of which comes once."""
        job = self.enqueue()
        assert self.receive() == {"event": "job", "data": job}
        ended = self.cancel(job)
        assert self.receive() == {"event": "job", "data": ended}
        said = self.broadcast("still there?")
        assert self.receive() == {"event": "broadcast", "data": said}
        assert self.ask(action="ping") == {"event": "pong", "ref": None}

    def hears_by_messages(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Hear with the ledger left alone, as soon as messages come again.

        One look into the ledger may still be under way, so it takes three.
        """
        monkeypatch.setattr(ledger_look, "LEDGER_SECONDS", 3600.0)
        monkeypatch.setattr(broadcast_room, "LOOK_SECONDS", 3600.0)
        heard = 0
        for number in range(DEADLINE_SECONDS * 2):
            self.broadcast(str(number))
            try:
                message = self.receive(timeout=0.5)
            except TimeoutError:
                continue
            assert message["event"] == "broadcast"
            heard += 1
            if heard == 3:
                return
        pytest.fail("no message came by Redis")


@pytest.fixture(scope="module")
def own_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRedis]:
    server = LocalRedis(tmp_path_factory.mktemp("redis"))
    server.start()
    try:
        yield server
    finally:
        server.remove()


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look into the ledger, for broadcasts and for Redis, sooner than once a second."""
    monkeypatch.setattr(ledger_look, "LEDGER_SECONDS", 0.2)
    monkeypatch.setattr(broadcast_room, "LOOK_SECONDS", 0.2)
    monkeypatch.setattr(change_channel, "AGAIN_SECONDS", 0.2)


@pytest.fixture
def talk(settings: Settings, own_redis: LocalRedis, owner: Owner, operator: Owner) -> Generator[Talk]:
    own = settings.model_copy(update={"redis_url": own_redis.url})
    with (
        serving(create_app(own)) as one,
        serving(create_app(own)) as two,
        one.client() as http,
        connect(f"ws://127.0.0.1:{two.port}/v1/ws", additional_headers=owner.headers, proxy=None) as socket,
    ):
        talk = Talk(socket, http, owner, operator)
        assert talk.receive()["event"] == "ready"
        assert talk.ask(action="subscribe", all=True)["event"] == "subscribed"
        talk.goes_on()
        yield talk


@contextmanager
def wiped(server: LocalRedis) -> Generator[None]:
    with redis.Redis.from_url(server.url) as client:
        client.flushall()
    yield


@contextmanager
def gone(server: LocalRedis) -> Generator[None]:
    server.kill()
    try:
        yield
    finally:
        restart_empty(server)


@contextmanager
def stopped(server: LocalRedis) -> Generator[None]:
    with frozen(server.pid):
        yield


@pytest.mark.parametrize("fault", [stopped, wiped, gone])
def test_nothing_is_missed_and_messages_come_again(
    talk: Talk, own_redis: LocalRedis, monkeypatch: pytest.MonkeyPatch, fault: Any
) -> None:
    with fault(own_redis):
        talk.goes_on()

    talk.hears_by_messages(monkeypatch)
