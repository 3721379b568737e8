"""What a worker's child owns: its connections, its event loop, its heartbeat. Opened after the fork, never before."""

import asyncio
import inspect
import logging
import os
import signal
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
from shared.job_queue import NUDGE, NewJob, enqueue_in_worker
from shared.settings import Settings
from shared.storage import LocalStorage
from worker import ledger
from worker.context import AttemptContext, AttemptLost
from worker.heartbeat import Heartbeat
from worker.ledger import Claim, Ending

logger = logging.getLogger(__name__)

_T = TypeVar("_T")

LONGEST_PAUSE_SECONDS = 2.0
STOP_SIGNAL = signal.SIGUSR2
"""What the heartbeat sends its own process when the worker stops; Celery keeps SIGTERM and SIGUSR1 for itself."""


class WorkerStopping(BaseException):
    """Breaks into a handler whose worker is stopping, so that its job can be put back."""


class Child:
    """Gives the runner its connections and keeps trying while PostgreSQL is away."""

    def __init__(self, settings: Settings, worker: str, is_stopping: Callable[[], bool]) -> None:
        self._settings = settings
        self._worker = worker
        self._connection: Connection[Any] | None = None
        self._loop: asyncio.Runner | None = None
        self._in_handler = False
        signal.signal(STOP_SIGNAL, self._break_in)
        self.events = EventPublisher(settings)
        self.heartbeat = Heartbeat(settings, self.events, is_stopping, lambda: os.kill(os.getpid(), STOP_SIGNAL))
        self.engine = make_engine(settings, "jobyard-handler")
        self.storage = LocalStorage(settings.storage_dir)

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

    def record(self, held: Claim, write: Callable[[Connection[Any]], Ending | None]) -> Ending:
        """Write an ending, for as long as it takes; raises `AttemptLost` when the claim is no longer ours.

        Zero rows may also mean that this write was committed and only its answer lost: then the row carries our fence.
        """

        def attempt(connection: Connection[Any]) -> Ending | None:
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
        except (SoftTimeLimitExceeded, SystemExit, WorkerStopping):
            # A signal broke into the loop: what it was running must not go on under the next job.
            self._loop.close()
            self._loop = None
            raise

    def _break_in(self, _: int, __: FrameType | None) -> None:
        # Outside of a handler an outcome is being written, which must not be disturbed.
        if self._in_handler:
            raise WorkerStopping

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
                    self._connection = connect(self._settings, "jobyard-worker")
                return work(self._connection)
            except psycopg.OperationalError as error:
                logger.warning("PostgreSQL does not answer (%s), trying again", type(error).__name__)
                if self._connection is not None:
                    self._connection.close()
                time.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
