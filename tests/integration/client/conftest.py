"""A whole Jobyard for the tests of its client, and the client in both editions behind one face."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any, TypedDict
from urllib.parse import urlsplit

import pytest

from jobyard import AsyncJobyard, Jobyard
from jobyard.calls import Resource
from tests.faults.conftest import Yard, open_yard
from tests.integration.client.http_proxy import HttpProxy
from tests.webhook_receiver import WebhookReceiver

PASSWORD = "correct horse battery staple"
Connect = Callable[..., Any]
"""Opens a client of the edition under test: what `Jobyard` takes, and its methods, which block."""


class Login(TypedDict):
    """Signs an account in."""

    email: str
    password: str


_numbers = count()
_END = object()


@pytest.fixture(scope="session")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    """Run a Jobyard for all tests of the client."""
    with open_yard(
        tmp_path_factory.mktemp("client"),
        only=("web", "dispatcher", "worker", "mailbox"),
        lease_seconds=30,
        environment={"JOBYARD_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8"},
    ) as yard:
        yield yard


@pytest.fixture
def url(yard: Yard) -> str:
    """Give the address of the server."""
    return yard.stack.endpoints.api_url


@pytest.fixture
def login(url: str) -> Login:
    """Make an account for a test."""
    email = f"user{next(_numbers)}@example.com"
    with Jobyard(url) as client:
        client.register(email, PASSWORD)
    return {"email": email, "password": PASSWORD}


@pytest.fixture
def proxy(url: str) -> Iterator[HttpProxy]:
    """Put a proxy before the server."""
    with closing(HttpProxy(urlsplit(url).port or 0)) as proxy:
        yield proxy


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    """Run a receiver of webhooks."""
    with WebhookReceiver() as receiver:
        yield receiver


@pytest.fixture(params=[Jobyard, AsyncJobyard], ids=["sync", "async"])
def connect(request: pytest.FixtureRequest) -> Iterator[Connect]:
    """Open clients of one edition, and close them after the test."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    opened: list[Any] = []

    def open_client(*given: Any, **named: Any) -> Any:
        client = request.param(*given, **named)
        opened.append(client if isinstance(client, Jobyard) else Blocking(client, loop))
        return opened[-1]

    try:
        yield open_client
        for client in opened:
            client.close()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture
def client(connect: Connect, url: str, login: Login) -> Any:
    """Open a client of the edition under test for an account of its own."""
    return connect(url, **login)


@pytest.fixture
def behind(connect: Connect, proxy: HttpProxy, url: str, login: Login) -> Any:
    """Open such a client behind a proxy. Its own pauses are short: the proxy's faults end soon."""
    return connect(proxy.url(url), **login, timeout=20)


@pytest.fixture
def photograph() -> Path:
    """Give a picture."""
    return Path("jobyard/samples/cat-on-its-side.jpg")


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pause for less between tries: the faults here end soon."""
    monkeypatch.setattr("jobyard.retries.FIRST_PAUSE_SECONDS", 0.02)
    monkeypatch.setattr("jobyard.retries.LONGEST_PAUSE_SECONDS", 0.2)


class Blocking:
    """Shows an asynchronous client as a blocking one, so that one suite tests both."""

    def __init__(self, target: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._target = target
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._target, name)
        if isinstance(value, Resource):
            return Blocking(value, self._loop)
        return self._blocking(value) if callable(value) else value

    def _blocking(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def run(*given: Any, **named: Any) -> Any:
            made: Any = method(*given, **named)
            if isinstance(made, AsyncGenerator):
                return self._iterate(made)
            return asyncio.run_coroutine_threadsafe(made, self._loop).result(60)

        return run

    def _iterate(self, values: "AsyncGenerator[Any, None]") -> Iterator[Any]:
        async def take() -> Any:
            return await anext(values, _END)

        try:
            while (taken := asyncio.run_coroutine_threadsafe(take(), self._loop).result(60)) is not _END:
                yield taken
        finally:
            asyncio.run_coroutine_threadsafe(values.aclose(), self._loop).result(60)
