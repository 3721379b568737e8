"""A queue's line to Celery: a shallow window of messages, filled in fair order.

What waits in Celery can no longer be overtaken, so little does: a few jobs while they go slowly, more the faster they
go, which keeps many short ones flowing. The window is filled when half of it has left, not for every job that leaves.
"""

import time
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from psycopg import Connection

from shared.job_kind import JobKind
from worker.dispatching import Dispatch
from worker.fair_order import FairOrder

SLOW_SECONDS = 1.0
"""A window of which half has not left after this long is halved."""
MOST_WALKS = 16
"""How many groups of owners a round looks at when their lanes are full, before others get their turn."""


class Window:
    """Says how many jobs may be handed over: doubles when all of it went between two looks, shrinks when little did."""

    def __init__(self, least: int, most: int) -> None:
        self._least = min(least, most)
        self._most = most
        self._was_filled = False
        self._changed_at = time.monotonic()
        self.size = self._least

    def places(self, waiting: int) -> int:
        """Give how many more jobs fit, beside those that wait; 0 while more than half of the window is taken."""
        if waiting == 0 and self._was_filled:
            self.size = min(self.size * 2, self._most)
            self._was_filled = False
        if waiting * 2 <= self.size:
            return self.size - waiting
        if time.monotonic() - self._changed_at > SLOW_SECONDS:
            self.size = max(self.size // 2, self._least)
            self._changed_at = time.monotonic()
        return 0

    def note(self, taken: int, places: int) -> None:
        """Note how many jobs were handed over."""
        self._was_filled = taken == places
        self._changed_at = time.monotonic()


class QueueLine:
    """Hands a queue's jobs over, some at a time."""

    def __init__(self, queue: str, kinds: Iterable[JobKind], least: int, most: int) -> None:
        self.window = Window(least, most)
        self._order = FairOrder(queue, kinds)
        self._most_hurried = most
        self._hurried = 0

    def fill(self, connection: Connection[Any], holder: UUID, waiting: int) -> list[Dispatch]:
        """Mark what fits into the window; once it is taken, only urgent jobs in place of others."""
        places = self.window.places(waiting)
        if places == 0:
            return self._hurry(connection, holder)
        self._hurried = 0
        taken: list[Dispatch] = []
        for _ in range(MOST_WALKS):
            picked, owners_left = self._order.pick(connection, holder, places - len(taken))
            taken += picked
            if not owners_left or len(taken) == places:
                break
        self.window.note(len(taken), places)
        return taken

    def note_undone(self) -> None:
        """Note that jobs were taken back unsent: that they are gone from the window does not mean that it drained."""
        self.window.note(0, self.window.size)

    def _hurry(self, connection: Connection[Any], holder: UUID) -> list[Dispatch]:
        # Each leaves a stale message behind; a line that does not move must not pile them up.
        if self._hurried >= self._most_hurried:
            return []
        hurried = self._order.hurry(connection, holder)
        self._hurried += len(hurried)
        return hurried
