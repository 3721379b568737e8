import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
import pytest

from shared.errors import FileNotFound
from shared.ids import new_id
from shared.job_kind import JobKind
from shared.job_queue import NewJob, cancel_job, enqueue, read_job
from shared.settings import Settings
from tests import factories
from tests.conftest import Owner

Database = psycopg.Connection


async def enqueue_once(url: str, new: NewJob) -> tuple[UUID, bool]:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        enqueued = await enqueue(connection, new)
        return enqueued.row.id, enqueued.existing


def echo(kinds: dict[str, JobKind], owner: Owner, **options: object) -> NewJob:
    return factories.new_job(kinds["test.echo"], owner.id, {"text": "hello"}, **options)


def test_a_job_is_born_queued_or_scheduled(database: Database, owner: Owner, kinds: dict[str, JobKind]) -> None:
    now = factories.enqueue(database, echo(kinds, owner))
    later = factories.enqueue(database, echo(kinds, owner, run_at=datetime.now(UTC) + timedelta(hours=1)))
    assert factories.read_state(database, now) == "queued"
    assert factories.read_state(database, later) == "scheduled"


def test_the_same_id_is_written_once(settings: Settings, owner: Owner, kinds: dict[str, JobKind]) -> None:
    new = echo(kinds, owner)
    first = asyncio.run(enqueue_once(settings.database_url, new))
    second = asyncio.run(enqueue_once(settings.database_url, new))
    assert first == (new.id, False)
    assert second == (new.id, True)


def test_rivals_with_one_unique_key_share_one_live_job(
    settings: Settings, database: Database, owner: Owner, kinds: dict[str, JobKind]
) -> None:
    async def race() -> list[tuple[UUID, bool]]:
        jobs = [echo(kinds, owner, unique_key="nightly") for _ in range(10)]
        return await asyncio.gather(*(enqueue_once(settings.database_url, new) for new in jobs))

    answers = asyncio.run(race())
    assert len({job_id for job_id, _ in answers}) == 1
    assert sorted(existing for _, existing in answers) == [False] + [True] * 9
    count = database.execute("SELECT count(*) FROM jobs").fetchone()
    assert count == (1,)


def test_a_unique_key_is_free_again_once_its_job_is_done(
    settings: Settings, owner: Owner, kinds: dict[str, JobKind]
) -> None:
    async def cancel_and_enqueue_again() -> tuple[UUID, bool]:
        first, _ = await enqueue_once(settings.database_url, echo(kinds, owner, unique_key="k"))
        async with await psycopg.AsyncConnection.connect(settings.database_url, autocommit=True) as connection:
            cancelled = await cancel_job(connection, owner.id, first)
        assert cancelled is not None
        assert cancelled.state == "cancelled"
        return await enqueue_once(settings.database_url, echo(kinds, owner, unique_key="k"))

    assert asyncio.run(cancel_and_enqueue_again())[1] is False


def test_keys_of_owners_do_not_meet(
    settings: Settings, owner: Owner, stranger: Owner, kinds: dict[str, JobKind]
) -> None:
    mine = asyncio.run(enqueue_once(settings.database_url, echo(kinds, owner, unique_key="k")))
    theirs = asyncio.run(enqueue_once(settings.database_url, echo(kinds, stranger, unique_key="k")))
    assert mine[0] != theirs[0]


def test_a_job_with_a_strangers_file_is_not_written(
    database: Database, owner: Owner, kinds: dict[str, JobKind]
) -> None:
    with pytest.raises(FileNotFound):
        factories.enqueue(database, echo(kinds, owner, file_ids=[new_id()]))
    assert database.execute("SELECT count(*) FROM jobs").fetchone() == (0,)


def test_a_job_is_read_by_its_owner_alone(
    settings: Settings, database: Database, owner: Owner, stranger: Owner, kinds: dict[str, JobKind]
) -> None:
    job_id = factories.enqueue(database, echo(kinds, owner))

    async def read_as(owner_id: UUID) -> object:
        async with await psycopg.AsyncConnection.connect(settings.database_url, autocommit=True) as connection:
            return await read_job(connection, owner_id, job_id)

    assert asyncio.run(read_as(stranger.id)) is None
    assert asyncio.run(read_as(owner.id)) is not None


def test_the_clock_of_a_ttl_starts_when_the_job_is_due(
    database: Database, owner: Owner, kinds: dict[str, JobKind]
) -> None:
    due = datetime.now(UTC) + timedelta(hours=2)
    job_id = factories.enqueue(database, echo(kinds, owner, run_at=due, ttl_seconds=60))
    row = database.execute("SELECT ttl_at FROM jobs WHERE id = %s", (job_id,)).fetchone()
    assert row is not None
    assert row[0] == due + timedelta(seconds=60)
