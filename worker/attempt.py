"""How an attempt ends: judging what a handler raised, and the transaction that records a success."""

import logging
import random
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from billiard.exceptions import SoftTimeLimitExceeded
from psycopg import Connection
from pydantic import ValidationError

from shared.errors import JobyardError
from shared.job_kind import JobKind, JobResult
from shared.job_outcome import Fail, Outcome, Retry, Snooze
from shared.job_queue import enqueue_in_worker
from shared.job_row import JobRow
from shared.quota import require_room_in_worker
from worker import ledger
from worker.child import WorkerStopping
from worker.context import AttemptContext
from worker.ledger import Claim, EndedHow, Progress

_INSERT_FILE = """
INSERT INTO files (id, owner_id, name, media_type, size, sha256, storage_key, purpose, job_id, expires_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, 'output', %s, clock_timestamp() + %s)
"""

_MAX_DETAIL = 2000


@dataclass(frozen=True, slots=True)
class Verdict:
    """Is what the ledger is told of an attempt that did not succeed."""

    how: EndedHow
    code: str
    text: str
    delay: timedelta = timedelta(0)
    unexpected: bool = False

    @property
    def error(self) -> dict[str, Any]:
        """The error as the job shows it."""
        return {"code": self.code, "detail": self.text[:_MAX_DETAIL], "retryable": self.how == "errored"}

    @property
    def level(self) -> int:
        """The level at which it is logged."""
        return logging.WARNING if self.how in {"errored", "failed"} else logging.INFO


def judge(raised: BaseException, kind: JobKind, held: Claim, *, past_deadline: bool) -> Verdict:
    """Tell what an exception means for the job.

    Only our own `WorkerStopping` puts a job back, and not past its deadline. `SystemExit` is the hard time limit, or a
    handler that called `sys.exit()`: a failed attempt, never a free one.
    """
    delay = full_jitter(kind, held.attempt)
    if isinstance(raised, Outcome):
        return _judge_outcome(raised)
    if isinstance(raised, WorkerStopping) and not past_deadline:
        return Verdict("put_back", "put_back", "The worker stopped; the job was put back.")
    if isinstance(raised, SoftTimeLimitExceeded) or past_deadline:
        return Verdict("errored", "timeout", "The attempt ran into its time limit.", delay)
    if isinstance(raised, SystemExit):
        return Verdict("errored", "handler_exited", "The handler ended its own process.", delay, unexpected=True)
    return _judge_error(raised, delay)


def _judge_outcome(outcome: Outcome) -> Verdict:
    match outcome:
        case Snooze(after=after):
            return Verdict("snoozed", "snoozed", "The handler put the job off.", after)
        case Retry(after=after):
            return Verdict("errored", "retry", str(outcome), after)
        case Fail(code=code, detail=detail):
            return Verdict("failed", code, detail)
        case _:
            return Verdict("cancelled", "cancelled", "The job was cancelled.")


def _judge_error(error: BaseException, delay: timedelta) -> Verdict:
    match error:
        case ValidationError():
            text = "The job's input or result does not fit its kind."
            return Verdict("failed", "invalid_values", text, unexpected=True)
        case MemoryError():
            # Trying again would need as much.
            text = "The handler needed more memory than a worker's child may have."
            return Verdict("failed", "out_of_memory", text, unexpected=True)
        case JobyardError(code=code, detail=detail):
            return Verdict("errored", code, detail, delay)
        case _:
            # The message of an unforeseen exception may hold anything; owners get its name, operators the log.
            text = f"The handler failed: {type(error).__name__}."
            return Verdict("errored", "handler_error", text, delay, unexpected=True)


def full_jitter(kind: JobKind, attempt: int) -> timedelta:
    """Draw the delay before the next attempt: uniform in 0 … base · 2^(attempt - 1), capped.

    Source: "Exponential Backoff and Jitter", AWS Architecture Blog, 2015 ("full jitter").
    """
    most = min(kind.backoff_cap, kind.backoff * 2 ** min(attempt - 1, 32))
    return most * random.random()  # noqa: S311 - spreads load, guards nothing


def finish(
    connection: Connection[Any], held: Claim, context: AttemptContext, result: JobResult, progress: Progress | None
) -> JobRow | None:
    """Record success, with the output files and follow-up jobs in the same transaction; None when the claim is lost.

    Nothing of it is recorded, and `Fail` is raised, when the outputs exceed their owner's quota or a follow-up cannot
    have the files that it needs: another attempt would do no better.
    """
    recorded = result.model_dump(mode="json")
    if not context.outputs and not context.follow_ups:
        return ledger.succeed(connection, held, recorded, progress)
    with connection.transaction():
        ending = ledger.succeed(connection, held, recorded, progress)
        if ending is None:
            return None
        for output in context.outputs:
            connection.execute(
                _INSERT_FILE,
                (output.file_id, held.owner_id, output.name, output.media_type, output.size, output.sha256,
                 output.storage_key, held.job_id, context.settings.output_retention),
            )  # fmt: skip
        try:
            if context.outputs:
                require_room_in_worker(connection, context.settings, held.owner_id)
            # Last, for one may need an output. So files are locked after the row of `storage_usage`, by files.clean
            # before it: at a deadlock either side begins again (`Child.record`, `Sweep.take`).
            for follow_up in context.follow_ups:
                enqueue_in_worker(connection, follow_up)
        except JobyardError as error:
            raise Fail(error.code, error.detail) from error
    return ending
