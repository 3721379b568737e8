"""Purging: old terminal jobs go, with their attempts and without their files."""

from uuid import UUID

import pytest
from pydantic import ValidationError

from shared.job_kind import JobKind
from tests.integration.kinds.conftest import Row, Yard


def purge(yard: Yard, **options: object) -> int:
    row = yard.run("jobs.purge", options)
    assert row["state"] == "succeeded"
    return row["result"]["purged"]


def age(yard: Yard, job_id: UUID, days: int) -> None:
    yard.database.execute(
        "UPDATE jobs SET finished_at = now() - make_interval(days => %s) WHERE id = %s", (days, job_id)
    )


def ended(yard: Yard, days: int, ending: str = "return") -> Row:
    row = yard.run("test.echo", {"text": "x", "ending": ending})
    age(yard, row["id"], days)
    return row


def remaining(yard: Yard) -> set[UUID]:
    return {row[0] for row in yard.database.execute("SELECT id FROM jobs WHERE kind <> 'jobs.purge'")}


@pytest.mark.parametrize("batch_size", [1, 2, 500])
def test_old_terminal_jobs_go(yard: Yard, batch_size: int) -> None:
    for ending in ("return", "fail", "cancel"):
        ended(yard, yard.settings.job_retention_days + 1, ending)
    young = ended(yard, yard.settings.job_retention_days - 1)["id"]
    waiting = yard.enqueue("test.echo", {})
    yard.database.execute("UPDATE jobs SET created_at = now() - interval '1 year' WHERE id = %s", (waiting,))
    assert purge(yard, batch_size=batch_size) == 3
    assert remaining(yard) == {young, waiting}
    assert yard.database.execute(
        "SELECT count(*) FROM job_attempts JOIN jobs ON id = job_id WHERE kind = 'test.echo'"
    ).fetchone() == (1,)
    assert purge(yard) == 0


def test_files_stay_and_lose_their_job(yard: Yard) -> None:
    ended(yard, 60, "output")
    assert purge(yard) == 1
    assert yard.database.execute("SELECT job_id FROM files").fetchall() == [(None,)]
    assert len(yard.blobs()) == 1


def test_emails_go_with_their_job(yard: Yard) -> None:
    job_id = ended(yard, 60)["id"]
    other = ended(yard, 1)["id"]
    for owned in (job_id, other):
        yard.database.execute(
            "INSERT INTO emails (id, owner_id, job_id, message_id, sender, subject)"
            " SELECT gen_random_uuid(), owner_id, id, '<x@y>', 'a@b', 's' FROM jobs WHERE id = %s", (owned,)
        )  # fmt: skip
    assert purge(yard) == 1
    assert yard.database.execute("SELECT job_id FROM emails").fetchall() == [(other,)]


def test_a_follow_up_outlives_its_parent(yard: Yard) -> None:
    ended(yard, 60, "follow_up")
    [child] = remaining(yard) - {row[0] for row in yard.database.execute("SELECT id FROM jobs WHERE state <> 'queued'")}
    assert purge(yard) == 1
    assert yard.read("jobs", child)["parent_id"] is None


def test_an_age_of_its_own(yard: Yard) -> None:
    ended(yard, 3)
    kept = ended(yard, 1)["id"]
    assert purge(yard, older_than_days=2) == 1
    assert remaining(yard) == {kept}
    assert purge(yard, older_than_days=0) == 2  # the job above, and the first purge itself
    assert remaining(yard) == set()


@pytest.mark.parametrize("job_input", [{"older_than_days": -1}, {"batch_size": 0}, {"older": 3}])
def test_what_is_refused(kinds: dict[str, JobKind], job_input: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        kinds["jobs.purge"].input_model.model_validate(job_input)
