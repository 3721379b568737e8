"""A clean-up that is killed, wherever it is: nothing is lost that anybody counts on, and the next one finishes.

So does one beside it; and whoever stores files meanwhile does not wait for it.
"""

import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe
from multiprocessing.context import ForkServerProcess
from typing import Any, cast

import psycopg
import pytest

from shared.ids import new_id
from shared.job_kind import JobKind
from shared.models import SYSTEM_OWNER_ID
from shared.settings import Settings
from shared.storage import output_key, upload_key
from tests import factories
from tests.conftest import Owner
from tests.faults.programs.clean_in_steps import GO_ON, THERE
from tests.faults.programs.clean_in_steps import clean as clean_in_steps
from tests.forks import fork
from tests.integration.kinds.cleaning import add_upload, clean, count, key_of, usage
from tests.integration.kinds.conftest import Yard
from tests.polling import await_that
from worker.runner import Runner

MANY = 6
EXPIRED, ABANDONED, ORPHANED = range(3)
"""The bulk deletions in their order: each sort fits into one batch."""


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"orphan_grace_minutes": -1})


@pytest.fixture
def runner(settings: Settings, kinds: dict[str, JobKind]) -> Generator[Runner]:
    with factories.open_runner(settings, kinds) as runner:
        yield runner


@pytest.fixture
def files(
    settings: Settings, database: psycopg.Connection, kinds: dict[str, JobKind], owner: Owner, runner: Runner
) -> Yard:
    """Give a yard in which there is something of each sort to clean, and something to keep."""
    files = Yard(settings, database, runner, kinds, owner)
    files.enqueue("file.inspect", {"file_id": str(files.store("needed", b"needed", days=-1))})
    files.store("kept", b"kept")
    add_upload(files, minutes=5, parts=2)
    for _ in range(MANY):
        files.store("expired", b"12345", days=-1)
        add_upload(files, minutes=-5, parts=2)
        files.write(upload_key(new_id()))
        files.write(output_key(new_id(), 1, new_id()))
    return files


@dataclass(frozen=True, slots=True)
class Cleaning:
    """Is a clean-up in a process of its own, and the line to it."""

    process: ForkServerProcess
    line: "Connection[Any, Any]"

    def await_place(self) -> None:
        """Wait until it has stopped at its place."""
        assert self.line.recv() == THERE

    def finish(self) -> int | None:
        """Let it go on to its end; gives the exit code."""
        self.line.send(GO_ON)
        self.process.join(60)
        return self.process.exitcode

    def kill(self) -> None:
        """End it at once, wherever it is."""
        self.process.kill()


@contextmanager
def cleaning(files: Yard, place: str) -> Generator[Cleaning]:
    """Run a clean-up in a process of its own, which stops at a place."""
    kind = files.kinds["files.clean"]
    job_id = factories.enqueue(files.database, factories.new_job(kind, SYSTEM_OWNER_ID))
    sequence = factories.dispatch(files.database, kind.queue)[job_id]
    environment = os.environ | {
        "DATABASE_URL": files.settings.database_url,
        "REDIS_URL": files.settings.redis_url,
        "JOBYARD_STORAGE_DIR": str(files.settings.storage_dir),
        "JOBYARD_ENVIRONMENT": "test",
    }
    ours, its = Pipe()
    # What it is on Windows is none of our concern.
    line = cast("Connection[Any, Any]", ours)
    with ours, its:
        running = Cleaning(fork(environment, clean_in_steps, str(job_id), sequence, place, its), line)
        # So that its end is the end of the line.
        its.close()
        try:
            yield running
        finally:
            running.kill()
            running.process.join()


def assert_whole(files: Yard) -> None:
    """Make sure that every file that has a row has its blob."""
    keys = {row[0] for row in files.database.execute("SELECT storage_key FROM files")}
    assert keys <= files.blobs()
    assert {key_of(files, row[0]) for row in files.database.execute("SELECT file_id FROM job_files")} <= keys


def assert_clean(files: Yard) -> None:
    """Make sure that what is to be kept is there, and nothing else."""
    assert_whole(files)
    assert (count(files), count(files, "uploads"), len(files.blobs())) == (2, 1, 2 + 3)
    assert usage(files) == (3, len(b"needed") + len(b"kept") + 1000)


def store_beside(files: Yard) -> None:
    """Store a file of the same owner, and take it away, as long as nobody holds what that needs."""
    with psycopg.connect(files.settings.database_url) as rival:
        rival.execute("SET lock_timeout = '2s'")
        rival.execute(
            "INSERT INTO files (id, owner_id, name, media_type, size, sha256, storage_key, purpose, expires_at)"
            " VALUES (%s, %s, 'beside', 'text/plain', 1, '', 'uploads/00/beside', 'upload', now())",
            (new_id(), files.owner.id),
        )
        rival.rollback()


@pytest.mark.parametrize(
    "place",
    [
        f"{EXPIRED}-before",
        f"{EXPIRED}-amid",
        f"{ABANDONED}-before",
        f"{ABANDONED}-amid",
        "walking",
        f"{ORPHANED}-before",
        f"{ORPHANED}-amid",
    ],
)
def test_killed_anywhere_it_hurts_nothing_and_the_next_run_finishes(files: Yard, place: str) -> None:
    with cleaning(files, place) as running:
        running.await_place()
        store_beside(files)
        running.kill()
    assert_whole(files)
    clean(files)
    assert_clean(files)


def test_killed_in_a_transaction_it_has_done_nothing(files: Yard) -> None:
    before = files.blobs()
    with psycopg.connect(files.settings.database_url) as rival:
        rival.execute("SELECT FROM storage_usage WHERE owner_id = %s FOR UPDATE", (files.owner.id,))
        with cleaning(files, "nowhere") as running:
            backend = await_waiting(files)
            running.kill()
        rival.rollback()
    await_end(files, backend)
    assert files.blobs() == before
    assert count(files) == 2 + MANY
    assert clean(files)["expired"] == MANY
    assert_clean(files)


def test_two_at_once_do_the_work_once(files: Yard) -> None:
    with cleaning(files, f"{EXPIRED}-amid") as running:
        running.await_place()
        # The rows are gone, and so the blobs that the other has still to delete are orphans by now.
        assert clean(files)["expired"] == 0
        assert_clean(files)
        assert running.finish() == 0
    assert_clean(files)
    states = files.database.execute(
        "SELECT state, result ->> 'expired' FROM jobs WHERE kind = 'files.clean'"
    ).fetchall()
    assert sorted(states) == [("succeeded", "0"), ("succeeded", str(MANY))]


def await_waiting(files: Yard) -> int:
    """Wait until the clean-up waits for a lock; gives its session's process."""
    waiting = (
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'jobyard-cleaning' AND wait_event_type = 'Lock'"
    )
    return await_that(lambda: files.database.execute(waiting).fetchone())[0]


def await_end(files: Yard, backend: int) -> None:
    session = "SELECT FROM pg_stat_activity WHERE pid = %s"
    await_that(lambda: files.database.execute(session, (backend,)).fetchone() is None)
