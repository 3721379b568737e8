"""The counters say what is stored, whatever was done at once; and nothing that is done waits for itself."""

import random
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from uuid import UUID

import psycopg
import pytest
from fastapi.testclient import TestClient

from shared.ids import new_id
from shared.job_kind import JobKind
from shared.settings import Settings
from tests import factories
from tests.conftest import Owner, make_owner
from tests.integration.files.bodies import PNG, blobs
from tests.integration.files.test_quota_races import assert_counted
from worker.runner import Runner

STEPS = 40
"""Of each thread."""
Act = Callable[[random.Random], None]

_ADD_UPLOADS = """
INSERT INTO uploads (id, owner_id, size, received, expires_at)
SELECT gen_random_uuid(), unnest(%s::uuid[]), %s, 0, now() + make_interval(mins => %s)
"""


class Crowd:
    """Does everything that stores or deletes, by the API or behind its back."""

    def __init__(self, settings: Settings, client: TestClient, owners: list[Owner]) -> None:
        self._settings = settings
        self._client = client
        self._owners = owners

    def upload(self, chance: random.Random) -> None:
        content = chance.choice([PNG, PNG + bytes(chance.randrange(300_000)), b"\x7fELF, which is not allowed"])
        self._client.post("/v1/files", content=content, headers=chance.choice(self._owners).headers)

    def upload_batch(self, chance: random.Random) -> None:
        files = [("files", ("a", chance.choice([PNG, b"", b"text"]))) for _ in range(chance.randrange(1, 5))]
        self._client.post("/v1/files/batch", files=files, headers=chance.choice(self._owners).headers)

    def delete(self, chance: random.Random) -> None:
        headers = chance.choice(self._owners).headers
        files = self._client.get("/v1/files", headers=headers).json()["items"]
        if files:
            self._client.delete(chance.choice(files)["links"]["self"], headers=headers)

    def expire(self, chance: random.Random) -> None:
        self._run("UPDATE files SET expires_at = now() WHERE owner_id = ANY(%s) AND size %% 2 = 0", self._some(chance))

    def add_uploads(self, chance: random.Random) -> None:
        self._run(_ADD_UPLOADS, self._some(chance), chance.randrange(100), chance.choice([-1, 1]))

    def end_uploads(self, chance: random.Random) -> None:
        self._run("DELETE FROM uploads WHERE owner_id = ANY(%s) AND received = 0 AND size %% 3 = 0", self._some(chance))

    def add_and_delete_users(self, chance: random.Random) -> None:
        users = [new_id() for _ in range(3)]
        self._run(
            "INSERT INTO users (id, email, password_hash) SELECT id, id || '@example.com', '!' FROM unnest(%s::uuid[])"
            " AS new (id)", users,
        )  # fmt: skip
        self._run(_ADD_UPLOADS, users + self._some(chance), 5, 1)
        self._run("DELETE FROM users WHERE id = ANY(%s)", users)

    def acts(self) -> list[Act]:
        return [self.upload, self.upload, self.upload_batch, self.delete, self.expire, self.add_uploads,
                self.end_uploads, self.add_and_delete_users]  # fmt: skip

    def _some(self, chance: random.Random) -> list[UUID]:
        return [owner.id for owner in chance.sample(self._owners, chance.randint(1, len(self._owners)))]

    def _run(self, statement: str, *values: object) -> None:
        # A deadlock would be an error here, and fail the test.
        with psycopg.connect(self._settings.database_url) as connection:
            connection.execute(statement.encode(), values)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Let everyone store so much that some have no room at times; without a grace every orphan goes."""
    return settings.model_copy(update={"owner_max_files": 12, "owner_max_bytes": 2_000_000})


def test_whatever_is_done_at_once_is_counted(
    settings: Settings, client: TestClient, database: psycopg.Connection, kinds: dict[str, JobKind]
) -> None:
    owners = [make_owner(database, settings, f"{number}@example.com") for number in range(4)]
    acts = Crowd(settings, client, owners).acts()

    with factories.open_runner(settings, kinds) as runner, ThreadPoolExecutor(len(acts)) as threads:
        going = [threads.submit(_act, act, place) for place, act in enumerate(acts)]
        states = _work(runner, database, kinds, owners, going)
        for each in going:
            each.result()

    assert_counted(database)
    assert {"succeeded", "failed"} >= states >= {"succeeded"}
    stored = database.execute("SELECT storage_key FROM files").fetchall()
    assert {row[0] for row in stored} == {path.relative_to(settings.storage_dir).as_posix() for path in
                                          blobs(settings.storage_dir)}  # fmt: skip


def _act(act: Act, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - a seeded choice of what to do
    for _ in range(STEPS):
        act(chance)


def _work(
    runner: Runner, database: psycopg.Connection, kinds: dict[str, JobKind], owners: list[Owner],
    going: list[Future[None]],
) -> set[str]:  # fmt: skip
    """Write outputs and clean up for as long as others are at it, and once more; gives how the jobs ended."""
    states: set[str] = set()
    chance = random.Random(STEPS)  # noqa: S311 - guards nothing
    over = False
    while not over:
        over = all(each.done() for each in going)
        for name, job_input in (
            ("test.echo", {"text": "x" * chance.randrange(100), "ending": "output"}),
            ("files.clean", {"batch_size": 3}),
        ):
            kind = kinds[name]
            job_id = factories.enqueue(database, factories.new_job(kind, chance.choice(owners).id, job_input))
            states.add(factories.run_job(runner, database, kind, job_id))
    return states
