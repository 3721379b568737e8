"""Looks at the soak from outside while it runs: jobs under way, and the memory of every program."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import psutil
import psycopg

from ops.stack import Stack
from ops.supervisor import ProgramNotRunning

_LOOK_SECONDS = 0.25
_LOOKS_PER_SAMPLE = 8
_CONNECT_SECONDS = 3
_COUNT = """
SELECT count(*) FILTER (WHERE finished_at IS NULL), count(*) FILTER (WHERE finished_at IS NOT NULL) FROM jobs
WHERE owner_id = (SELECT id FROM users WHERE email = %s)
"""


class Watch:
    """Counts an account's jobs four times a second and takes the memory of the programs every two seconds.

    `on_count` gets the number of jobs under way. `memory` holds, per program, the resident megabytes of all its
    processes, in the order of time.
    """

    def __init__(self, stack: Stack, account: str, on_count: Callable[[int], None]) -> None:
        self.memory: dict[str, list[float]] = {}
        self.under_way = 0
        self.finished = 0
        self.finished_at = time.monotonic()
        self._stack = stack
        self._account = account
        self._on_count = on_count
        self._connection: psycopg.Connection[Any] | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look_on, name="watch")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        if self._connection is not None:
            self._connection.close()

    def _look_on(self) -> None:
        looks = 0
        while not self._stop.wait(_LOOK_SECONDS):
            if looks % _LOOKS_PER_SAMPLE == 0:
                self._sample_memory()
            looks += 1
            # PostgreSQL is among what is being killed.
            with suppress(psycopg.Error):
                self._count()

    def _count(self) -> None:
        if self._connection is None or self._connection.closed:
            url = self._stack.endpoints.database_url
            self._connection = psycopg.connect(url, autocommit=True, connect_timeout=_CONNECT_SECONDS)
        row = self._connection.execute(_COUNT, (self._account,)).fetchone()
        self.under_way, finished = row if row is not None else (0, 0)
        if finished != self.finished:
            self.finished, self.finished_at = finished, time.monotonic()
        self._on_count(self.under_way)

    def _sample_memory(self) -> None:
        for name in self._stack.supervisor.names:
            with suppress(ProgramNotRunning, psutil.NoSuchProcess):
                leader = psutil.Process(self._stack.supervisor.pid(name))
                self.memory.setdefault(name, []).append(_resident(leader))
        if self._stack.redis is not None and self._stack.redis.is_running:
            with suppress(psutil.NoSuchProcess):
                self.memory.setdefault("redis", []).append(_resident(psutil.Process(self._stack.redis.pid)))


def _resident(leader: psutil.Process) -> float:
    total = leader.memory_info().rss
    for child in leader.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            total += child.memory_info().rss
    return total / 2**20
