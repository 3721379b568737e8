"""Listing, reading, downloading and deleting stored files."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from fastapi.testclient import TestClient

from shared.errors import FileNotFound
from shared.job_kind import JobKind
from shared.job_queue import enqueue_in_worker
from shared.settings import Settings
from tests.conftest import Owner
from tests.factories import new_job
from tests.integration.files.bodies import PNG, blobs, count
from tests.lock_waits import WAITING

INSPECT = "file.inspect"


def store(client: TestClient, owner: Owner, name: str = "a.png", content: bytes = PNG) -> dict[str, Any]:
    answer = client.post("/v1/files", files={"file": (name, content)}, headers=owner.headers)
    assert answer.status_code == 201
    stored: dict[str, Any] = answer.json()
    return stored


def test_pages_list_all_files_newest_first(client: TestClient, owner: Owner, stranger: Owner) -> None:
    stored = [store(client, owner, f"{number}.png")["id"] for number in range(5)]
    store(client, stranger)

    listed: list[str] = []
    cursor: str | None = None
    while True:
        parameters: dict[str, str | int] = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = client.get("/v1/files", params=parameters, headers=owner.headers).json()
        listed += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert listed == stored[::-1]


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "cursor=nonsense", "limit=x"])
def test_lists_refuse_what_they_cannot_read(client: TestClient, owner: Owner, query: str) -> None:
    assert client.get(f"/v1/files?{query}", headers=owner.headers).status_code == 422


def test_a_file_reads_as_it_was_stored(client: TestClient, owner: Owner) -> None:
    stored = store(client, owner)

    assert client.get(stored["links"]["self"], headers=owner.headers).json() == stored
    assert client.get("/v1/files", headers=owner.headers).json()["items"] == [stored]


@pytest.mark.parametrize(("method", "suffix"), [("GET", ""), ("GET", "/content"), ("DELETE", "")])
def test_files_of_others_are_not_found(
    client: TestClient, owner: Owner, stranger: Owner, method: str, suffix: str
) -> None:
    stored = store(client, owner)

    for file_id in (stored["id"], uuid4()):
        answer = client.request(method, f"/v1/files/{file_id}{suffix}", headers=stranger.headers)
        assert (answer.status_code, answer.json()["code"]) == (404, "file_not_found")
    assert client.request(method, f"/v1/files/{stored['id']}{suffix}").status_code == 401
    assert client.get(stored["links"]["content"], headers=owner.headers).content == PNG


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_ids_that_are_none(client: TestClient, owner: Owner, method: str) -> None:
    assert client.request(method, "/v1/files/..%2Fetc", headers=owner.headers).status_code in {404, 422}
    assert client.request(method, "/v1/files/none", headers=owner.headers).status_code == 422


def test_a_deleted_file_is_gone(
    client: TestClient, owner: Owner, settings: Settings, database: psycopg.Connection
) -> None:
    stored = store(client, owner)

    assert client.delete(stored["links"]["self"], headers=owner.headers).status_code == 204

    assert client.get(stored["links"]["self"], headers=owner.headers).status_code == 404
    assert client.get(stored["links"]["content"], headers=owner.headers).status_code == 404
    assert client.delete(stored["links"]["self"], headers=owner.headers).status_code == 404
    assert (blobs(settings.storage_dir), count(database, "files")) == ([], 0)


def test_a_file_that_a_live_job_needs_stays(client: TestClient, owner: Owner) -> None:
    both = client.post(f"/v1/files?process={INSPECT}", files={"file": ("a.png", PNG)}, headers=owner.headers).json()
    path = both["file"]["links"]["self"]

    answer = client.delete(path, headers=owner.headers)

    assert (answer.status_code, answer.json()["code"]) == (409, "file_in_use")
    assert client.get(f"{path}/content", headers=owner.headers).content == PNG
    assert client.post(both["job"]["links"]["cancel"], headers=owner.headers).status_code == 200
    assert client.delete(path, headers=owner.headers).status_code == 204


def test_of_two_deletes_at_once_one_wins(client: TestClient, owner: Owner, settings: Settings) -> None:
    for _ in range(10):
        path = store(client, owner)["links"]["self"]
        together = Barrier(2)

        def delete(path: str = path, together: Barrier = together) -> int:
            together.wait()
            return client.delete(path, headers=owner.headers).status_code

        with ThreadPoolExecutor(2) as threads:
            statuses = [future.result() for future in [threads.submit(delete), threads.submit(delete)]]

        assert sorted(statuses) == [204, 404]
    assert blobs(settings.storage_dir) == []


def test_a_delete_waits_for_the_job_that_came_first(
    client: TestClient, owner: Owner, database: psycopg.Connection, kinds: dict[str, JobKind]
) -> None:
    stored = store(client, owner)
    with ThreadPoolExecutor(1) as threads:
        with database.transaction():
            assert enqueue_in_worker(database, new_job(kinds[INSPECT], owner.id, {"file_id": stored["id"]}))
            answer = threads.submit(client.delete, stored["links"]["self"], headers=owner.headers)
            _wait_for_a_lock(database)

        assert answer.result().status_code == 409
    assert client.get(stored["links"]["content"], headers=owner.headers).content == PNG


def test_a_job_waits_for_the_delete_that_came_first(
    client: TestClient, owner: Owner, database: psycopg.Connection
) -> None:
    stored = store(client, owner)
    with ThreadPoolExecutor(1) as threads:
        with database.transaction():
            database.execute("DELETE FROM files WHERE id = %s", (UUID(stored["id"]),))
            new = {"kind": INSPECT, "input": {"file_id": stored["id"]}}
            answer = threads.submit(client.post, "/v1/jobs", json=new, headers=owner.headers)
            _wait_for_a_lock(database)

        assert (answer.result().status_code, answer.result().json()["code"]) == (404, FileNotFound.code)
    assert count(database, "jobs") == 0


def test_deletes_and_enqueues_that_race_never_leave_a_job_without_its_file(
    client: TestClient, owner: Owner, database: psycopg.Connection
) -> None:
    for _ in range(15):
        stored = store(client, owner)
        together = Barrier(2)

        def delete(path: str = stored["links"]["self"], together: Barrier = together) -> int:
            together.wait()
            return client.delete(path, headers=owner.headers).status_code

        def enqueue(file_id: str = stored["id"], together: Barrier = together) -> int:
            together.wait()
            new = {"kind": INSPECT, "input": {"file_id": file_id}}
            return client.post("/v1/jobs", json=new, headers=owner.headers).status_code

        with ThreadPoolExecutor(2) as threads:
            outcome = [future.result() for future in [threads.submit(delete), threads.submit(enqueue)]]

        assert outcome in ([204, 404], [409, 202])
    lost = "SELECT count(*) FROM jobs WHERE NOT EXISTS (SELECT FROM job_files WHERE job_id = jobs.id)"
    assert database.execute(lost).fetchone() == (0,)


def _wait_for_a_lock(database: psycopg.Connection) -> None:
    while database.execute(WAITING).fetchone() == (0,):
        database.execute("SELECT pg_stat_clear_snapshot()")
