"""Connections that have yet to say whose they are: so many at once, and no more."""

import contextlib
from collections.abc import Generator

from shared.errors import JobyardError

MOST_UNAUTHENTICATED = 500


class TooManyConnections(JobyardError):
    """Is raised when as many connections as allowed have yet to say whose they are."""

    status = 503
    code = "too_many_connections"
    title = "Too many connections"


class Unauthenticated:
    """Counts the connections of this process that have yet to say whose they are; `count` is how many there are."""

    def __init__(self) -> None:
        self.count = 0

    @contextlib.contextmanager
    def hold(self) -> Generator[None]:
        """Take a place for this block; raises `TooManyConnections`."""
        if self.count >= MOST_UNAUTHENTICATED:
            raise TooManyConnections("Too many connections have not said whose they are; bring a ticket, or try again.")
        self.count += 1
        try:
            yield
        finally:
            self.count -= 1
