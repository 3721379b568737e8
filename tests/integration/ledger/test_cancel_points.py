"""A cancel at each point around each move of a job: it never runs again, unless a success was recorded."""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from uuid import UUID, uuid4

import psycopg
import pytest

from shared.job_kind import JobKind
from shared.job_queue import cancel_jobs_in_worker
from shared.job_state import TERMINAL
from tests import factories
from tests.conftest import Owner
from tests.integration.ledger.rivals import Session, begin_and_be_held_up
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


def each(ways: dict[str, Exit]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("way", ways.values(), ids=ways.keys())


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


@pytest.fixture
def case(kinds: dict[str, JobKind], owner: Owner, database: Session) -> Iterator[Case]:
    with ThreadPoolExecutor() as pool:
        yield Case(kinds["test.echo"], owner, database, pool)


@pytest.fixture
def rival(database_url: str) -> Iterator[Session]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def observer(database_url: str) -> Iterator[Session]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


@each(EXITS | RESCUES)
def test_a_cancel_before_the_exit(case: Case, database: Session, way: Exit) -> None:
    held = case.begin(way)
    assert case.cancel(database, held.job_id) == 1
    assert case.state(held.job_id) == "running"

    assert way.leave(database, held)

    case.assert_over(held.job_id, way.if_requested, "cancelled" if way.if_requested == "cancelled" else way.outcome)


@each(EXITS | RESCUES)
def test_a_cancel_during_the_exit_waits_and_acts_on_what_it_left(
    case: Case, database: Session, rival: Session, observer: Session, way: Exit
) -> None:
    held = case.begin(way)
    with database.transaction():
        assert way.leave(database, held)
        cancelled = begin_and_be_held_up(case.pool, observer, rival, lambda: case.cancel(rival, held.job_id))

    assert cancelled.result() == int(way.state not in TERMINAL)
    case.assert_over(held.job_id, way.if_cancelled_after, way.outcome)


@each(EXITS | RESCUES)
def test_a_cancel_after_the_exit(case: Case, database: Session, way: Exit) -> None:
    held = case.begin(way)
    assert way.leave(database, held)
    assert case.state(held.job_id) == way.state

    assert case.cancel(database, held.job_id) == int(way.state not in TERMINAL)

    case.assert_over(held.job_id, way.if_cancelled_after, way.outcome)


@each(EXITS)
def test_an_exit_during_the_cancel_waits_and_heeds_it(
    case: Case, database: Session, rival: Session, observer: Session, way: Exit
) -> None:
    held = case.begin(way)
    with database.transaction():
        assert case.cancel(database, held.job_id) == 1
        left = begin_and_be_held_up(case.pool, observer, rival, lambda: way.leave(rival, held))

    assert left.result()
    case.assert_over(held.job_id, way.if_requested, "cancelled" if way.if_requested == "cancelled" else way.outcome)


@each(RESCUES)
def test_a_rescue_during_the_cancel_steps_over_the_job_and_ends_it_at_the_next_sweep(
    case: Case, database: Session, rival: Session, way: Exit
) -> None:
    held = case.begin(way)
    with database.transaction():
        assert case.cancel(database, held.job_id) == 1
        assert rescue(rival, lease_seconds=0) == []

    assert len(rescue(rival, lease_seconds=0)) == 1
    case.assert_over(held.job_id, "cancelled", "cancelled")


@each(EXITS | RESCUES)
def test_a_cancel_that_is_rolled_back_changes_nothing(case: Case, database: Session, rival: Session, way: Exit) -> None:
    held = case.begin(way)
    with database.transaction(force_rollback=True):
        assert case.cancel(database, held.job_id) == 1

    assert way.leave(rival, held)
    assert case.state(held.job_id) == way.state


def test_a_claim_after_the_cancel_is_refused(case: Case, database: Session) -> None:
    job_id = case.enqueue()
    sequence = case.dispatch(database)[job_id]
    assert case.cancel(database, job_id) == 1
    assert claim(database, job_id, sequence) is None
    case.assert_over(job_id, "cancelled", None)


def test_a_claim_during_the_cancel_waits_and_is_refused(
    case: Case, database: Session, rival: Session, observer: Session
) -> None:
    job_id = case.enqueue()
    sequence = case.dispatch(database)[job_id]
    with database.transaction():
        assert case.cancel(database, job_id) == 1
        claimed = begin_and_be_held_up(case.pool, observer, rival, lambda: claim(rival, job_id, sequence))

    assert claimed.result() is None
    case.assert_over(job_id, "cancelled", None)


def test_a_cancel_during_the_claim_waits_and_asks_the_job_to_stop(
    case: Case, database: Session, rival: Session, observer: Session
) -> None:
    job_id = case.enqueue()
    sequence = case.dispatch(database)[job_id]
    with database.transaction():
        held = claim(database, job_id, sequence)
        assert held is not None
        cancelled = begin_and_be_held_up(case.pool, observer, rival, lambda: case.cancel(rival, job_id))

    assert cancelled.result() == 1
    pulse = ledger.heartbeat(database, held, 60, None)
    assert pulse is not None
    assert pulse.cancel_requested
    assert ledger.end(database, held, "cancelled", None, 0)
    case.assert_over(job_id, "cancelled", "cancelled")


def wait_for_retry(case: Case, database: Session) -> UUID:
    held = case.begin(EXITS["error"])
    assert EXITS["error"].leave(database, held)
    return held.job_id


def test_a_cancel_during_promotion_and_dispatch_waits_and_their_message_is_refused(
    case: Case, database: Session, rival: Session, observer: Session
) -> None:
    job_id = wait_for_retry(case, database)
    with database.transaction():
        sequence = case.dispatch(database)[job_id]
        cancelled = begin_and_be_held_up(case.pool, observer, rival, lambda: case.cancel(rival, job_id))

    assert cancelled.result() == 1
    assert claim(database, job_id, sequence) is None
    case.assert_over(job_id, "cancelled", "errored")


def test_promotion_and_dispatch_during_the_cancel_step_over_the_job(
    case: Case, database: Session, rival: Session
) -> None:
    waiting, queued = wait_for_retry(case, database), case.enqueue()
    with database.transaction():
        assert [case.cancel(database, job_id) for job_id in (waiting, queued)] == [1, 1]
        assert dispatching.promote(rival) == []
        assert case.dispatch(rival) == {}

    assert (case.state(waiting), case.state(queued)) == ("cancelled", "cancelled")
    case.assert_over(waiting, "cancelled", "errored")
