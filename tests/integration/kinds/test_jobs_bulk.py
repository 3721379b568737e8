"""Bulk actions: what they touch, what they skip, and what is left when they are cut off in the middle."""

from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from pydantic import ValidationError

from shared.job_kind import JobKind
from tests import factories
from tests.conftest import Owner
from tests.integration.kinds.conftest import Row, Yard

# Does something to the bulk job when the third job of a sweep is touched, in the very transaction that touches it.
_MISHAP = """
CREATE FUNCTION mishap() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT count(*) FROM jobs WHERE {touched}) >= 3 THEN {what}; END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER mishap AFTER INSERT OR UPDATE OF state ON jobs FOR EACH ROW
WHEN (new.kind <> 'jobs.bulk') EXECUTE FUNCTION mishap()
"""
CRASH = "RAISE EXCEPTION 'crash'"
STEAL = "UPDATE jobs SET fence = fence + 1 WHERE kind = 'jobs.bulk'"
CANCEL = "UPDATE jobs SET cancel_requested = true WHERE kind = 'jobs.bulk'"
RETRIED = "retried_from IS NOT NULL"
CANCELLED = "state = 'cancelled'"


@contextmanager
def mishap(yard: Yard, what: str, touched: str) -> Generator[None]:
    yard.database.execute(_MISHAP.replace("{touched}", touched).replace("{what}", what).encode())
    try:
        yield
    finally:
        yard.database.execute("DROP FUNCTION mishap CASCADE")


def bulk(action: str, batch_size: int = 2, **criteria: Any) -> Row:
    soon = datetime.now(UTC) + timedelta(hours=1)
    return {"action": action, "filter": {"created_before": soon.isoformat()} | criteria, "batch_size": batch_size}


def run(yard: Yard, action: str, **criteria: Any) -> dict[str, Any]:
    row = yard.run("jobs.bulk", bulk(action, kind=["test.echo", "test.internal"], **criteria))
    assert row["state"] == "succeeded"
    return row["result"]


def counts(action: str, matched: int, changed: int, skipped: int = 0) -> dict[str, Any]:
    return {"action": action, "matched": matched, "changed": changed, "skipped": skipped}


def ended(yard: Yard, ending: str, **options: Any) -> UUID:
    row = yard.run("test.echo", {"text": "x", "ending": ending}, **options)
    return row["id"]


def states(yard: Yard, *job_ids: UUID) -> list[str]:
    return [factories.read_state(yard.database, job_id) for job_id in job_ids]


def retries(yard: Yard) -> list[UUID]:
    rows = yard.database.execute("SELECT retried_from FROM jobs WHERE retried_from IS NOT NULL ORDER BY 1")
    return [row[0] for row in rows]


def of_stranger(yard: Yard, stranger: Owner) -> UUID:
    return factories.enqueue(yard.database, factories.new_job(yard.kinds["test.echo"], stranger.id))


@pytest.mark.parametrize("batch_size", [1, 2, 500])
def test_cancel(yard: Yard, stranger: Owner, batch_size: int) -> None:
    done = ended(yard, "return")
    waiting = [yard.enqueue("test.echo", {}) for _ in range(3)]
    later = yard.enqueue("test.echo", {}, run_at=datetime.now(UTC) + timedelta(days=1))
    running, asked = yard.enqueue("test.echo", {}), yard.enqueue("test.echo", {})
    yard.database.execute("UPDATE jobs SET state = 'running' WHERE id = ANY(%s)", ([running, asked],))
    yard.database.execute("UPDATE jobs SET cancel_requested = true WHERE id = %s", (asked,))
    foreign = of_stranger(yard, stranger)

    row = yard.run("jobs.bulk", bulk("cancel", batch_size, kind=["test.echo"]))

    assert row["result"] == counts("cancel", 6, 5, 1)
    assert states(yard, *waiting, later) == ["cancelled"] * 4
    assert states(yard, running, asked, done, foreign) == ["running", "running", "succeeded", "queued"]
    assert yard.read("jobs", running)["cancel_requested"]
    assert yard.read("jobs", waiting[0])["error"]["code"] == "cancelled"
    assert (row["progress_completed"], row["progress_total"]) == (6, 6)


def test_retry(yard: Yard, stranger: Owner) -> None:
    file_id = yard.store("kept.txt", b"x")
    old = [ended(yard, "fail", tags=["t"], priority=3), ended(yard, "cancel")]
    ended(yard, "return")
    internal = yard.enqueue("test.internal", {})
    changed, gone = yard.enqueue("test.echo", {}), yard.enqueue("file.inspect", {"file_id": str(file_id)})
    foreign = of_stranger(yard, stranger)
    yard.database.execute("UPDATE jobs SET state = 'cancelled', finished_at = now() WHERE state = 'queued'")
    yard.database.execute("""UPDATE jobs SET input = '{"colour": "red"}' WHERE id = %s""", (changed,))
    yard.database.execute("DELETE FROM files WHERE id = %s", (file_id,))

    row = yard.run("jobs.bulk", bulk("retry", kind=["test.echo", "test.internal", "file.inspect"]))

    assert row["result"] == counts("retry", 5, 2, 3)
    assert retries(yard) == sorted(old)
    assert not {internal, changed, gone, foreign} & set(retries(yard))
    [new] = yard.database.execute("SELECT id FROM jobs WHERE retried_from = %s", (old[0],)).fetchall()
    again = yard.read("jobs", new[0])
    assert (again["state"], again["tags"], again["priority"]) == ("queued", ["t"], 3)
    assert new[0].version == 7


def test_a_retried_job_keeps_its_files(yard: Yard) -> None:
    file_id = yard.store("kept.txt", b"x")
    old = yard.enqueue("file.inspect", {"file_id": str(file_id)})
    yard.database.execute("UPDATE jobs SET state = 'cancelled', finished_at = now()")
    yard.run("jobs.bulk", bulk("retry", id=[str(old)]))
    linked = yard.database.execute("SELECT retried_from FROM job_files JOIN jobs ON jobs.id = job_id ORDER BY 1")
    assert linked.fetchall() == [(old,), (None,)]


def test_purge(yard: Yard, stranger: Owner) -> None:
    for ending in ("return", "fail", "cancel"):
        ended(yard, ending)
    waiting, foreign = yard.enqueue("test.echo", {}), of_stranger(yard, stranger)
    mailed = ended(yard, "output")
    yard.database.execute(
        "INSERT INTO emails (id, owner_id, job_id, message_id, sender, subject)"
        " SELECT gen_random_uuid(), owner_id, id, '<x@y>', 'a@b', 's' FROM jobs WHERE id = %s", (mailed,)
    )  # fmt: skip
    assert run(yard, "purge") == counts("purge", 4, 4)
    left = yard.database.execute("SELECT id FROM jobs WHERE kind = 'test.echo'").fetchall()
    assert set(left) == {(waiting,), (foreign,)}
    attempts = yard.database.execute("SELECT DISTINCT kind FROM job_attempts JOIN jobs ON id = job_id").fetchall()
    assert attempts == [("jobs.bulk",)]
    assert yard.database.execute("SELECT count(*) FROM emails").fetchone() == (0,)
    assert yard.database.execute("SELECT job_id FROM files").fetchall() == [(None,)]


def test_each_criterion_counts(yard: Yard) -> None:
    red, big, plain = (yard.enqueue("test.echo", {}, tags=tags) for tags in (["red"], ["red", "big"], []))
    internal = yard.enqueue("test.internal", {})
    early = datetime.now(UTC) - timedelta(days=1)
    yard.database.execute("UPDATE jobs SET created_at = %s WHERE id = %s", (early, plain))
    middle = (early + timedelta(hours=1)).isoformat()

    def cancelled_by(**criteria: Any) -> set[UUID]:
        yard.run("jobs.bulk", bulk("cancel", **criteria))
        [*found] = yard.database.execute("SELECT id FROM jobs WHERE state = 'cancelled'").fetchall()
        yard.database.execute("DELETE FROM jobs WHERE kind = 'jobs.bulk'")
        return {row[0] for row in found}

    assert cancelled_by(tag=["red", "big"]) == {big}
    assert cancelled_by(tag=["red"], created_before=middle) == {big}
    assert cancelled_by(created_before=middle) == {big, plain}
    assert cancelled_by(state=["running", "scheduled"]) == {big, plain}
    assert cancelled_by(id=[str(red)], kind=["test.internal"]) == {big, plain}
    assert cancelled_by(id=[str(red)], created_after=middle) == {big, plain, red}
    assert cancelled_by(kind=["test.internal"]) == {big, plain, red, internal}


@pytest.mark.parametrize("action", ["retry", "cancel"])
@pytest.mark.parametrize("what", [CRASH, STEAL])
def test_an_attempt_after_a_crash_in_the_middle_goes_on(yard: Yard, action: str, what: str) -> None:
    jobs = [yard.enqueue("test.echo", {}) for _ in range(5)]
    if action == "retry":
        yard.database.execute("UPDATE jobs SET state = 'cancelled', finished_at = now()")
    touched = RETRIED if action == "retry" else CANCELLED
    with mishap(yard, what, touched):
        row = yard.run("jobs.bulk", bulk(action, kind=["test.echo"]))
    halfway = len(retries(yard)) if action == "retry" else states(yard, *jobs).count("cancelled")
    if what == CRASH:
        # The batch in which it happened came to nothing.
        assert (row["state"], halfway) == ("retrying", 2)
        yard.database.execute("UPDATE jobs SET run_at = now() WHERE id = %s", (row["id"],))
    else:
        # The claim was taken over during the second batch; nothing was written after it.
        assert (row["state"], halfway) == ("running", 4)
        yard.database.execute("UPDATE jobs SET state = 'queued', dispatched_at = NULL WHERE id = %s", (row["id"],))

    assert factories.run_job(yard.runner, yard.database, yard.kinds["jobs.bulk"], row["id"]) == "succeeded"

    left = 5 if action == "retry" else 5 - halfway
    assert yard.read("jobs", row["id"])["result"] == counts(action, left, left)
    assert retries(yard) == (sorted(jobs) if action == "retry" else [])
    assert states(yard, *jobs) == ["cancelled"] * 5


def test_a_cancelled_one_ends_between_two_batches(yard: Yard) -> None:
    jobs = [yard.enqueue("test.echo", {}) for _ in range(7)]
    with mishap(yard, CANCEL, CANCELLED):
        row = yard.run("jobs.bulk", bulk("cancel", kind=["test.echo"]))
    assert row["state"] == "cancelled"
    assert states(yard, *jobs) == ["cancelled"] * 4 + ["queued"] * 3


@pytest.mark.parametrize(
    "job_input", [{}, {"action": "cancel", "filter": {}}, {"action": "explode"}, bulk("cancel", colour="red")]
)
def test_what_is_refused(kinds: dict[str, JobKind], job_input: Row) -> None:
    with pytest.raises(ValidationError):
        kinds["jobs.bulk"].input_model.model_validate(job_input)


def test_it_never_means_itself(yard: Yard) -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    row = yard.run("jobs.bulk", bulk("cancel", state=["running"], created_before=tomorrow))
    assert (row["state"], row["result"]) == ("succeeded", counts("cancel", 0, 0))
