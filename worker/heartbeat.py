"""The heartbeat: one thread per child that keeps the running job's lease alive, whatever the handler is doing.

It has a connection of its own, carries progress to the ledger and brings cancel requests back. A handler that holds
the GIL for longer than three quarters of a lease would starve it; C code that works that long releases the GIL.
"""

import logging
import threading
import time
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


@dataclass(slots=True)
class Watch:
    """Is what is known about the job being watched; `progress` is what was reported and not yet written."""

    held: Claim
    next_beat: float
    next_report: float = 0.0
    progress: Progress | None = None
    cancel_requested: bool = False
    past_deadline: bool = False
    lost: bool = False


class Heartbeat:
    """Watches at most one job at a time."""

    def __init__(self, settings: Settings, events: EventPublisher) -> None:
        self._settings = settings
        self._events = events
        self._changed = threading.Condition()
        self._watch: Watch | None = None
        self._closed = False
        self._connection: psycopg.Connection[Any] | None = None
        self._thread = threading.Thread(target=self._beat_for_ever, name="heartbeat", daemon=True)
        self._thread.start()

    def watch(self, held: Claim) -> Watch:
        """Begin to renew a claim's lease."""
        with self._changed:
            self._watch = Watch(held, next_beat=time.monotonic() + self._settings.heartbeat_seconds)
            self._changed.notify()
            return self._watch

    def release(self) -> Watch:
        """Stop renewing; gives what is known, with the progress that was not yet written."""
        with self._changed:
            watch, self._watch = self._watch, None
            self._changed.notify()
        if watch is None:
            raise RuntimeError("no job is being watched")
        return watch

    def report(self, watch: Watch, progress: Progress) -> None:
        """Hand in progress; it is written a moment later, at most four times a second."""
        with self._changed:
            watch.progress = progress
            self._changed.notify()

    def close(self) -> None:
        """End the thread and its connection."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(timeout=5)

    def _beat_for_ever(self) -> None:
        while (watch := self._next_beat()) is not None:
            self._beat(watch)
            watch.next_beat = time.monotonic() + self._settings.heartbeat_seconds
            watch.next_report = time.monotonic() + PROGRESS_SECONDS
        if self._connection is not None:
            self._connection.close()

    def _next_beat(self) -> Watch | None:
        with self._changed:
            while not self._closed:
                watch = self._watch
                if watch is None:
                    self._changed.wait()
                    continue
                due = watch.next_beat if watch.progress is None else min(watch.next_beat, watch.next_report)
                if due <= time.monotonic():
                    return watch
                self._changed.wait(due - time.monotonic())
        return None

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
