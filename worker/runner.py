"""The runner: a message's way through a worker's child.

    message (kind, job id, dispatch_seq) ──► claim ── no row ──► Ignore
                                               │
                      the heartbeat watches ◄─ handler runs
                                               │
        returned ─► succeeded, outputs and follow-ups in the same transaction ─► SUCCESS; if they do not fit, failed
        raised   ─► retrying | failed | cancelled | queued, as the ledger decides ─► RETRY | FAILURE | Ignore

One runner exists per process. What needs a connection or a thread begins after the fork, in `begin_child`.
"""

import logging
import mmap
import os
import socket
from datetime import datetime
from typing import NoReturn
from uuid import UUID

from celery.exceptions import Ignore
from celery.exceptions import Retry as CeleryRetry

from shared.job_kind import JobKind
from shared.job_outcome import Fail
from shared.job_state import WAITING, JobState
from shared.settings import Settings
from worker import ledger
from worker.attempt import Verdict, finish, judge
from worker.child import Child
from worker.context import AttemptContext, AttemptLost
from worker.heartbeat import Watch
from worker.ledger import Claim
from worker.schedules import job_for_tick

logger = logging.getLogger(__name__)


class JobFailed(Exception):
    """Ends the Celery task of a job that failed for good, so that Flower shows FAILURE."""


class Runner:
    """Runs jobs in the children of one worker."""

    def __init__(self, settings: Settings, kinds: dict[str, JobKind]) -> None:
        self._settings = settings
        self._kinds = kinds
        # Shared with the children by fork; a plain flag would stay in the parent.
        self._stopping = mmap.mmap(-1, 1)
        self._child: Child | None = None

    def announce_stop(self) -> None:
        """Tell all children that the worker is stopping: an attempt that is cut off now is put back."""
        self._stopping[0] = 1

    def begin_child(self) -> Child:
        """Open what this process needs; nothing opened before the fork is used after it."""
        worker = f"{socket.gethostname()}:{os.getpid()}"
        self._child = Child(self._settings, worker, lambda: bool(self._stopping[0]))
        return self._child

    def close(self) -> None:
        """Close what this process opened."""
        if self._child is not None:
            self._child.close()
            self._child = None

    def enqueue_tick(self, schedule: str, due_at: str) -> None:
        """Write down the job of a schedule's tick; a second tick of the same minute changes nothing."""
        new = job_for_tick(self._kinds, schedule, datetime.fromisoformat(due_at))
        if (self._child or self.begin_child()).enqueue(new):
            logger.info("schedule %s, due at %s, became job %s", schedule, due_at, new.id)

    def run(self, kind: JobKind, job_id: str, dispatch_seq: int) -> None:
        """Claim a job and run one attempt of it; the exception that ends the Celery task tells how it went."""
        child = self._child or self.begin_child()
        held = child.claim(kind, UUID(job_id), dispatch_seq)
        if held is None:
            raise Ignore
        watch = child.heartbeat.watch(held, interruptible=kind.interruptible)
        context = AttemptContext(
            held, self._settings, child.storage, child.engine, child.heartbeat, watch, self._kinds, child.events
        )  # fmt: skip
        try:
            self._attempt(child, kind, held, context)
        except AttemptLost:
            logger.warning("job %s: the claim with fence %s was lost, its outcome is dropped", held.job_id, held.fence)
            context.discard_outputs()
            raise Ignore from None

    def _attempt(self, child: Child, kind: JobKind, held: Claim, context: AttemptContext) -> None:
        try:
            job_input = kind.input_model.model_validate(held.row.input)
            result = kind.result_model.model_validate(child.call(kind, job_input, context))
        except BaseException as raised:
            watch = child.heartbeat.release()
            if isinstance(raised, AttemptLost):
                raise
            self._end(child, kind, watch, context, raised)
        else:
            # The heartbeat goes on until the success is recorded: PostgreSQL may be away just now.
            report = context.last_progress
            try:
                ending = child.record(held, lambda connection: finish(connection, held, context, result, report))
            except Fail as refused:
                self._end(child, kind, child.heartbeat.release(), context, refused)
            except BaseException:
                child.heartbeat.release()
                raise
            child.heartbeat.release()
            # The rescue ends a last attempt under this very fence: what it made is as lost as any other's.
            if ending.state != JobState.SUCCEEDED:
                raise AttemptLost
            child.events.publish([ending])
            if context.follow_ups:
                context.announce_changes()
            if context.follow_ups or _frees_a_place(kind, held):
                child.nudge()

    def _end(
        self, child: Child, kind: JobKind, watch: Watch, context: AttemptContext, raised: BaseException
    ) -> NoReturn:
        held = watch.held
        verdict = judge(raised, kind, held, past_deadline=watch.past_deadline)
        context.discard_outputs()
        ending = child.record(
            held,
            lambda connection: ledger.end(
                connection, held, verdict.how, verdict.error, verdict.delay.total_seconds()
            ),
        )  # fmt: skip
        child.events.publish([ending])
        if ending.state in WAITING or _frees_a_place(kind, held):
            child.nudge()
        logger.log(
            verdict.level,
            "job %s (%s), attempt %s: now %s. %s", held.job_id, kind.name, held.attempt, ending.state, verdict.text,
            exc_info=raised if verdict.unexpected else None,
        )  # fmt: skip
        raise _celery_ending(ending.state, verdict) from None


def _frees_a_place(kind: JobKind, held: Claim) -> bool:
    """Tell whether the end of this job may let another one begin that its limit held back."""
    return kind.concurrency is not None or held.row.concurrency_key != ""


def _celery_ending(state: str, verdict: Verdict) -> Exception:
    if state == "cancelled":
        return Ignore()
    if state == "failed":
        return JobFailed(f"{verdict.code}: {verdict.text}")
    return CeleryRetry(verdict.text)
