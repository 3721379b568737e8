"""Two that would end, rescue or claim the same attempt at the same moment: one does, and the other changes nothing."""

import pytest

from tests.integration.ledger.exits import EXITS, RESCUES, Case, Exit, claim
from tests.integration.ledger.rivals import Session, begin_and_be_held_up
from worker import ledger

WAYS = EXITS | RESCUES
# One for each statement and branch that a late write can take.
LATE = {name: EXITS[name] for name in ("success", "error", "put-back")}
OUTCOME = "SELECT outcome, ended_at IS NOT NULL FROM job_attempts"


def each(name: str, ways: dict[str, Exit]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(name, ways.values(), ids=ways.keys())


@each("first", WAYS)
@each("second", LATE)
def test_who_ends_an_attempt_second_waits_and_changes_nothing(
    case: Case, database: Session, rival: Session, observer: Session, first: Exit, second: Exit
) -> None:
    held = case.begin(first)
    with database.transaction():
        assert first.leave(database, held)
        left = begin_and_be_held_up(case.pool, observer, rival, lambda: second.leave(rival, held))

    assert left.result() is None
    assert case.state(held.job_id) == first.state
    assert database.execute(OUTCOME).fetchall() == [(first.outcome, True)]


@each("first", WAYS)
def test_the_rescue_steps_over_an_attempt_that_is_being_ended(
    case: Case, database: Session, rival: Session, first: Exit
) -> None:
    held = case.begin(first)
    (sweep,) = {way.leave for way in RESCUES.values()}
    with database.transaction():
        assert first.leave(database, held)
        assert sweep(rival, held) == []

    assert sweep(rival, held) == []
    assert case.state(held.job_id) == first.state
    assert database.execute(OUTCOME).fetchall() == [(first.outcome, True)]


@each("first", WAYS)
def test_a_heartbeat_during_the_exit_learns_that_the_claim_is_over(
    case: Case, database: Session, rival: Session, observer: Session, first: Exit
) -> None:
    held = case.begin(first)
    with database.transaction():
        assert first.leave(database, held)
        pulse = begin_and_be_held_up(case.pool, observer, rival, lambda: ledger.heartbeat(rival, held, 60, None))

    assert pulse.result() is None
    assert case.state(held.job_id) == first.state


@each("second", LATE)
def test_an_exit_during_a_heartbeat_waits_and_is_recorded(
    case: Case, database: Session, rival: Session, observer: Session, second: Exit
) -> None:
    held = case.begin(second)
    with database.transaction():
        assert ledger.heartbeat(database, held, 60, ledger.Progress(1, 2, "half"))
        left = begin_and_be_held_up(case.pool, observer, rival, lambda: second.leave(rival, held))

    assert left.result()
    assert case.state(held.job_id) == second.state


def test_a_heartbeat_that_comes_first_is_no_longer_rescued(case: Case, database: Session, rival: Session) -> None:
    way = RESCUES["rescue"]
    held = case.begin(way)
    with database.transaction():
        assert ledger.heartbeat(database, held, 60, None)
        assert way.leave(rival, held) == []

    assert way.leave(rival, held) == []
    assert case.state(held.job_id) == "running"


def test_of_two_claims_by_the_same_message_one_is_made(
    case: Case, database: Session, rival: Session, observer: Session
) -> None:
    job_id = case.enqueue()
    sequence = case.dispatch(database)[job_id]
    with database.transaction():
        assert claim(database, job_id, sequence)
        other = begin_and_be_held_up(case.pool, observer, rival, lambda: claim(rival, job_id, sequence))

    assert other.result() is None
    assert database.execute("SELECT fence, attempt FROM jobs").fetchall() == [(1, 1)]
    assert database.execute(OUTCOME).fetchall() == [(None, False)]
