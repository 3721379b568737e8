"""What a worker's child owns: its connections, its event loop, its heartbeat. Opened after the fork, never before."""

import asyncio
import inspect
import logging
import signal
import threading
import time
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any, TypeVar
from uuid import UUID, uuid4

import psycopg
from billiard.exceptions import SoftTimeLimitExceeded
from psycopg import Connection

from shared.database import connect, make_engine
from shared.job_events import EventPublisher
from shared.job_kind import JobInput, JobKind
from shared.job_outcome import Cancelled
from shared.job_queue import NUDGE, NewJob, enqueue_in_worker
from shared.job_row import JobRow
from shared.settings import Settings
from shared.storage import open_storage
from worker import ledger
from worker.context import AttemptContext, AttemptLost
from worker.heartbeat import Heartbeat, Reason, Watch
from worker.ledger import Claim

logger = logging.getLogger(__name__)

_T = TypeVar("_T")

# A child that is frozen while it records an outcome holds no locks for longer.
_BOUNDS = {"idle_in_transaction_session_timeout": "30s"}
LONGEST_PAUSE_SECONDS = 2.0
INTERRUPT_SIGNAL = signal.SIGUSR2
"""What the heartbeat sends the handler's thread to end it; Celery keeps SIGTERM and SIGUSR1 for itself."""


class WorkerStopping(BaseException):
    """Breaks into a handler whose worker is stopping, so that its job can be put back."""


_INTERRUPTIONS: dict[Reason, type[BaseException]] = {
    "stop": WorkerStopping,
    "cancel": Cancelled,
    "lost": AttemptLost,
}

_KEPT_CONNECTIONS = 3
"""One for each thread that a handler reads and writes from at a time; what is beyond is opened anew for each session,
which costs PostgreSQL several milliseconds."""


class Child:
    """Gives the runner its connections and keeps trying while PostgreSQL is away."""

    def __init__(self, settings: Settings, worker: str, is_stopping: Callable[[], bool]) -> None:
        self._settings = settings
        self._worker = worker
        self._connection: Connection[Any] | None = None
        self._loop: asyncio.Runner | None = None
        self._in_handler = False
        self._interruption: tuple[Watch, Reason] | None = None
        self._thread = threading.get_ident()
        signal.signal(INTERRUPT_SIGNAL, self._break_in)
        self.events = EventPublisher(settings)
        self.heartbeat = Heartbeat(settings, self.events, is_stopping, self.interrupt)
        self.engine = make_engine(settings, "jobyard-handler", pool_size=_KEPT_CONNECTIONS)
        self.storage = open_storage(settings)

    def claim(self, kind: JobKind, job_id: UUID, dispatch_seq: int) -> Claim | None:
        """Claim a job; after a lost answer the row tells whether the claim was made."""
        claim_id = uuid4()

        def attempt(connection: Connection[Any]) -> Claim | None:
            return ledger.claim(
                connection,
                job_id=job_id,
                dispatch_seq=dispatch_seq,
                claim_id=claim_id,
                worker=self._worker,
                lease_seconds=self._settings.lease_seconds,
                timeout_seconds=kind.timeout.total_seconds(),
            ) or ledger.claim_again(connection, job_id=job_id, claim_id=claim_id)

        return self._insist(attempt)

    def record(self, held: Claim, write: Callable[[Connection[Any]], JobRow | None]) -> JobRow:
        """Write an ending, for as long as it takes; raises `AttemptLost` when the claim is no longer ours.

        Zero rows may also mean that this write was committed and only its answer lost: then the row carries our fence.
        """

        def attempt(connection: Connection[Any]) -> JobRow | None:
            return write(connection) or ledger.settled(connection, held)

        ending = self._insist(attempt)
        if ending is None:
            raise AttemptLost
        return ending

    def enqueue(self, new: NewJob) -> bool:
        """Write a job down and nudge the dispatcher; False when it was there before."""
        made = self._insist(lambda connection: enqueue_in_worker(connection, new))
        if made:
            self.nudge()
        return made

    def nudge(self) -> None:
        """Wake the dispatcher; it would look by itself a moment later."""
        self._insist(lambda connection: connection.execute(NUDGE))

    def call(self, kind: JobKind, job_input: JobInput, context: AttemptContext) -> object:
        """Run the handler; a coroutine runs on this child's one event loop, which outlives the job."""
        self._in_handler = True
        try:
            outcome = kind.handler(job_input, context)
            return self._run(outcome) if inspect.iscoroutine(outcome) else outcome
        finally:
            self._in_handler = False

    def _run(self, coroutine: Coroutine[Any, Any, object]) -> object:
        if self._loop is None:
            self._loop = asyncio.Runner()
        try:
            return self._loop.run(coroutine)
        except (SoftTimeLimitExceeded, SystemExit, WorkerStopping, Cancelled):
            # A signal broke into the loop: what it was running must not go on under the next job. Closing it may be
            # broken into as well.
            loop, self._loop = self._loop, None
            loop.close()
            raise

    def interrupt(self, watch: Watch, reason: Reason) -> None:
        """Have the handler ended from its own thread, if it still runs this job when it gets to it."""
        self._interruption = watch, reason
        # Not to the process: a system call that the handler waits in has to be interrupted, so its thread has to be.
        signal.pthread_kill(self._thread, INTERRUPT_SIGNAL)

    def _break_in(self, _: int, frame: FrameType | None) -> None:
        interruption, self._interruption = self._interruption, None
        # Outside of a handler an outcome is being written, which must not be disturbed.
        if not self._in_handler or interruption is None:
            return
        watch, reason = interruption
        # The signal may come late, into the next job. And a handler that is writing to the log holds a lock which the
        # heartbeat needs too; it is asked again a moment later.
        if self.heartbeat.watches(watch) and not _is_logging(frame):
            watch.interrupted = True
            raise _INTERRUPTIONS[reason]

    def close(self) -> None:
        """Close the connections, the thread and the loop."""
        self.heartbeat.close()
        self.events.close()
        self.engine.dispose()
        if self._loop is not None:
            self._loop.close()
        if self._connection is not None:
            self._connection.close()

    def _insist(self, work: Callable[[Connection[Any]], _T]) -> _T:
        pause = 0.05
        while True:
            try:
                if self._connection is None or self._connection.closed:
                    self._connection = connect(self._settings, "jobyard-worker", **_BOUNDS)
                return work(self._connection)
            except psycopg.OperationalError as error:
                logger.warning("PostgreSQL does not answer (%s), trying again", type(error).__name__)
                if self._connection is not None:
                    self._connection.close()
                time.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)


def _is_logging(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_globals.get("__name__") == logging.__name__:
            return True
        frame = frame.f_back
    return False
