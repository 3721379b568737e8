"""Outputs of jobs count like uploads: those that do not fit fail the job, once and for good, and leave nothing."""

from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import dict_row

from shared.job_kind import JobKind
from shared.settings import Settings
from tests import factories
from tests.conftest import Owner
from tests.integration.files.bodies import blobs, count

HELLO = "hello"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"owner_max_bytes": len(HELLO) * 2, "owner_max_files": 2})


def run(settings: Settings, database: psycopg.Connection, kinds: dict[str, JobKind], owner: Owner, text: str) -> UUID:
    kind = kinds["test.echo"]
    new = factories.new_job(kind, owner.id, {"text": text, "ending": "output"})
    job_id = factories.enqueue(database, new)
    with factories.open_runner(settings, kinds) as runner:
        factories.run_job(runner, database, kind, job_id)
    return job_id


def read(database: psycopg.Connection, statement: bytes, job_id: UUID) -> dict[str, Any]:
    with database.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(statement, (job_id,)).fetchone()
    assert row is not None
    return row


@pytest.mark.parametrize(
    ("texts", "detail"),
    [
        ([HELLO, HELLO + "!"], "You can have 10 bytes at most; this would make it 11."),
        (["a", "b", "c"], "You can have 2 files at most."),
    ],
)
def test_the_output_that_would_be_too_much_fails_its_job(
    settings: Settings, database: psycopg.Connection, kinds: dict[str, JobKind], owner: Owner, texts: list[str],
    detail: str,
) -> None:  # fmt: skip
    *fitting, last = [run(settings, database, kinds, owner, text) for text in texts]

    for job_id in fitting:
        assert factories.read_state(database, job_id) == "succeeded"
    job = read(database, b"SELECT state, error, result, attempt, fence FROM jobs WHERE id = %s", last)
    error = {"code": "quota_exceeded", "detail": detail, "retryable": False}
    assert job == {"state": "failed", "error": error, "result": None, "attempt": 1, "fence": 1}
    attempt = read(database, b"SELECT outcome, error_code FROM job_attempts WHERE job_id = %s", last)
    assert attempt == {"outcome": "failed", "error_code": "quota_exceeded"}
    assert count(database, "files") == len(blobs(settings.storage_dir)) == len(fitting)
    usage = database.execute("SELECT files, bytes FROM storage_usage WHERE owner_id = %s", (owner.id,)).fetchone()
    assert usage == (len(fitting), sum(map(len, texts[:-1])))


def test_what_fills_the_quota_exactly_fits(
    settings: Settings, database: psycopg.Connection, kinds: dict[str, JobKind], owner: Owner
) -> None:
    for job_id in [run(settings, database, kinds, owner, HELLO) for _ in range(2)]:
        assert factories.read_state(database, job_id) == "succeeded"


def test_another_owner_has_room(
    settings: Settings, database: psycopg.Connection, kinds: dict[str, JobKind], owner: Owner, stranger: Owner
) -> None:
    for _ in range(2):
        run(settings, database, kinds, owner, HELLO)
    assert factories.read_state(database, run(settings, database, kinds, stranger, HELLO)) == "succeeded"
