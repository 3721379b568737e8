"""A real server, for what only it shows of uploads."""

from collections.abc import Callable, Generator
from contextlib import ExitStack

import pytest

from shared.settings import Settings
from tests.api_server import Server, running_server

StartServer = Callable[..., Server]


@pytest.fixture
def start_server(settings: Settings) -> Generator[StartServer]:
    """Give what starts `python -m api`, after a line of shell if one is given."""
    with ExitStack() as stack:

        def start(shell_prefix: str = "") -> Server:
            return stack.enter_context(running_server(settings, shell_prefix))

        yield start
