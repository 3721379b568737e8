"""An attempt that goes on after its job was rescued: what it made is dropped, wherever the rescue left the job."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import LiteralString
from uuid import UUID

import psycopg
import pytest
from celery.exceptions import Ignore

from shared.job_kind import JobKind
from shared.settings import Settings
from tests import factories
from tests.conftest import Owner
from worker.rescue import rescue
from worker.runner import Runner

LAPSE: LiteralString = "UPDATE jobs SET lease_expires_at = now() - interval '1 s'"
LAPSE_CANCELLED: LiteralString = f"{LAPSE}, cancel_requested = true"


@pytest.fixture
def runner(settings: Settings, kinds: dict[str, JobKind]) -> Iterator[Runner]:
    with factories.open_runner(settings, kinds) as runner:
        yield runner


def rescue_it(settings: Settings, job_id: UUID, statement: LiteralString, gate: Path) -> None:
    """Rescue a job when it runs, then let its handler go on."""
    with psycopg.connect(settings.database_url, autocommit=True) as connection:
        while factories.read_state(connection, job_id) != "running":
            pass
        # In one transaction, or the heartbeat may renew the lease in between.
        with connection.transaction():
            connection.execute(statement)
            rescued = rescue(connection, lease_seconds=0)
    gate.write_text("through")
    assert len(rescued) == 1


# In the last three the row still carries the late attempt's own fence, as after a success whose answer was lost.
@pytest.mark.parametrize(
    ("max_attempts", "statement", "state"),
    [(2, LAPSE, "queued"), (1, LAPSE, "failed"), (2, LAPSE_CANCELLED, "cancelled"), (1, LAPSE_CANCELLED, "cancelled")],
    ids=["rescued", "failed", "cancelled", "cancelled-at-last"],
)
def test_a_success_that_comes_after_the_rescue_is_dropped(
    database: psycopg.Connection, settings: Settings, runner: Runner, kinds: dict[str, JobKind], owner: Owner,
    tmp_path: Path, max_attempts: int, statement: LiteralString, state: str,
) -> None:  # fmt: skip
    kind, gate = kinds["test.output_insistently"], tmp_path / "gate.1"
    os.mkfifo(gate)
    new = factories.new_job(kind, owner.id, {"path": str(tmp_path / "gate")}, max_attempts=max_attempts)
    job_id = factories.enqueue(database, new)
    sequence = factories.dispatch(database, kind.queue)[job_id]
    with ThreadPoolExecutor() as pool:
        rescued = pool.submit(rescue_it, settings, job_id, statement, gate)
        with pytest.raises(Ignore):
            runner.run(kind, str(job_id), sequence)
        rescued.result()

    row = database.execute("SELECT state, result, attempt, fence FROM jobs").fetchone()
    assert row == (state, None, 1, 1)
    assert database.execute("SELECT count(*) FROM files").fetchone() == (0,)
    assert [path for path in settings.storage_dir.rglob("*") if path.is_file()] == []
