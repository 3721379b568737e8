"""Making jobs and running them through the real dispatcher's marks and the real runner, in this process."""

from collections.abc import Generator, Iterable
from contextlib import closing, contextmanager, suppress
from typing import Any
from uuid import UUID, uuid4

import psycopg
from celery.exceptions import Ignore
from celery.exceptions import Retry as CeleryRetry

from shared.job_kind import JobKind, load_job_kinds
from shared.job_queue import NewJob, enqueue_in_worker
from shared.settings import Settings
from worker import dispatching, ledger
from worker.fair_order import FairOrder
from worker.runner import JobFailed, Runner


def new_job(kind: JobKind, owner_id: UUID, job_input: dict[str, Any] | None = None, **options: Any) -> NewJob:
    """Make a job of a kind with the kind's own defaults."""
    checked = kind.input_model.model_validate(job_input or {})
    given: dict[str, Any] = {
        "owner_id": owner_id,
        "kind": kind.name,
        "queue": kind.queue,
        "input": checked.model_dump(mode="json"),
        "max_attempts": kind.max_attempts,
        "file_ids": checked.file_ids(),
    }
    return NewJob(**given | options)


def enqueue(database: psycopg.Connection[Any], new: NewJob) -> UUID:
    """Write a job down in a transaction of its own."""
    with database.transaction():
        assert enqueue_in_worker(database, new)
    return new.id


def dispatch(
    database: psycopg.Connection[Any], queue: str, places: int = 100, kinds: Iterable[JobKind] = ()
) -> dict[UUID, int]:
    """Mark a queue's next jobs as dispatched, as the dispatcher would; gives each job's dispatch_seq.

    `kinds` adds to those that the tests' settings name.
    """
    dispatching.promote(database)
    known = load_job_kinds(["worker.jobs", "tests.kinds"]) | {kind.name: kind for kind in kinds}
    picked, _ = FairOrder(queue, known.values()).pick(database, take_lease(database), places)
    return {marked.job_id: marked.dispatch_seq for marked in picked}


def take_lease(database: psycopg.Connection[Any]) -> UUID:
    """Become the active dispatcher, whoever was it before; gives who that is."""
    holder = uuid4()
    database.execute("UPDATE dispatcher_lease SET expires_at = now() - interval '1 second'")
    assert dispatching.hold_lease(database, holder, 60)
    return holder


@contextmanager
def open_runner(settings: Settings, kinds: dict[str, JobKind]) -> Generator[Runner]:
    """Open a runner whose child is this process."""
    with closing(Runner(settings, kinds)) as runner:
        yield runner


def run_job(runner: Runner, database: psycopg.Connection[Any], kind: JobKind, job_id: UUID) -> str:
    """Dispatch a job and run one attempt; gives the state afterwards."""
    sequence = dispatch(database, kind.queue, kinds=[kind])[job_id]
    with suppress(CeleryRetry, Ignore, JobFailed):
        runner.run(kind, str(job_id), sequence)
    return read_state(database, job_id)


def read_state(database: psycopg.Connection[Any], job_id: UUID) -> str:
    """Read a job's state."""
    row = database.execute("SELECT state FROM jobs WHERE id = %s", (job_id,)).fetchone()
    assert row is not None
    return row[0]


def claim(database: psycopg.Connection[Any], job_id: UUID, lease: float = 60, timeout: float = 60) -> ledger.Claim:
    """Dispatch a job of the default queue and claim it; both times are in seconds."""
    sequence = dispatch(database, "default")[job_id]
    held = ledger.claim(
        database, job_id=job_id, dispatch_seq=sequence, claim_id=uuid4(), worker="test",
        lease_seconds=lease, timeout_seconds=timeout,
    )  # fmt: skip
    assert held is not None
    return held
