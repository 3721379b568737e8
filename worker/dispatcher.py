"""The dispatcher: moves due rows to Celery and rescues what workers left behind. `python -m worker.dispatcher`.

    wake (NOTIFY, something due, room in a window, or a fall-back of 1 s)
      ──► look ──► promote, expire, mark the next jobs ──► commit ──► publish ──► make jobs of events
      ──► every few seconds: renew the lease, rescue lapsed ones, send lost messages again

One is active by a lease in database time; a second stands by and takes over when the lease lapses.
"""

import logging
import signal
import threading
import time
from types import FrameType
from typing import Any
from uuid import uuid4

import psycopg
from celery import Celery
from psycopg import Connection

from shared.database import connect
from shared.event_listeners import listener_kinds
from shared.job_events import EventPublisher
from shared.job_kind import QUEUES, load_job_kinds
from shared.job_queue import READY_CHANNEL
from shared.job_row import JobRow
from shared.logs import configure_logging
from shared.settings import Settings, get_settings
from worker import dispatching
from worker.celery_app import create_celery_app
from worker.dispatching import Dispatch, View
from worker.event_audience import write_listeners
from worker.event_fan_out import FanOut
from worker.publisher import BrokerAway, Publisher
from worker.queue_line import QueueLine
from worker.rescue import rescue

logger = logging.getLogger(__name__)

LEASE_SECONDS = 10.0
FALLBACK_SECONDS = 1.0
EVENT_FALLBACK_SECONDS = 0.1
"""Nobody tells of an event; where there are some, more come."""
EVENTFUL_SECONDS = 10.0
WINDOW_PAUSES_SECONDS = (0.025, 0.025, 0.05, 0.1, 0.25)
SWEEP_SECONDS = 5.0
"""The longest time between two looks for lapsed leases; shorter leases are looked for once a lease."""
SUSPICIOUS_SECONDS = 5.0
OVERDUE_SECONDS = 600.0
INDEX_WALKS = {
    **dict.fromkeys(("enable_seqscan", "enable_bitmapscan", "enable_hashjoin", "enable_mergejoin", "jit"), "off"),
    "plan_cache_mode": "force_generic_plan",
}
"""Has each statement planned once, as a walk over indexes: statistics are stale after a burst, and planning is dear."""
BROKER_PAUSES_SECONDS = (0.1, 0.2, 0.5, 1.0)


class Dispatcher:
    """Runs rounds until it is asked to stop."""

    def __init__(self, settings: Settings, app: Celery) -> None:
        self._settings = settings
        self._holder = uuid4()
        self._publisher = Publisher(app)
        self._events = EventPublisher(settings)
        self._stop = threading.Event()
        self._connection: Connection[Any] | None = None
        kinds = load_job_kinds(settings.job_modules)
        least, most = settings.dispatch_window_least, settings.dispatch_window
        self._lines = {queue: QueueLine(queue, kinds.values(), least, most) for queue in QUEUES}
        self._listening = listener_kinds(kinds, settings)
        self._fan_out = FanOut(settings, kinds)
        self._eventful_until = 0.0
        self._active = False
        self._broker_failures = 0
        self._idle_looks = 0
        self._renew_at = 0.0
        self._next_sweep = 0.0
        self._began = time.monotonic()
        self._rescue_from = 0.0

    def stop(self) -> None:
        """Ask the dispatcher to end after its current round."""
        self._stop.set()

    def run(self) -> None:
        """Run until stopped; a database or broker that is away is waited for."""
        while not self._stop.is_set():
            try:
                connection = self._open()
                pause = self.run_round(connection)
                if pause > 0:
                    self._wait(connection, pause)
            except psycopg.Error as error:
                logger.warning("PostgreSQL does not answer (%s), trying again", type(error).__name__)
                self._close()
                self._put_off_rescue()
                self._stop.wait(FALLBACK_SECONDS)
        self.retire()

    def run_round(self, connection: Connection[Any]) -> float:
        """Do what is due; gives the seconds to wait for a nudge before the next round."""
        self._began = time.monotonic()
        pause = self._run_round(connection) if self._hold_lease(connection) else FALLBACK_SECONDS
        self._doubt_slow_answers()
        return pause

    def _doubt_slow_answers(self) -> None:
        # Whoever was kept waiting for that long, be it by a database that froze, was not alone: others could not renew
        # their leases either.
        if time.monotonic() - self._began > self._settings.heartbeat_seconds:
            self._put_off_rescue()

    def _put_off_rescue(self) -> None:
        """Rescue nobody until one full lease from now, in which all who live can renew theirs."""
        self._rescue_from = time.monotonic() + self._settings.lease_seconds

    def _run_round(self, connection: Connection[Any]) -> float:
        view = dispatching.look(connection, QUEUES)
        if changes := self._change_what_is_due(connection, view):
            view = dispatching.look(connection, QUEUES)
        marked = [
            dispatch
            for queue, waiting in view.ready.items()
            for dispatch in self._lines[queue].fill(connection, self._holder, waiting)
        ]
        # Each statement is committed before the first message is published.
        self._publish(connection, marked)
        self._events.publish(changes)
        if time.monotonic() >= self._next_sweep:
            self._next_sweep = time.monotonic() + min(SWEEP_SECONDS, self._settings.lease_seconds)
            self.sweep(connection)
        self._idle_looks = 0 if marked else self._idle_looks + 1
        # Last, so that what was ready did not wait for it.
        told = self._fan_out.run(connection, self._holder) if view.events else 0
        if told:
            self._eventful_until = time.monotonic() + EVENTFUL_SECONDS
        return 0.0 if told and not self._broker_failures else self._pause(view)

    def _change_what_is_due(self, connection: Connection[Any], view: View) -> list[JobRow]:
        if view.paused_out:
            dispatching.take_back_paused(connection)
        changes = dispatching.promote(connection) if view.due else []
        return changes + (dispatching.expire(connection) if view.late else [])

    def _pause(self, view: View) -> float:
        if self._broker_failures:
            return BROKER_PAUSES_SECONDS[min(self._broker_failures, len(BROKER_PAUSES_SECONDS)) - 1]
        if view.due or view.late:
            return 0.0
        if view.ready:
            # Nobody tells when a claim makes room.
            return WINDOW_PAUSES_SECONDS[min(self._idle_looks, len(WINDOW_PAUSES_SECONDS) - 1)]
        due = view.seconds_to_next
        most = EVENT_FALLBACK_SECONDS if time.monotonic() < self._eventful_until else FALLBACK_SECONDS
        return most if due is None else min(max(due, 0.001), most)

    def _hold_lease(self, connection: Connection[Any]) -> bool:
        # In this process's clock only to save a statement: after a freeze the clock says that it is long ago.
        if self._active and time.monotonic() < self._renew_at:
            return True
        self._renew_at = time.monotonic() + LEASE_SECONDS / 3
        active = dispatching.hold_lease(connection, self._holder, LEASE_SECONDS)
        if active != self._active:
            if active:
                write_listeners(connection, self._listening)
            logger.info("dispatcher %s is %s", self._holder, "active" if active else "standing by")
            self._active = active
        return active

    def _publish(self, connection: Connection[Any], marked: list[Dispatch]) -> None:
        for position, dispatch in enumerate(marked):
            try:
                self._publisher.publish(dispatch)
            except BrokerAway as error:
                self._note_broker_failure(error)
                with connection.transaction():
                    for unpublished in marked[position:]:
                        dispatching.undo_dispatch(connection, unpublished)
                        self._lines[unpublished.queue].note_undone()
                return
        if marked:
            self._broker_failures = 0

    def _note_broker_failure(self, error: Exception) -> None:
        if self._broker_failures == 0:
            logger.warning("the broker does not answer, jobs wait in PostgreSQL: %s", type(error).__name__)
        self._broker_failures += 1

    def sweep(self, connection: Connection[Any]) -> None:
        """Rescue lapsed leases and send lost messages again."""
        # A lease that lapses between these two statements did so while the database or this program stood still.
        seen_at = dispatching.read_clock(connection)
        self._doubt_slow_answers()
        if time.monotonic() >= self._rescue_from:
            rescued = rescue(connection, self._settings.lease_seconds, seen_at)
            for row in rescued:
                logger.warning("job %s: its worker was lost, the attempt has ended", row.id)
            self._events.publish(rescued)
        for queue in QUEUES:
            self._send_lost_messages_again(connection, queue)

    def _send_lost_messages_again(self, connection: Connection[Any], queue: str) -> None:
        overdue = dispatching.count_overdue(connection, queue, SUSPICIOUS_SECONDS)
        if overdue == 0:
            return
        try:
            waiting = self._publisher.count_messages(queue)
        except BrokerAway as error:
            self._note_broker_failure(error)
            return
        self._broker_failures = 0
        # Stale messages can hide that others were lost, so in the end all are sent again; but a line that does not
        # move must not grow by that.
        after = SUSPICIOUS_SECONDS if waiting < overdue else OVERDUE_SECONDS
        if waiting < 2 * self._settings.dispatch_window and (again := dispatching.send_again(connection, queue, after)):
            logger.warning("queue %s: %s messages for %s jobs, %s are sent again", queue, waiting, overdue, again)

    def _wait(self, connection: Connection[Any], seconds: float) -> None:
        if self._broker_failures:
            self._stop.wait(seconds)
            return
        # One notification is enough: a round looks at everything. What came while it ran is still in the socket.
        for _ in connection.notifies(timeout=seconds, stop_after=1):
            break

    def _open(self) -> Connection[Any]:
        if self._connection is None or self._connection.closed:
            self._connection = connect(
                self._settings,
                "jobyard-dispatcher",
                idle_in_transaction_session_timeout="5s",
                lock_timeout="2s",
                statement_timeout="15s",
                **INDEX_WALKS,
            )
            self._connection.execute(f"LISTEN {READY_CHANNEL}")
        return self._connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def retire(self) -> None:
        """Close the connections and let a stand-by take over at once."""
        self._publisher.close()
        try:
            dispatching.give_up_lease(self._open(), self._holder)
        except psycopg.Error:
            logger.info("the lease could not be given up; it lapses by itself")
        self._close()


def main() -> None:
    """Run a dispatcher until SIGTERM or SIGINT."""
    settings = get_settings()
    configure_logging(settings)
    dispatcher = Dispatcher(settings, create_celery_app(settings))

    def stop(_: int, __: FrameType | None) -> None:
        dispatcher.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    dispatcher.run()


if __name__ == "__main__":
    main()
