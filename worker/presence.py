"""A worker's presence: every few seconds its parent says in the ledger and in a file that it lives and that it works.

A worker can be alive and take nothing: its subscription was lost, or somebody told it to stop consuming. That shows
where jobs were handed to Celery, a slot is free, and still nothing arrives.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, cast
from uuid import uuid4

import psycopg
from celery import signals

from shared.database import connect
from shared.settings import Settings
from worker.health import HealthFile, HealthReport, sweep

logger = logging.getLogger(__name__)

_CLOSE_SECONDS = 3.0

_WAITING = """
SELECT EXISTS (
    SELECT 1 FROM jobs WHERE state = 'queued' AND queue = ANY(%s)
    AND dispatched_at < now() - make_interval(secs => %s)
)
"""

_SAY = """
INSERT INTO workers (id, name, pid, queues, slots, busy, consuming, seen_at, received_at)
VALUES (%(id)s, %(name)s, %(pid)s, %(queues)s, %(slots)s, %(busy)s, %(consuming)s, clock_timestamp(),
        clock_timestamp() - make_interval(secs => %(silent)s))
ON CONFLICT (id) DO UPDATE SET
    queues = excluded.queues, slots = excluded.slots, busy = excluded.busy, consuming = excluded.consuming,
    seen_at = excluded.seen_at, received_at = excluded.received_at
"""


@dataclass(frozen=True, slots=True)
class Occupation:
    """Is what a worker's parent knows of its children and its queues."""

    slots: int
    busy: int
    queues: list[str]


class Presence:
    """Says every quarter of a lease, in a thread of the parent, how its worker is."""

    def __init__(self, settings: Settings, name: str, observe: Callable[[], Occupation]) -> None:
        self._settings = settings
        self._id = uuid4()
        self._name = name
        self._observe = observe
        self._file = HealthFile(settings, os.getpid())
        self._began_at = time.monotonic()
        self._received_at: float | None = None
        self._consuming = True
        self._stopping = False
        self._database_away = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._say_for_ever, name="presence", daemon=True)

    def start(self) -> None:
        """Begin to say so."""
        self._thread.start()

    def note_received(self) -> None:
        """Note that a message has just arrived."""
        self._received_at = time.monotonic()

    def announce_stop(self) -> None:
        """Note that the worker takes nothing any more because it stops: that is no fault."""
        self._stopping = True

    def close(self) -> None:
        """Take back what was said, and end the thread."""
        self._ended.set()
        self._thread.join(_CLOSE_SECONDS)

    def _say_for_ever(self) -> None:
        sweep(self._settings)
        while True:
            try:
                self.say()
            except Exception:
                # Whatever it is, the next time may be better; a thread that ends would look like a frozen worker.
                logger.exception("the worker could not say how it is")
            if self._ended.wait(self._settings.heartbeat_seconds):
                break
        self._file.remove()
        try:
            with closing(self._connect()) as connection:
                connection.execute("DELETE FROM workers WHERE id = %s", (self._id,))
        except psycopg.Error as error:
            logger.warning("the worker's row was not removed: %s", type(error).__name__)

    def say(self) -> None:
        """Say it once: in the file first, which tells more when the database is away."""
        occupation = self._observe()
        try:
            with closing(self._connect()) as connection:
                self._consuming = self._judge(connection, occupation)
                self._file.write(self._report(occupation, "ok"))
                connection.execute(_SAY, self._row(occupation))
        except psycopg.Error as error:
            if not self._database_away:
                logger.warning("the worker's row was not written: %s", type(error).__name__)
            self._database_away = True
            self._file.write(self._report(occupation, "unavailable"))
        else:
            self._database_away = False

    def _judge(self, connection: psycopg.Connection[Any], occupation: Occupation) -> bool:
        patience = self._settings.lease_seconds / 2
        silent = time.monotonic() - (self._received_at or self._began_at)
        if self._stopping or occupation.busy >= occupation.slots or silent < patience:
            return True
        # What waited too long is dispatched anew and is younger for a while: it must not look like an improvement.
        age = patience if self._consuming else 0.0
        row = connection.execute(_WAITING, (occupation.queues, age)).fetchone()
        return row is None or not row[0]

    def _report(self, occupation: Occupation, database: Literal["ok", "unavailable"]) -> HealthReport:
        now = datetime.now(UTC)
        silent = self._silent()
        return HealthReport(
            name=self._name,
            pid=os.getpid(),
            slots=occupation.slots,
            busy=occupation.busy,
            consuming=self._consuming if database == "ok" else None,
            database=database,
            received_at=None if silent is None else now - timedelta(seconds=silent),
            seen_at=now,
            silence_seconds=self._settings.silence_seconds,
        )

    def _row(self, occupation: Occupation) -> dict[str, Any]:
        return {
            "id": self._id,
            "name": self._name,
            "pid": os.getpid(),
            "queues": occupation.queues,
            "slots": occupation.slots,
            "busy": occupation.busy,
            "consuming": self._consuming,
            "silent": self._silent(),
        }

    def _silent(self) -> float | None:
        return None if self._received_at is None else time.monotonic() - self._received_at

    def _connect(self) -> psycopg.Connection[Any]:
        return connect(self._settings, "jobyard-presence", statement_timeout="5s")


def connect_presence(settings: Settings) -> None:
    """Have every worker of this process say how it is, from when it is ready to consume until it has stopped."""
    present: list[Presence] = []

    def begin(sender: Any, **_: object) -> None:
        presence = Presence(settings, str(sender.hostname), _observer(sender))
        present.append(presence)
        presence.start()

    def note_received(**_: object) -> None:
        for presence in present:
            presence.note_received()

    def announce_stop(**_: object) -> None:
        for presence in present:
            presence.announce_stop()

    def end(**_: object) -> None:
        while present:
            present.pop().close()

    # weak=False: nothing else keeps these closures alive. All four are sent in the parent.
    cast("Any", signals.worker_ready).connect(begin, weak=False)
    cast("Any", signals.task_received).connect(note_received, weak=False)
    cast("Any", signals.worker_shutting_down).connect(announce_stop, weak=False)
    cast("Any", signals.worker_shutdown).connect(end, weak=False)


def _observer(consumer: Any) -> Callable[[], Occupation]:
    from celery.worker import state  # noqa: PLC0415 - for workers only, and slow to import

    # Those it began with: a queue that it was told to consume no more is still one whose jobs wait for it.
    queues: list[str] = sorted(consumer.app.amqp.queues.consume_from)

    def observe() -> Occupation:
        busy: int = len(cast("Any", state).active_requests)
        return Occupation(slots=int(consumer.pool.num_processes), busy=busy, queues=queues)

    return observe
