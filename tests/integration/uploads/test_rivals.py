"""Several at one upload, and many who would begin one."""

import hashlib
from concurrent.futures import ThreadPoolExecutor

import httpx2
import psycopg
import pytest
from fastapi.testclient import TestClient

from shared.settings import Settings
from tests.conftest import Owner
from tests.integration.files.bodies import blobs, count
from tests.integration.uploads.conftest import StartServer
from tests.integration.uploads.raw import open_patch, read_status
from tests.integration.uploads.tus import BODY_TYPE, begin, begun, head, patch, words

SIZE = 700_000
ROUNDS = 8


def _wait_for_another_claim(database: psycopg.Connection, claim: object) -> object:
    while (row := database.execute("SELECT claim_id FROM uploads").fetchone()) == claim:
        pass
    return row


def test_the_newer_of_two_wins(
    start_server: StartServer, owner: Owner, settings: Settings, database: psycopg.Connection
) -> None:
    servers = [start_server(), start_server()]
    elder, newer = words(SIZE, 1), words(SIZE, 2)
    with servers[0].client() as client:
        path = begun(client, owner, SIZE)
        begun_by = database.execute("SELECT claim_id FROM uploads").fetchone()
        with open_patch(servers[0], owner, path, 0, SIZE) as first:
            first.sendall(elder[:-1])
            by_first = _wait_for_another_claim(database, begun_by)
            with open_patch(servers[1], owner, path, 0, SIZE) as second:
                second.sendall(newer[:-1])
                _wait_for_another_claim(database, by_first)
                first.sendall(elder[-1:])
                assert read_status(first) == 409
                second.sendall(newer[-1:])
                assert read_status(second) == 204
        file = client.get(head(client, owner, path).headers["jobyard-file"], headers=owner.headers)
    assert file.json()["sha256"] == hashlib.sha256(newer).hexdigest()
    assert (len(blobs(settings.storage_dir)), count(database, "upload_parts")) == (1, 0)


def test_of_rivals_at_one_offset_one_counts(
    client: TestClient, owner: Owner, settings: Settings, database: psycopg.Connection
) -> None:
    whole = hashlib.sha256()
    path = begun(client, owner, SIZE * ROUNDS)
    with ThreadPoolExecutor(4) as threads:
        for number in range(ROUNDS):
            pieces = [words(SIZE, 10 * number + rival) for rival in range(4)]

            def send(piece: bytes, offset: int = number * SIZE) -> int:
                return patch(client, owner, path, offset, piece).status_code

            statuses = list(threads.map(send, pieces))
            assert sorted(statuses) == [204, 409, 409, 409]
            whole.update(pieces[statuses.index(204)])
    file = client.get(head(client, owner, path).headers["jobyard-file"], headers=owner.headers).json()
    assert file["sha256"] == whole.hexdigest()
    assert (len(blobs(settings.storage_dir)), count(database, "upload_parts")) == (1, 0)


@pytest.mark.parametrize(("max_bytes", "max_files"), [(7 * SIZE + SIZE // 2, None), (None, 7)])
def test_of_20_who_would_begin_as_many_do_as_there_is_room_for(
    client: TestClient, owner: Owner, database: psycopg.Connection, max_bytes: int | None, max_files: int | None
) -> None:
    database.execute("UPDATE users SET max_bytes = %s, max_files = %s", (max_bytes, max_files))

    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(begin, [client] * 20, [owner] * 20, [SIZE] * 20))

    assert sorted(answer.status_code for answer in answers) == [201] * 7 + [413] * 13
    assert {answer.json()["code"] for answer in answers if answer.is_error} == {"quota_exceeded"}
    assert count(database, "uploads") == 7


def test_a_creation_that_is_repeated_under_its_key_begins_one(
    client: TestClient, owner: Owner, database: psycopg.Connection
) -> None:
    def begin_under_key(length: int = 10) -> httpx2.Response:
        return begin(client, owner, length, Idempotency_Key="trip")

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(begin_under_key, [10] * 8))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.headers["location"] for answer in answers}) == count(database, "uploads") == 1
    assert sum("idempotency-replayed" in answer.headers for answer in answers) == 7
    path = answers[0].headers["location"]
    assert patch(client, owner, path, 0, b"01234").status_code == 204
    assert begin_under_key().headers["upload-offset"] == "5"
    assert begin_under_key(11).json()["code"] == "idempotency_key_reused"
    with_content = begin(client, owner, 10, Idempotency_Key="other", Content_Type=BODY_TYPE)
    assert (with_content.status_code, with_content.json()["code"]) == (400, "invalid_upload_header")


def test_one_at_a_time_makes_the_file(client: TestClient, owner: Owner, database: psycopg.Connection) -> None:
    path = begun(client, owner, 10)
    upload_id = path.rpartition("/")[2]
    # As another process holds it while it makes the file of this upload.
    database.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", (upload_id,))

    last = patch(client, owner, path, 0, b"0123456789")

    assert (last.status_code, last.json()["code"], last.headers["retry-after"]) == (423, "upload_busy", "1")
    assert head(client, owner, path).status_code == 423
    database.execute("SELECT pg_advisory_unlock_all()")
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(head, [client] * 8, [owner] * 8, [path] * 8))
    assert {(answer.status_code, answer.headers["upload-offset"]) for answer in answers} == {(200, "10")}
    assert {answer.headers["jobyard-file"] for answer in answers} == {f"/v1/files/{upload_id}"}
    assert count(database, "files") == 1
