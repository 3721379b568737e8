"""Each way out of running, and a job that takes one."""

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from uuid import UUID, uuid4

from shared.job_kind import JobKind
from shared.job_queue import cancel_jobs_in_worker
from shared.job_state import TERMINAL
from tests import factories
from tests.conftest import Owner
from tests.integration.ledger.rivals import Session
from worker import dispatching, ledger
from worker.rescue import rescue

ERROR = {"code": "handler_error", "detail": "The handler failed.", "retryable": True}
LAPSED_SECONDS = -1.0


@dataclass(frozen=True)
class Exit:
    """Is a way out of running: where it leads, also when a cancel was requested, and what the history calls it."""

    leave: Callable[[Session, ledger.Claim], object]
    state: str
    if_requested: str
    outcome: str
    max_attempts: int = 3

    @property
    def if_cancelled_after(self) -> str:
        """Where the job ends when a cancel follows."""
        return self.state if self.state in TERMINAL else "cancelled"


def end(how: ledger.EndedHow) -> Callable[[Session, ledger.Claim], object]:
    return lambda session, held: ledger.end(session, held, how, ERROR, 0)


def succeed(session: Session, held: ledger.Claim) -> object:
    return ledger.succeed(session, held, {"text": "made"}, None)


def be_rescued(session: Session, _: ledger.Claim) -> object:
    return rescue(session, lease_seconds=0)


EXITS = {
    "success": Exit(succeed, "succeeded", "succeeded", "succeeded"),
    "error": Exit(end("errored"), "retrying", "cancelled", "errored"),
    "last-error": Exit(end("errored"), "failed", "cancelled", "errored", max_attempts=1),
    "failure": Exit(end("failed"), "failed", "failed", "failed"),
    "snooze": Exit(end("snoozed"), "retrying", "cancelled", "snoozed"),
    "put-back": Exit(end("put_back"), "queued", "cancelled", "put_back"),
    "cancellation": Exit(end("cancelled"), "cancelled", "cancelled", "cancelled"),
}
RESCUES = {
    "rescue": Exit(be_rescued, "queued", "cancelled", "worker_lost"),
    "last-rescue": Exit(be_rescued, "failed", "cancelled", "worker_lost", max_attempts=1),
}


@dataclass(frozen=True)
class Case:
    """Is a job of an owner's, and a session that looks at it."""

    kind: JobKind
    owner: Owner
    database: Session
    pool: Executor

    def enqueue(self, max_attempts: int = 3) -> UUID:
        new = factories.new_job(self.kind, self.owner.id, max_attempts=max_attempts)
        return factories.enqueue(self.database, new)

    def dispatch(self, session: Session) -> dict[UUID, int]:
        return factories.dispatch(session, self.kind.queue)

    def begin(self, way: Exit) -> ledger.Claim:
        """Enqueue a job and claim it; its lease has lapsed, which only the rescue minds."""
        job_id = self.enqueue(way.max_attempts)
        held = claim(self.database, job_id, self.dispatch(self.database)[job_id])
        assert held is not None
        return held

    def cancel(self, session: Session, job_id: UUID) -> int:
        return cancel_jobs_in_worker(session, self.owner.id, [job_id])

    def state(self, job_id: UUID) -> str:
        return factories.read_state(self.database, job_id)

    def assert_over(self, job_id: UUID, state: str, outcome: str | None) -> None:
        """Make sure of a job's end and history, and that no message, past or to come, makes it run again."""
        query = "SELECT state, result, error ->> 'code', dispatch_seq FROM jobs WHERE id = %s"
        row = self.database.execute(query, (job_id,)).fetchone()
        assert row is not None
        assert row[0] == state
        codes = {"succeeded": {None}, "cancelled": {"cancelled"}, "failed": {"handler_error", "worker_lost"}}
        assert row[2] in codes[state]
        assert (row[1] is not None) == (state == "succeeded")
        assert dispatching.promote(self.database) == []
        assert self.dispatch(self.database) == {}
        assert rescue(self.database, lease_seconds=0) == []
        assert [claim(self.database, job_id, sequence) for sequence in range(row[3] + 2)] == [None] * (row[3] + 2)
        assert self.cancel(self.database, job_id) == 0
        history = self.database.execute("SELECT outcome, ended_at IS NOT NULL FROM job_attempts").fetchall()
        assert history == ([(outcome, True)] if outcome else [])


def claim(session: Session, job_id: UUID, sequence: int) -> ledger.Claim | None:
    return ledger.claim(
        session, job_id=job_id, dispatch_seq=sequence, claim_id=uuid4(), worker="test",
        lease_seconds=LAPSED_SECONDS, timeout_seconds=60,
    )  # fmt: skip
