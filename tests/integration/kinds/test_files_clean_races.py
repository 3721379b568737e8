"""Cleaning while files come, are changed and are given to jobs: what anybody still counts on is never hurt."""

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from uuid import UUID

import psycopg
import pytest

from shared.errors import FileNotFound
from shared.ids import new_id
from shared.job_queue import enqueue_in_worker
from shared.local_storage import LocalStorage
from shared.settings import Settings
from shared.storage import Blob, output_key, upload_key
from tests import factories
from tests.integration.kinds.cleaning import NOTHING, add_upload, clean, count
from tests.integration.kinds.conftest import Yard
from tests.lock_waits import WAITING

_ADD_FILE = """
INSERT INTO files (id, owner_id, name, media_type, size, sha256, storage_key, purpose, expires_at)
VALUES (%s, %s, 'new', 'text/plain', 6, '', %s, 'upload', now() + interval '1 day')
"""


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Make everything old at once, and have cancel requests heard soon."""
    return settings.model_copy(update={"orphan_grace_minutes": -1, "lease_seconds": 1})


@pytest.fixture
def rival(settings: Settings) -> Iterator[psycopg.Connection]:
    """Open a connection in a transaction that a test ends."""
    with psycopg.connect(settings.database_url) as rival:
        yield rival


def enqueue(yard: Yard, connection: psycopg.Connection, file_id: UUID) -> bool:
    new = factories.new_job(yard.kinds["file.inspect"], yard.owner.id, {"file_id": str(file_id)})
    return enqueue_in_worker(connection, new)


def await_waiting(yard: Yard, number: int) -> None:
    with psycopg.connect(yard.settings.database_url, autocommit=True) as connection:
        while connection.execute(WAITING).fetchone() != (number,):
            pass


@contextmanager
def stopped_in_its_batch(
    yard: Yard, rival: psycopg.Connection, action: Callable[[], object]
) -> Generator[Future[None]]:  # fmt: skip
    """Stop the cleaning where it has locked and deleted its first batch and not committed; act, and let it go on."""
    rival.execute("SELECT FROM storage_usage WHERE owner_id = %s FOR UPDATE", (yard.owner.id,))

    def act() -> None:
        await_waiting(yard, 1)
        try:
            action()
        finally:
            rival.commit()

    with ThreadPoolExecutor(1) as threads:
        yield (acting := threads.submit(act))
        acting.result()


def test_a_file_that_is_being_given_to_a_job_stays(yard: Yard, rival: psycopg.Connection) -> None:
    file_id = yard.store("needed", b"needed", days=-1)
    assert enqueue(yard, rival, file_id)
    assert clean(yard) == NOTHING
    rival.commit()
    assert clean(yard) == NOTHING
    yard.database.execute("DELETE FROM jobs WHERE kind = 'file.inspect'")
    assert clean(yard)["expired"] == 1


def test_a_file_that_is_being_kept_for_longer_stays(yard: Yard, rival: psycopg.Connection) -> None:
    file_id = yard.store("kept", b"kept", days=-1)
    rival.execute("UPDATE files SET expires_at = now() + interval '1 day' WHERE id = %s", (file_id,))
    assert clean(yard) == NOTHING
    rival.commit()
    assert clean(yard) == NOTHING
    assert yard.path(file_id).exists()


@pytest.mark.parametrize("change", ["job", "time"])
def test_what_is_needed_or_kept_when_its_turn_comes_stays(yard: Yard, rival: psycopg.Connection, change: str) -> None:
    files = [yard.store(f"expired {number}", b"12345", days=-1) for number in range(3)]

    def save_two() -> None:
        # All three were found expired; the first is locked, and the others' turns come later.
        with psycopg.connect(yard.settings.database_url) as connection:
            free = "SELECT id FROM files WHERE id = ANY(%s) FOR UPDATE SKIP LOCKED"
            for (file_id,) in connection.execute(free, (files,)).fetchall():
                if change == "job":
                    assert enqueue(yard, connection, file_id)
                else:
                    connection.execute("UPDATE files SET expires_at = 'infinity' WHERE id = %s", (file_id,))

    with stopped_in_its_batch(yard, rival, save_two):
        assert clean(yard, batch_size=1) == NOTHING | {"expired": 1, "bytes_freed": 5}
    assert count(yard) == len(yard.blobs()) == 2


def test_a_job_that_comes_when_its_file_goes_is_refused(yard: Yard, rival: psycopg.Connection) -> None:
    file_id = yard.store("expired", b"12345", days=-1)
    with ThreadPoolExecutor(1) as threads:
        late: list[Future[bool]] = []

        def come_late() -> None:
            late.append(threads.submit(enqueue_alone, yard, file_id))
            await_waiting(yard, 2)

        with stopped_in_its_batch(yard, rival, come_late):
            assert clean(yard)["expired"] == 1
        with pytest.raises(FileNotFound):
            late[0].result()
    assert count(yard, "job_files") == 0


def enqueue_alone(yard: Yard, file_id: UUID) -> bool:
    with psycopg.connect(yard.settings.database_url) as connection:
        return enqueue(yard, connection, file_id)


@pytest.mark.parametrize("minutes", [5, -5])
def test_an_upload_that_becomes_a_file_stays(yard: Yard, rival: psycopg.Connection, minutes: int) -> None:
    upload_id = add_upload(yard, minutes=minutes)
    rival.execute("DELETE FROM uploads WHERE id = %s", (upload_id,))
    rival.execute(_ADD_FILE, (upload_id, yard.owner.id, upload_key(upload_id)))
    assert clean(yard) == NOTHING
    rival.commit()
    assert clean(yard) == NOTHING
    assert yard.blobs() == {upload_key(upload_id)}


def test_a_file_that_is_committed_while_the_storage_is_walked_is_not_missing(
    yard: Yard, rival: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload_id = add_upload(yard, minutes=5)
    rival.execute("DELETE FROM uploads WHERE id = %s", (upload_id,))
    rival.execute(_ADD_FILE, (upload_id, yard.owner.id, upload_key(upload_id)))
    walk = LocalStorage.blobs

    def commit_behind(storage: LocalStorage) -> Iterator[Blob]:
        yield from walk(storage)
        # The only batch was compared: the blob was an upload's, and the file's row not to be seen.
        rival.commit()

    monkeypatch.setattr(LocalStorage, "blobs", commit_behind)
    assert clean(yard, batch_size=1) == NOTHING
    assert (count(yard), count(yard, "uploads")) == (1, 0)


def test_an_output_that_becomes_a_file_stays(yard: Yard, rival: psycopg.Connection) -> None:
    job_id, file_id = yard.enqueue("demo.countdown", {}), new_id()
    yard.database.execute("UPDATE jobs SET state = 'running', fence = 2 WHERE id = %s", (job_id,))
    key = yard.write(output_key(job_id, 2, file_id))
    rival.execute("UPDATE jobs SET state = 'succeeded' WHERE id = %s", (job_id,))
    rival.execute(_ADD_FILE, (file_id, yard.owner.id, key))
    assert clean(yard) == NOTHING
    rival.commit()
    assert clean(yard) == NOTHING
    assert yard.blobs() == {key}


def test_what_others_hold_for_long_is_left_to_the_next_run(
    yard: Yard, rival: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_id = yard.store("expired", b"12345", days=-1)
    monkeypatch.setattr("worker.cleaning.sweep.LONGEST_WAIT", "20ms")
    rival.execute("SELECT FROM storage_usage WHERE owner_id = %s FOR UPDATE", (yard.owner.id,))
    assert clean(yard) == NOTHING
    assert yard.path(file_id).exists()
    rival.rollback()
    assert clean(yard)["expired"] == 1


def test_a_cancelled_run_ends_between_two_batches(yard: Yard, rival: psycopg.Connection) -> None:
    yard.database.execute(
        "INSERT INTO files (id, owner_id, name, media_type, size, sha256, storage_key, purpose, expires_at)"
        " SELECT id, %s, 'new', 'text/plain', 1, '', 'uploads/00/' || id, 'upload', now() - interval '1 day'"
        " FROM (SELECT gen_random_uuid() AS id FROM generate_series(1, 3000)) AS new", (yard.owner.id,),
    )  # fmt: skip
    with stopped_in_its_batch(yard, rival, yard.cancel):
        row = yard.run("files.clean", {"batch_size": 1})
    assert (row["state"], row["result"]) == ("cancelled", None)
    assert 0 < count(yard) < 3000
    assert row["progress_completed"] is None or row["progress_completed"] <= 3000 - count(yard)


def test_a_cancelled_run_that_waits_is_broken_into(yard: Yard, rival: psycopg.Connection) -> None:
    yard.store("expired", b"12345", days=-1)
    ended = Event()

    def cancel() -> None:
        yard.cancel()
        assert ended.wait(30)

    with stopped_in_its_batch(yard, rival, cancel):
        row = yard.run("files.clean", {})
        ended.set()
    assert (row["state"], count(yard)) == ("cancelled", 1)
