"""Cleaning: what goes, what must stay, and what is only counted."""

import os
import time
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest

from shared.ids import new_id
from shared.storage import output_key
from tests import factories
from tests.integration.kinds.conftest import Row, Yard

NOTHING = {"expired": 0, "orphaned": 0, "missing": 0, "bytes_freed": 0, "dry_run": False, "would_delete": []}


def clean(yard: Yard, **options: object) -> Row:
    row = yard.run("files.clean", options)
    assert row["state"] == "succeeded"
    return row["result"]


def orphan(yard: Yard, key: str, content: bytes = b"orphan") -> str:
    """Write a blob without a file, as old as the grace allows and a little older."""
    with yard.storage.writer(key) as writer:
        writer.write(content)
        writer.commit()
    make_old(yard, yard.storage.path(key))
    return key


def make_old(yard: Yard, path: Path, seconds: int = 60) -> None:
    old = time.time() - yard.settings.orphan_grace_minutes * 60 - seconds
    os.utime(path, (old, old))


def key_of(yard: Yard, file_id: UUID) -> str:
    return yard.read("files", file_id)["storage_key"]


@pytest.mark.parametrize("batch_size", [1, 2, 500])
def test_expired_files_and_orphans_go(yard: Yard, batch_size: int) -> None:
    kept = yard.store("kept", b"kept")
    for number in range(5):
        yard.store(f"expired {number}", b"12345", days=-1)
    orphan(yard, f"uploads/ab/{uuid4()}")
    orphan(yard, f"incoming/{uuid4()}")
    orphan(yard, output_key(uuid4(), 1, uuid4()))
    result = clean(yard, batch_size=batch_size)
    assert result == NOTHING | {"expired": 5, "orphaned": 3, "bytes_freed": 5 * 5 + 3 * 6}
    assert yard.blobs() == {key_of(yard, kept)}
    assert yard.database.execute("SELECT id FROM files").fetchall() == [(kept,)]
    assert clean(yard) == NOTHING


def test_a_dry_run_deletes_nothing(yard: Yard) -> None:
    for number in range(120):
        yard.store(f"expired {number}", b"12345", days=-1)
    orphan(yard, f"uploads/ab/{uuid4()}")
    before = yard.blobs()
    result = clean(yard, dry_run=True, batch_size=50)
    listed = result.pop("would_delete")
    assert result == {"expired": 120, "orphaned": 1, "missing": 0, "bytes_freed": 606, "dry_run": True}
    assert len(listed) == 100
    assert {each["storage_key"] for each in listed} <= before
    assert listed[0]["reason"] == "expired"
    assert yard.blobs() == before
    assert yard.database.execute("SELECT count(*) FROM files").fetchone() == (120,)


@pytest.mark.parametrize(("state", "stays"), [("queued", True), ("retrying", True), ("cancelled", False)])
def test_a_live_job_keeps_its_expired_file(yard: Yard, state: str, stays: bool) -> None:  # noqa: FBT001
    file_id = yard.store("needed", b"needed", days=-1)
    job_id = yard.enqueue("file.inspect", {"file_id": str(file_id)})
    if state == "retrying":
        yard.database.execute("UPDATE jobs SET state = 'running' WHERE id = %s", (job_id,))
    yard.database.execute("UPDATE jobs SET state = %s WHERE id = %s", (state, job_id))
    assert clean(yard)["expired"] == (0 if stays else 1)
    assert yard.database.execute("SELECT count(*) FROM files").fetchone() == (1 if stays else 0,)


def test_a_file_being_given_to_a_job_is_left_alone(yard: Yard) -> None:
    file_id = yard.store("taken", b"taken", days=-1)
    with psycopg.connect(yard.settings.database_url) as rival:
        # What enqueue() does first, in a transaction that is still open.
        rival.execute("SELECT id FROM files WHERE id = %s FOR KEY SHARE", (file_id,))
        assert clean(yard) == NOTHING
    assert yard.path(file_id).exists()
    assert clean(yard)["expired"] == 1


def test_what_is_young_running_or_foreign_stays(yard: Yard) -> None:
    kind = yard.kinds["demo.countdown"]
    job_id = factories.enqueue(yard.database, factories.new_job(kind, yard.owner.id, {}))
    yard.database.execute("UPDATE jobs SET state = 'running', fence = 2 WHERE id = %s", (job_id,))
    running = orphan(yard, output_key(job_id, 2, new_id()))
    superseded = orphan(yard, output_key(job_id, 1, new_id()))
    young = orphan(yard, f"uploads/ab/{uuid4()}")
    make_old(yard, yard.storage.path(young), seconds=-60)
    probe = orphan(yard, "health/probe")
    foreign = yard.settings.storage_dir / "uploads" / "READ ME.txt"
    foreign.write_text("put here by a person")
    make_old(yard, foreign)
    assert clean(yard)["orphaned"] == 1
    assert superseded not in yard.blobs()
    assert yard.blobs() == {running, young, probe, "uploads/READ ME.txt"}
    # Once the job has ended without registering the output, nobody will.
    yard.database.execute("UPDATE jobs SET state = 'failed' WHERE id = %s", (job_id,))
    assert clean(yard)["orphaned"] == 1
    assert running not in yard.blobs()


def test_files_without_a_blob_are_counted_and_stay(yard: Yard) -> None:
    for number in range(3):
        yard.path(yard.store(f"lost {number}")).unlink()
    yard.store("there")
    assert clean(yard, batch_size=2) == NOTHING | {"missing": 3}
    assert yard.database.execute("SELECT count(*) FROM files").fetchone() == (4,)


def test_an_expired_file_without_a_blob_frees_nothing(yard: Yard) -> None:
    yard.path(yard.store("lost", b"12345", days=-1)).unlink()
    assert clean(yard) == NOTHING | {"expired": 1}


def test_operators_only(yard: Yard) -> None:
    assert yard.kinds["files.clean"].access == yard.kinds["jobs.purge"].access == "operator"
