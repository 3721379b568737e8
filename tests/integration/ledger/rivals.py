"""Two sessions that meet at one row, in an order that the database's own view of its locks makes certain."""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

import psycopg

Session = psycopg.Connection[Any]
_T = TypeVar("_T")

_WAITS = "SELECT cardinality(pg_blocking_pids(%s)) > 0"


def begin_and_be_held_up(pool: Executor, observer: Session, session: Session, work: Callable[[], _T]) -> Future[_T]:
    """Begin a session's work in a thread; returns when it waits for another session's lock, which nobody announces."""
    begun = pool.submit(work)
    while observer.execute(_WAITS, (session.info.backend_pid,)).fetchone() != (True,):
        assert not begun.done(), "nothing held it up"
    return begun
