"""A cancel at each point around each move of a job: it never runs again, unless a success was recorded."""

from uuid import UUID

import pytest

from shared.job_state import TERMINAL
from tests.integration.ledger.exits import EXITS, RESCUES, Case, Exit, claim
from tests.integration.ledger.rivals import Session, begin_and_be_held_up
from worker import dispatching, ledger
from worker.rescue import rescue


def each(ways: dict[str, Exit]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("way", ways.values(), ids=ways.keys())


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
