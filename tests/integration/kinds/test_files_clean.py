"""Cleaning, of a directory and of a bucket: what goes, what must stay, and what is only told."""

from typing import Any
from uuid import uuid4

import pytest

from shared.ids import new_id
from shared.settings import Settings
from shared.storage import output_key, part_key, upload_key
from tests import factories
from tests.integration.kinds.cleaning import NOTHING, add_upload, age, clean, count, key_of, usage
from tests.integration.kinds.conftest import Row, Yard
from tests.s3_server import S3Server


@pytest.fixture(params=["local", "s3"])
def settings(request: pytest.FixtureRequest, settings: Settings) -> Settings:
    """Clean both storages; without a grace everything is old."""
    changes: dict[str, Any] = {"orphan_grace_minutes": -1}
    if request.param == "s3":
        server: S3Server = request.getfixturevalue("s3_server")
        bucket = server.settings(server.make_bucket())
        changes |= {name: getattr(bucket, name) for name in bucket.model_fields_set}
    return settings.model_copy(update=changes)


@pytest.mark.parametrize("batch_size", [1, 2, 500])
def test_each_sort_goes_and_the_rest_stays(yard: Yard, batch_size: int) -> None:
    kept = yard.store("kept", b"kept")
    under_way = add_upload(yard, minutes=5, parts=2)
    young = yard.blobs()
    for number in range(5):
        yard.store(f"expired {number}", b"12345", days=-1)
    for number in range(3):
        add_upload(yard, minutes=-5, parts=number)
    for key in (upload_key(new_id()), part_key(uuid4(), uuid4()), output_key(uuid4(), 1, uuid4())):
        yard.write(key)
    result = clean(yard, batch_size=batch_size)
    assert result == NOTHING | {"expired": 5, "abandoned": 3, "orphaned": 3, "bytes_freed": 5 * 5 + 3 * 7 + 3 * 6}
    assert yard.blobs() == young
    assert yard.database.execute("SELECT id FROM files").fetchall() == [(kept,)]
    assert yard.database.execute("SELECT id FROM uploads").fetchall() == [(under_way,)]
    assert usage(yard) == (2, 1004)
    assert clean(yard) == NOTHING


def test_uploads_of_many_parts_go_a_few_at_a_time(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.cleaning.abandoned.MOST_PARTS", 5)
    deleted: list[int] = []
    storage = type(yard.storage)
    delete = storage.delete

    def watched(self: Any, *keys: str) -> None:
        deleted.append(len(keys))
        delete(self, *keys)

    monkeypatch.setattr(storage, "delete", watched)
    for parts in (2, 3, 1, 7, 4):
        add_upload(yard, minutes=-5, parts=parts)
    assert clean(yard) == NOTHING | {"abandoned": 5, "bytes_freed": 5 * 7}
    # Each upload has one blob more than its parts.
    assert deleted == [2 + 3 + 2, 1 + 1, 7 + 1, 4 + 1]
    assert (yard.blobs(), count(yard, "uploads"), count(yard, "upload_parts")) == (set(), 0, 0)


def test_a_dry_run_lists_the_first_of_each_sort_and_deletes_nothing(yard: Yard) -> None:
    expired = {key_of(yard, yard.store(f"expired {number}", b"12345", days=-1)) for number in range(120)}
    abandoned = {upload_key(add_upload(yard, minutes=-5, parts=1)) for _ in range(3)}
    orphaned = {yard.write(upload_key(new_id())) for _ in range(2)}
    lost = yard.store("lost")
    yard.storage.delete(key_of(yard, lost))
    age(yard)
    before, used = yard.blobs(), usage(yard)
    result = clean(yard, dry_run=True, batch_size=50)
    listed: list[Row] = result.pop("would_delete")
    by_reason = {
        reason: [each["storage_key"] for each in listed if each["reason"] == reason]
        for reason in ("expired", "abandoned", "orphaned")
    }
    assert result == {
        "expired": 120, "abandoned": 3, "orphaned": 2, "missing": 1, "missing_ids": [str(lost)],
        "bytes_freed": 600 + 21 + 12, "dry_run": True,
    }  # fmt: skip
    assert len(by_reason["expired"]) == len(set(by_reason["expired"]) & expired) == 100
    assert set(by_reason["abandoned"]) == abandoned
    assert set(by_reason["orphaned"]) == orphaned
    assert (yard.blobs(), usage(yard)) == (before, used)
    assert (count(yard), count(yard, "uploads"), count(yard, "upload_parts")) == (121, 3, 3)


@pytest.mark.parametrize(("state", "stays"), [("queued", True), ("retrying", True), ("cancelled", False)])
def test_a_live_job_keeps_its_expired_file(yard: Yard, state: str, stays: bool) -> None:  # noqa: FBT001 - pytest names it
    file_id = yard.store("needed", b"needed", days=-1)
    job_id = yard.enqueue("file.inspect", {"file_id": str(file_id)})
    if state == "retrying":
        yard.database.execute("UPDATE jobs SET state = 'running' WHERE id = %s", (job_id,))
    yard.database.execute("UPDATE jobs SET state = %s WHERE id = %s", (state, job_id))
    for dry_run in (True, False):
        assert clean(yard, dry_run=dry_run)["expired"] == (0 if stays else 1)
    assert count(yard) == len(yard.blobs()) == (1 if stays else 0)


def test_an_output_stays_while_its_attempt_runs(yard: Yard) -> None:
    job_id = yard.enqueue("demo.countdown", {})
    yard.database.execute("UPDATE jobs SET state = 'running', fence = 2 WHERE id = %s", (job_id,))
    running = yard.write(output_key(job_id, 2, new_id()))
    yard.write(output_key(job_id, 1, new_id()))
    assert clean(yard)["orphaned"] == 1
    assert yard.blobs() == {running}
    # Once the job has ended without registering the output, nobody will.
    yard.database.execute("UPDATE jobs SET state = 'failed' WHERE id = %s", (job_id,))
    assert clean(yard)["orphaned"] == 1
    assert yard.blobs() == set()


def test_files_without_a_blob_are_named_and_stay(yard: Yard) -> None:
    lost = [yard.store(f"lost {number}") for number in range(3)]
    for file_id in lost:
        yard.storage.delete(key_of(yard, file_id))
    yard.store("there")
    age(yard)
    assert clean(yard, batch_size=2) == NOTHING | {"missing": 3, "missing_ids": [str(each) for each in sorted(lost)]}
    assert count(yard) == 4


def test_only_the_first_files_without_a_blob_are_named(yard: Yard) -> None:
    yard.database.execute(
        "INSERT INTO files (id, owner_id, name, media_type, size, sha256, storage_key, purpose, expires_at)"
        " SELECT id, %s, 'lost', 'text/plain', 1, '', 'uploads/00/' || id, 'upload', now() + interval '1 day'"
        " FROM (SELECT gen_random_uuid() AS id FROM generate_series(1, 150)) AS new",
        (yard.owner.id,),
    )
    age(yard)
    result = clean(yard)
    assert (result["missing"], len(result["missing_ids"])) == (150, 100)
    assert result["missing_ids"] == sorted(result["missing_ids"])


def test_an_expired_file_without_a_blob_goes_like_any_other(yard: Yard) -> None:
    yard.storage.delete(key_of(yard, yard.store("lost", b"12345", days=-1)))
    # What its owner has stored shrinks by what its row says.
    assert clean(yard) == NOTHING | {"expired": 1, "bytes_freed": 5}


def test_what_a_job_made_and_needed_outlives_it(yard: Yard) -> None:
    kind = yard.kinds["test.echo"]
    job_id = yard.enqueue(kind.name, {"text": "hello", "ending": "output"})
    assert factories.run_job(yard.runner, yard.database, kind, job_id) == "succeeded"
    needed = yard.store("needed", b"needed")
    inspected = yard.run("file.inspect", {"file_id": str(needed)})["id"]
    yard.database.execute("DELETE FROM jobs WHERE id = ANY(%s)", ([job_id, inspected],))
    assert clean(yard) == NOTHING
    assert count(yard) == len(yard.blobs()) == 2


def test_operators_only(yard: Yard) -> None:
    assert yard.kinds["files.clean"].access == yard.kinds["jobs.purge"].access == "operator"
