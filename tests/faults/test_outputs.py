"""What lost attempts wrote: it never becomes a file, and is gone when they notice, or is swept when they cannot."""

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from shared.job_kind import load_job_kinds
from shared.models import SYSTEM_OWNER_ID
from tests import factories
from tests.faults.conftest import FailingYard, Yard, open_gate
from tests.polling import await_that

LONG_AGO_SECONDS = 7 * 24 * 3600
FIRST, SECOND = 1, 2


@pytest.fixture
def yard(failing: FailingYard) -> Yard:
    """Give the Jobyard that has slots to lose."""
    return failing


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as pool:
        yield pool


@dataclass(frozen=True)
class Writer:
    """Is a job that writes an output and waits, at another gate in each attempt."""

    yard: Yard
    path: str
    gates: dict[int, Path]
    pid: int

    def open(self, attempt: int) -> None:
        open_gate(self.gates[attempt], "through")

    def wait(self) -> dict[str, Any]:
        return self.yard.wait(self.path)

    def blobs(self, fence: int) -> list[Path]:
        """Find what the attempt of a fence left in the storage."""
        folder = Path(self.yard.stack.endpoints.storage_dir, "outputs", self.path.rpartition("/")[2], str(fence))
        with suppress(FileNotFoundError):
            return [*folder.glob("*")]
        # It went while it was looked at.
        return []

    def files(self) -> list[str]:
        """Name the job's files, as its owner sees them."""
        files = self.yard.client.get("/v1/files", params={"limit": 100}).raise_for_status().json()["items"]
        return [file["name"] for file in files if self.path.endswith(str(file["job_id"]))]

    def history(self) -> list[str]:
        attempts = self.yard.client.get(f"{self.path}/attempts").raise_for_status().json()
        return [attempt["outcome"] for attempt in attempts]

    def assert_done_once(self) -> None:
        """Make sure that the second attempt, and nothing of the first, is what the owner sees."""
        job = self.wait()
        assert (job["state"], job["result"]) == ("succeeded", {"text": "attempt 2 through", "attempt": 2})
        assert self.history() == ["worker_lost", "succeeded"]
        assert self.files() == ["attempt 2.txt"]
        assert len(self.blobs(SECOND)) == 1


def begin(yard: Yard, kind: str, name: str, **options: int) -> Writer:
    """Enqueue a job; returns when it has written and waits."""
    gates = {attempt: yard.make_gate(f"{name}.{attempt}") for attempt in (FIRST, SECOND)}
    path = yard.enqueue(kind, {"path": str(yard.gates / name)}, **options)
    return Writer(yard, path, gates, yard.wait_for_attempt(path, FIRST))


def await_gone(writer: Writer, fence: int) -> None:
    """Wait until an attempt's outputs are gone from the storage; nobody tells of that, so it is looked at."""
    await_that(lambda: not writer.blobs(fence))


def wake(writer: Writer, pool: Executor) -> None:
    """Let a frozen child go on, through its gate."""
    opening = pool.submit(writer.open, FIRST)
    os.kill(writer.pid, signal.SIGCONT)
    opening.result()


def test_those_frozen_for_longer_than_their_lease_leave_no_file_and_no_blob(yard: Yard, pool: Executor) -> None:
    hanging = begin(yard, "test.output_at_gate", "hanging")
    early, late = (begin(yard, "test.output_insistently", name) for name in ("early", "late"))
    last = begin(yard, "test.output_insistently", "last", max_attempts=1)
    frozen = [hanging, early, late, last]
    for writer in frozen:
        os.kill(writer.pid, signal.SIGSTOP)
    began = time.monotonic()
    for writer in (hanging, early):
        yard.wait_for_attempt(writer.path, SECOND)

    # This one comes while the second attempt runs, the next ones when it is over, the last when the job has failed.
    wake(early, pool)
    await_gone(early, FIRST)
    early.open(SECOND)
    early.assert_done_once()
    yard.wait_for_attempt(late.path, SECOND)
    late.open(SECOND)
    hanging.open(SECOND)
    assert [len(writer.blobs(FIRST)) for writer in (late, hanging, last)] == [1, 1, 1]
    for writer in (late, hanging):
        writer.assert_done_once()
    wake(late, pool)
    os.kill(hanging.pid, signal.SIGCONT)
    job = last.wait()
    assert (job["state"], job["error"]["code"]) == ("failed", "worker_lost")
    wake(last, pool)

    for writer in (late, hanging, last):
        await_gone(writer, FIRST)
    for writer in (early, late, hanging):
        writer.assert_done_once()
    assert last.wait() == job
    assert (last.history(), last.files()) == (["worker_lost"], [])
    print(f"\n4 attempts frozen: refused, and their outputs gone, after {time.monotonic() - began:.1f} s")


def test_what_killed_attempts_wrote_is_no_file_and_is_swept(yard: Yard) -> None:
    whole = begin(yard, "test.output_at_gate", "whole")
    half = begin(yard, "test.output_in_halves", "half")
    storage = Path(yard.stack.endpoints.storage_dir)
    for writer in (whole, half):
        os.kill(writer.pid, signal.SIGKILL)
    for writer in (whole, half):
        yard.wait_for_attempt(writer.path, SECOND)
        writer.open(SECOND)
        writer.assert_done_once()
    left = [*whole.blobs(FIRST), *(storage / "incoming").glob("*")]
    assert len(left) == 2, "one whole, one half written"
    assert half.blobs(FIRST) == []
    long_ago = time.time() - LONG_AGO_SECONDS
    for blob in left:
        os.utime(blob, (long_ago, long_ago))

    counts = clean_up(yard)

    assert (counts["orphaned"], counts["missing"]) == (2, 0)
    assert not any(blob.exists() for blob in left)
    for writer in (whole, half):
        writer.assert_done_once()


def clean_up(yard: Yard) -> dict[str, Any]:
    """Have the storage swept as beat would; gives the counts."""
    kind = load_job_kinds(["worker.jobs"])["files.clean"]
    with psycopg.connect(yard.stack.endpoints.database_url, autocommit=True) as connection:
        job_id = factories.enqueue(connection, factories.new_job(kind, SYSTEM_OWNER_ID))

        # The API does not show it, so nobody tells when it is done.
        def look() -> dict[str, Any] | None:
            row = connection.execute("SELECT state, result FROM jobs WHERE id = %s", (job_id,)).fetchone()
            assert row is not None
            assert row[0] in {"queued", "running", "succeeded"}
            return row[1]

        return await_that(look)
