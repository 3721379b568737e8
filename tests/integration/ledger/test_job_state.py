from itertools import product

import psycopg
import pytest

from shared.ids import new_id
from shared.job_state import TERMINAL, TRANSITIONS, JobState, is_legal
from shared.models import SYSTEM_OWNER_ID

ILLEGAL = [(a, b) for a, b in product(JobState, JobState) if a != b and b not in TRANSITIONS[a]]
LEGAL = [(a, b) for a, b in product(JobState, JobState) if b in TRANSITIONS[a]]


def test_the_terminal_states_are_the_four_of_the_contract() -> None:
    assert {"succeeded", "failed", "cancelled", "expired"} == TERMINAL


@pytest.mark.parametrize(("before", "after"), ILLEGAL)
def test_illegal_transitions_are_illegal(before: JobState, after: JobState) -> None:
    assert not is_legal(before, after)


def put(database: psycopg.Connection, state: JobState) -> object:
    job_id = new_id()
    database.execute(
        "INSERT INTO jobs (id, owner_id, kind, queue, state, input, run_at, max_attempts)"
        " VALUES (%s, %s, 'test.walk', 'default', %s, '{}', now(), 1)",
        (job_id, SYSTEM_OWNER_ID, state),
    )
    return job_id


def test_the_database_refuses_every_illegal_transition_and_allows_every_legal_one(
    database: psycopg.Connection,
) -> None:
    for before, after in ILLEGAL:
        job_id = put(database, before)
        with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="no legal transition"):
            database.execute("UPDATE jobs SET state = %s WHERE id = %s", (after, job_id))
    for before, after in LEGAL:
        job_id = put(database, before)
        assert database.execute("UPDATE jobs SET state = %s WHERE id = %s", (after, job_id)).rowcount == 1
