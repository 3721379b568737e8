"""The heartbeat: one thread per child that keeps the running job's lease alive, whatever the handler is doing.

It has a connection of its own, carries progress to the ledger and brings cancel requests back. A handler that holds
the GIL for longer than three quarters of a lease would starve it; C code that works that long releases the GIL.
"""

import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg

from shared.database import connect
from shared.job_events import EventPublisher
from shared.settings import Settings
from worker import ledger
from worker.ledger import Claim, Progress

logger = logging.getLogger(__name__)

PROGRESS_SECONDS = 0.25
"""The shortest time between two progress writes of a job."""
LOOK_SECONDS = 1.0
"""The shortest time between two looks for a cancel request that a handler asks for."""
REST_AFTER_SECONDS = 2.0
"""How long after the last job began the thread goes to sleep for good."""
STOP_LOOK_SECONDS = 0.25
"""How often a running job's heartbeat looks whether the worker is stopping."""
FINISH_SECONDS = 2.5
"""How long a job may go on after the worker began to stop; then it is put back."""
ANNOUNCE_SECONDS = 0.05
"""How long a job runs before others are told that it does: most short jobs need no such hint."""


@dataclass(slots=True)
class Watch:
    """Is what is known about the job being watched; `progress` is what was reported and not yet written."""

    held: Claim
    announce_at: float
    next_beat: float
    next_report: float = 0.0
    next_look: float = 0.0
    progress: Progress | None = None
    asked: bool = False
    cancel_requested: bool = False
    past_deadline: bool = False
    lost: bool = False


def _never() -> bool:
    return False


class Heartbeat:
    """Watches at most one job at a time."""

    def __init__(
        self,
        settings: Settings,
        events: EventPublisher,
        is_stopping: Callable[[], bool],
        break_in: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._events = events
        self._is_stopping = is_stopping
        self._break_in = break_in
        self._cut_at = math.inf
        self._changed = threading.Condition()
        self._watch: Watch | None = None
        self._rest_from = 0.0
        self._resting = False
        self._closed = False
        self._connection: psycopg.Connection[Any] | None = None
        self._thread = threading.Thread(target=self._beat_for_ever, name="heartbeat", daemon=True)
        self._thread.start()

    def watch(self, held: Claim) -> Watch:
        """Begin to renew a claim's lease."""
        with self._changed:
            now = time.monotonic()
            self._watch = Watch(held, now + ANNOUNCE_SECONDS, now + self._settings.heartbeat_seconds)
            self._rest_from = now + REST_AFTER_SECONDS
            if self._resting:
                self._changed.notify()
            return self._watch

    def release(self) -> Watch:
        """Stop renewing; gives what is known, with the progress that was not yet written."""
        with self._changed:
            watch, self._watch = self._watch, None
        if watch is None:
            raise RuntimeError("no job is being watched")
        return watch

    def report(self, watch: Watch, progress: Progress) -> None:
        """Hand in progress; it is written a moment later, at most four times a second."""
        with self._changed:
            watch.progress = progress
            self._changed.notify()

    def ask(self, watch: Watch) -> None:
        """Have the ledger asked for a cancel request soon, at most once a second."""
        if not watch.asked:
            with self._changed:
                watch.asked = True
                self._changed.notify()

    def close(self) -> None:
        """End the thread and its connection."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(timeout=5)

    def _beat_for_ever(self) -> None:
        while (watch := self._next_beat()) is not None:
            if watch.announce_at != math.inf:
                watch.announce_at = math.inf
                self._events.publish(watch.held.job_id, watch.held.version)
                continue
            self._beat(watch)
            now = time.monotonic()
            watch.next_beat = now + self._settings.heartbeat_seconds
            watch.next_report = now + PROGRESS_SECONDS
            watch.next_look = now + LOOK_SECONDS
            watch.asked = False
        if self._connection is not None:
            self._connection.close()

    def _next_beat(self) -> Watch | None:
        with self._changed:
            while not self._closed:
                watch = self._watch
                if watch is None:
                    self._rest()
                    continue
                due = min(
                    watch.announce_at,
                    watch.next_beat,
                    math.inf if watch.progress is None else watch.next_report,
                    watch.next_look if watch.asked else math.inf,
                )
                now = time.monotonic()
                if due <= now:
                    return watch
                self._cut_off_when_stopping(now)
                self._changed.wait(min(due - now, STOP_LOOK_SECONDS))
        return None

    def _rest(self) -> None:
        # While jobs come one after the other the thread looks by itself: waking it for each would cost more than most
        # of them do.
        if time.monotonic() < self._rest_from:
            self._changed.wait(ANNOUNCE_SECONDS)
        else:
            self._resting = True
            self._changed.wait()
            self._resting = False

    def _cut_off_when_stopping(self, now: float) -> None:
        # Celery's warm stop waits for handlers as long as they like, its cold one gives a child a tenth of a second
        # before SIGKILL. So it is we who end the handler, while there is time to put its job back.
        if self._cut_at == math.inf and self._is_stopping():
            self._cut_at = now + FINISH_SECONDS
        if self._cut_at <= now:
            self._cut_at = math.inf
            self._is_stopping = _never
            self._break_in()

    def _beat(self, watch: Watch) -> None:
        with self._changed:
            progress, watch.progress = watch.progress, None
        try:
            if self._connection is None or self._connection.closed:
                self._connection = connect(self._settings, "jobyard-heartbeat", statement_timeout="5s")
            pulse = ledger.heartbeat(self._connection, watch.held, self._settings.lease_seconds, progress)
        except psycopg.Error as error:
            logger.warning("job %s: heartbeat failed: %s", watch.held.job_id, type(error).__name__)
            if self._connection is not None:
                self._connection.close()
            with self._changed:
                watch.progress = watch.progress or progress
            return
        if pulse is None:
            watch.lost = True
        else:
            watch.cancel_requested |= pulse.cancel_requested
            watch.past_deadline |= pulse.past_deadline
            if progress is not None:
                self._events.publish(watch.held.job_id, pulse.version)
