"""An application for browsers, and real servers: one after the other or several at once."""

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from shared.settings import Settings
from tests.api_server import Server, running_server

StartServer = Callable[[], Server]


@pytest.fixture
def page(settings: Settings) -> Iterator[TestClient]:
    """Run an application that a page of another origin may use."""
    settings.cors_origins.append("https://shop.example")
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def start_server(settings: Settings) -> Generator[StartServer]:
    """Give what starts `python -m api`."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(running_server(settings))
