"""The heartbeat: one thread per child that keeps the running job's lease alive, whatever the handler is doing.

It has a connection of its own, carries progress to the ledger and brings cancel requests back. A handler that should
end and does not look is broken into. A handler that holds the GIL for longer than three quarters of a lease would
starve the thread; C code that works that long releases the GIL.
"""

import logging
import math
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

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
REACT_SECONDS = 1.0
"""How long a handler whose job is cancelled or lost may take to notice; then it is broken into."""
ANNOUNCE_SECONDS = 0.05
"""How long a job runs before others are told that it does: most short jobs need no such hint."""

Reason = Literal["stop", "cancel", "lost"]
"""Why a handler should end."""


@dataclass(slots=True)
class Watch:
    """Is what is known about the job being watched.

    The handler's thread may be broken into at any instruction, so it takes no lock here: a lock that it never gave back
    would stop the heartbeat for good. Each field has one writer, `progress` the handler and `written` the heartbeat.
    """

    held: Claim
    interruptible: bool
    announce_at: float
    next_beat: float
    next_report: float = 0.0
    next_look: float = 0.0
    progress: Progress | None = None
    written: Progress | None = None
    asked: bool = False
    cancel_requested: bool = False
    past_deadline: bool = False
    lost: bool = False
    reason: Reason | None = None
    interrupt_at: float = math.inf
    interrupted: bool = False


class Heartbeat:
    """Watches at most one job at a time."""

    def __init__(
        self,
        settings: Settings,
        events: EventPublisher,
        is_stopping: Callable[[], bool],
        break_in: Callable[[Watch, Reason], None],
    ) -> None:
        self._settings = settings
        self._events = events
        self.is_stopping = is_stopping
        self._break_in = break_in
        self._wakes: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._watch: Watch | None = None
        self._rest_from = 0.0
        self._resting = False
        self._closed = False
        self._connection: psycopg.Connection[Any] | None = None
        self._thread = threading.Thread(target=self._beat_for_ever, name="heartbeat", daemon=True)
        self._thread.start()

    def watch(self, held: Claim, *, interruptible: bool) -> Watch:
        """Begin to renew a claim's lease; only what is `interruptible` is ever broken into."""
        now = time.monotonic()
        watch = Watch(held, interruptible, now + ANNOUNCE_SECONDS, now + self._settings.heartbeat_seconds)
        self._rest_from = now + REST_AFTER_SECONDS
        self._watch = watch
        if self._resting:
            self._wakes.put(None)
        return watch

    def watches(self, watch: Watch) -> bool:
        """Tell whether this is the job of now."""
        return self._watch is watch

    def release(self) -> Watch:
        """Stop renewing; gives what is known."""
        watch, self._watch = self._watch, None
        if watch is None:
            raise RuntimeError("no job is being watched")
        return watch

    def report(self, watch: Watch, progress: Progress) -> None:
        """Hand in progress; it is written a moment later, at most four times a second."""
        none_was_waiting = watch.progress is watch.written
        watch.progress = progress
        if none_was_waiting:
            self._wakes.put(None)

    def ask(self, watch: Watch) -> None:
        """Have the ledger asked for a cancel request soon, at most once a second."""
        if not watch.asked:
            watch.asked = True
            self._wakes.put(None)

    def close(self) -> None:
        """End the thread and its connection."""
        self._closed = True
        self._wakes.put(None)
        self._thread.join(timeout=5)

    def _beat_for_ever(self) -> None:
        while (watch := self._next_beat()) is not None:
            if watch.announce_at != math.inf:
                watch.announce_at = math.inf
                self._events.publish([watch.held.row])
                continue
            watch.asked = False
            self._beat(watch)
            now = time.monotonic()
            watch.next_beat = now + self._settings.heartbeat_seconds
            watch.next_report = now + PROGRESS_SECONDS
            watch.next_look = now + LOOK_SECONDS
        if self._connection is not None:
            self._connection.close()

    def _next_beat(self) -> Watch | None:
        while not self._closed:
            watch = self._watch
            if watch is None:
                self._rest()
                continue
            now = time.monotonic()
            self._note_reason(watch, now)
            due = min(
                watch.announce_at,
                watch.next_beat,
                math.inf if watch.progress is watch.written else watch.next_report,
                watch.next_look if watch.asked else math.inf,
            )
            if due <= now:
                return watch
            self._interrupt_when_due(watch, now)
            self._pause(min(due - now, STOP_LOOK_SECONDS))
        return None

    def _pause(self, seconds: float | None = None) -> None:
        try:
            self._wakes.get(timeout=seconds)
        except queue.Empty:
            return

    def _rest(self) -> None:
        # While jobs come one after the other the thread looks by itself: waking it for each would cost more than most
        # of them do.
        if time.monotonic() < self._rest_from:
            self._pause(ANNOUNCE_SECONDS)
            return
        self._resting = True
        # Looked at once more: a job that began before the line above woke nobody.
        if self._watch is None and not self._closed:
            self._pause()
        self._resting = False

    def _note_reason(self, watch: Watch, now: float) -> None:
        reason: Reason | None = None
        if watch.lost:
            reason = "lost"
        elif watch.cancel_requested:
            reason = "cancel"
        elif self.is_stopping():
            reason = "stop"
        if reason is not None and reason != watch.reason:
            watch.reason = reason
            watch.interrupt_at = now + (FINISH_SECONDS if reason == "stop" else REACT_SECONDS)
            # Whether the deadline has passed decides what a stop means: the last word on it comes just before.
            watch.next_beat = min(watch.next_beat, watch.interrupt_at)

    def _interrupt_when_due(self, watch: Watch, now: float) -> None:
        # Celery's warm stop waits for handlers as long as they like, its cold one gives a child a tenth of a second
        # before SIGKILL. So it is we who end the handler, while there is time to put its job back. Likewise nobody else
        # ends one that has been cancelled and does not look.
        if watch.reason is None or not watch.interruptible or now < watch.interrupt_at:
            return
        if watch.interrupted:
            # It swallowed the exception, or has much to clean up.
            watch.interrupted = False
            watch.interrupt_at = now + self._settings.heartbeat_seconds
        else:
            watch.interrupt_at = now + STOP_LOOK_SECONDS
            self._break_in(watch, watch.reason)

    def _beat(self, watch: Watch) -> None:
        progress = watch.progress
        news = progress if progress is not watch.written else None
        try:
            if self._connection is None or self._connection.closed:
                self._connection = connect(self._settings, "jobyard-heartbeat", statement_timeout="5s")
            pulse = ledger.heartbeat(self._connection, watch.held, self._settings.lease_seconds, news)
        except psycopg.Error as error:
            logger.warning("job %s: heartbeat failed: %s", watch.held.job_id, type(error).__name__)
            if self._connection is not None:
                self._connection.close()
            return
        watch.written = progress
        if pulse is None:
            watch.lost = True
        else:
            watch.cancel_requested |= pulse.cancel_requested
            watch.past_deadline |= pulse.past_deadline
            if news is not None:
                self._events.publish([ledger.reported(watch.held, pulse)])
