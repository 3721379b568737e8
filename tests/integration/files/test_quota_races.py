"""Quotas under rivals: exactly what fits is stored, and of the others nothing is left."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from uuid import UUID

import httpx2
import psycopg
import pytest

from shared.settings import Settings
from tests.conftest import Owner, make_owner
from tests.integration.files.bodies import FORM, PNG, blobs, count, form, part
from tests.integration.files.conftest import StartServer
from tests.lock_waits import WAITING

UPLOADS, FITTING = 20, 7
SIZE = 1_000_000
FIRST = 300_000
"""The first bytes of an upload: more than are held back before its row is written."""


def content_in_two(gate: Event) -> Iterator[bytes]:
    yield PNG + bytes(FIRST - len(PNG))
    assert gate.wait(60)
    yield bytes(SIZE - FIRST)


def await_uploads(database: psycopg.Connection, number: int) -> None:
    """Wait until so many uploads are under way; nobody tells of that, so it is looked at."""
    while count(database, "uploads") < number:
        pass


def usage(database: psycopg.Connection, owner_id: UUID) -> tuple[int, int] | None:
    return database.execute("SELECT files, bytes FROM storage_usage WHERE owner_id = %s", (owner_id,)).fetchone()


@pytest.mark.parametrize("length_is_known", [True, False])
def test_of_many_uploads_at_once_exactly_those_that_fit_are_stored(
    start_server: StartServer, settings: Settings, database: psycopg.Connection, owner: Owner, *, length_is_known: bool
) -> None:
    database.execute("UPDATE users SET max_bytes = %s WHERE id = %s", (FITTING * SIZE, owner.id))
    headers = owner.headers | ({"Content-Length": str(SIZE)} if length_is_known else {})
    gate = Event()

    def send(client: httpx2.Client) -> int:
        answer = client.post("/v1/files", content=content_in_two(gate), headers=headers)
        assert answer.status_code == 201 or answer.json()["code"] == "quota_exceeded"
        return answer.status_code

    with start_server().client() as client, ThreadPoolExecutor(UPLOADS) as threads:
        sent = [threads.submit(send, client) for _ in range(UPLOADS)]
        # Of those whose length is known only so many are let in; of the others nobody can tell, and all begin.
        await_uploads(database, FITTING if length_is_known else UPLOADS)
        gate.set()
        statuses = sorted(each.result() for each in sent)
        assert statuses == [201] * FITTING + [413] * (UPLOADS - FITTING)
        assert count(database, "files") == len(blobs(settings.storage_dir)) == FITTING
        assert count(database, "uploads") == 0
        assert usage(database, owner.id) == (FITTING, FITTING * SIZE)

        # It is filled exactly: not a byte more goes in, until something went.
        assert client.post("/v1/files", content=PNG, headers=owner.headers).status_code == 413
        path = client.get("/v1/files", headers=owner.headers).json()["items"][0]["links"]["self"]
        assert client.delete(path, headers=owner.headers).status_code == 204
        assert send(client) == 201


def test_of_a_batch_that_turns_out_too_large_those_files_are_stored_that_fit(
    start_server: StartServer, settings: Settings, database: psycopg.Connection, owner: Owner
) -> None:
    # When their rows are written, what is known of the first two is no more than their first 256 KB: both are let in.
    database.execute("UPDATE users SET max_bytes = 700000 WHERE id = %s", (owner.id,))
    contents = [b"w" * 600_000, b"w" * 600_001, b"w" * (SIZE + 1), b"small"]
    body = form(*(part("files", content, f"{place}.txt") for place, content in enumerate(contents)))
    headers = owner.headers | FORM | {"Idempotency-Key": "batch"}

    with start_server(f"export JOBYARD_MAX_UPLOAD_BYTES={SIZE};").client() as client:
        first, again = (client.post("/v1/files/batch", content=body, headers=headers) for _ in range(2))

    assert first.status_code == 201
    codes = [item["error"] and item["error"]["code"] for item in first.json()["items"]]
    assert codes == [None, "quota_exceeded", "file_too_large", None]
    assert first.json()["failed"] == 2
    assert (again.status_code, again.json()) == (201, first.json())
    assert (count(database, "files"), count(database, "uploads"), len(blobs(settings.storage_dir))) == (2, 0, 2)
    assert usage(database, owner.id) == (2, 600_005)


INSERT = """
INSERT INTO files (owner_id, name, id, media_type, size, sha256, storage_key, purpose, expires_at)
SELECT owner_id, 'new', gen_random_uuid(), media_type, size, '', gen_random_uuid()::text, purpose, now()
FROM files WHERE name = %s
"""
DELETE = "DELETE FROM files WHERE name = %s"


@pytest.mark.parametrize("statements", [(DELETE, DELETE), (INSERT, DELETE), (DELETE, INSERT), (INSERT, INSERT)])
def test_statements_of_many_owners_that_meet_wait_for_each_other_in_one_order(
    database: psycopg.Connection, settings: Settings, statements: tuple[str, str]
) -> None:
    owners = sorted(make_owner(database, settings, f"{number}@example.com").id for number in range(6))
    for name, order in (("up", owners), ("down", owners[::-1])):
        for owner_id in order:
            add(database, owner_id, name)

    with psycopg.connect(settings.database_url) as rival, ThreadPoolExecutor(2) as threads:
        rival.execute("SELECT FROM storage_usage WHERE owner_id = %s FOR UPDATE", (owners[0],))
        # They begin with another owner each, but lock the counters in one order: both wait here, and hold none.
        met: list[Future[int]] = []
        for statement, name in zip(statements, ("up", "down"), strict=True):
            met.append(threads.submit(run, settings, statement, name))
            await_waiting(database, len(met))
        rival.commit()
        assert [each.result() for each in met] == [len(owners)] * 2

    assert_counted(database)


def run(settings: Settings, statement: str, name: str) -> int:
    with psycopg.connect(settings.database_url) as connection:
        return connection.execute(statement.encode(), (name,)).rowcount


def add(database: psycopg.Connection, owner_id: UUID, name: str) -> None:
    database.execute(
        "INSERT INTO files (id, owner_id, name, media_type, size, sha256, storage_key, purpose, expires_at)"
        " VALUES (gen_random_uuid(), %s, %s, 'text/plain', 5, '', gen_random_uuid()::text, 'upload', now())",
        (owner_id, name),
    )


def await_waiting(database: psycopg.Connection, number: int) -> None:
    while database.execute(WAITING).fetchone() != (number,):
        database.execute("SELECT pg_stat_clear_snapshot()")


def assert_counted(database: psycopg.Connection) -> None:
    """Make sure that each owner's counters say what there is."""
    wrong = database.execute(
        "SELECT id, bytes, files, sums.* FROM users LEFT JOIN storage_usage ON owner_id = id CROSS JOIN LATERAL ("
        "  SELECT coalesce(sum(size), 0) AS size, count(*) AS number FROM ("
        "    SELECT size FROM files WHERE owner_id = users.id UNION ALL"
        "    SELECT size FROM uploads WHERE owner_id = users.id) AS stored) AS sums"
        " WHERE (coalesce(bytes, 0), coalesce(files, 0)) <> (sums.size, sums.number)"
    ).fetchall()
    assert wrong == []
