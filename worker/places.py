"""Places in a worker: how many of its slots may be taken at a time by what could keep them for long."""

import os
import socket
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from typing import LiteralString

import psycopg

from worker.handler_database import HandlerDatabase

_PLACE = "SELECT pg_try_advisory_lock(%(key)s, %(number)s)"
_GIVE_BACK = "SELECT pg_advisory_unlock(%(key)s, %(number)s)"


@contextmanager
def place(database: HandlerDatabase, line: str, places: int) -> Generator[bool]:
    """Take one of this worker's places in a line, for the time of the block; False when none is free.

    A place is a lock in PostgreSQL, which frees it when the process dies.
    """
    key = zlib.crc32(f"{line} {socket.gethostname()} {os.getppid()}".encode()) - 2**31
    taken = next((number for number in range(places) if _ask(database, _PLACE, key, number)), None)
    try:
        yield taken is not None
    finally:
        if taken is not None:
            _ask(database, _GIVE_BACK, key, taken)


def _ask(database: HandlerDatabase, statement: LiteralString, key: int, number: int) -> bool:
    try:
        [(answer,)] = database.rows(statement, {"key": key, "number": number})
    except psycopg.OperationalError:
        # Without its connection the place is given back already, and none is worth waiting for PostgreSQL here.
        return False
    return answer
