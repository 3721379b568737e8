"""Resumable uploads, rule by rule, as a careful client sees them."""

import hashlib
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import psycopg
import pytest
from fastapi.testclient import TestClient

from shared.settings import Settings
from tests.conftest import Owner
from tests.integration.files.bodies import PNG, blobs, count
from tests.integration.uploads.tus import (
    BODY_TYPE,
    VERSION,
    begin,
    begun,
    checksum,
    end,
    head,
    metadata,
    offset_of,
    patch,
    words,
)

CONTENT = words(100_000)


def test_a_file_in_pieces(client: TestClient, owner: Owner, settings: Settings, database: psycopg.Connection) -> None:
    told = metadata(filename="über.txt", filetype="image/png", description="Many words")
    path = begun(client, owner, len(CONTENT), Upload_Metadata=told)
    upload_id = path.removeprefix("/v1/uploads/")
    state = head(client, owner, path)
    assert state.headers["upload-offset"] == "0"
    assert state.headers["upload-length"] == str(len(CONTENT))
    assert state.headers["upload-metadata"] == told
    assert state.headers["cache-control"] == "no-store"

    for start, stop in ((0, 10), (10, 50_000), (50_000, 50_000), (50_000, 99_999)):
        answer = patch(client, owner, path, start, CONTENT[start:stop])
        assert (answer.status_code, answer.headers["upload-offset"]) == (204, str(stop))
        assert "jobyard-file" not in answer.headers
        assert offset_of(client, owner, path) == stop
    last = patch(client, owner, path, 99_999, CONTENT[-1:])

    assert (last.status_code, last.headers["upload-offset"]) == (204, str(len(CONTENT)))
    assert last.headers["jobyard-file"] == f"/v1/files/{upload_id}"
    file = client.get(last.headers["jobyard-file"], headers=owner.headers).json()
    assert (file["id"], file["name"], file["description"]) == (upload_id, "über.txt", "Many words")
    assert (file["media_type"], file["size"]) == ("text/plain", len(CONTENT))
    assert file["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    assert client.get(file["links"]["content"], headers=owner.headers).content == CONTENT
    assert len(blobs(settings.storage_dir)) == 1
    assert (count(database, "uploads"), count(database, "upload_parts")) == (0, 0)


def test_a_finished_upload_still_answers(client: TestClient, owner: Owner) -> None:
    path = begun(client, owner, len(PNG), Upload_Metadata=metadata(filename="a" * 120 + ".png"))
    assert patch(client, owner, path, 0, PNG).status_code == 204

    state = head(client, owner, path)
    assert state.headers["upload-offset"] == state.headers["upload-length"] == str(len(PNG))
    assert state.headers["upload-metadata"] == metadata(filename="a" * 120 + ".png")
    again = patch(client, owner, path, len(PNG), b"")
    assert (again.status_code, again.headers["jobyard-file"]) == (204, state.headers["jobyard-file"])
    assert patch(client, owner, path, 0, PNG).status_code == 409
    assert patch(client, owner, path, len(PNG), b"x").status_code == 413
    assert (end(client, owner, path).status_code, end(client, owner, path).json()["code"]) == (409, "upload_finished")
    assert client.delete(state.headers["jobyard-file"], headers=owner.headers).status_code == 204
    assert head(client, owner, path).status_code == 404


@pytest.mark.parametrize("path", ["/v1/uploads", "/v1/uploads/0198f2a5-1c2d-7b31-8a77-0f6e5d4c3b2a"])
def test_what_is_spoken_is_told_to_anybody(client: TestClient, settings: Settings, path: str) -> None:
    answer = client.options(path)

    assert answer.status_code == 204
    assert {name: value for name, value in answer.headers.items() if name.startswith("tus-")} == {
        "tus-resumable": "1.0.0",
        "tus-version": "1.0.0",
        "tus-max-size": str(settings.max_upload_bytes),
        "tus-extension": "creation,creation-with-upload,expiration,checksum,termination",
        "tus-checksum-algorithm": "sha1,sha256,sha512",
    }


@pytest.mark.parametrize("size", [1, 4096, len(CONTENT) - 1, len(CONTENT)])
def test_the_first_bytes_come_with_the_creation(client: TestClient, owner: Owner, size: int) -> None:
    headers = owner.headers | VERSION | {"Upload-Length": str(len(CONTENT)), "Content-Type": BODY_TYPE}

    answer = client.post("/v1/uploads", content=CONTENT[:size], headers=headers)

    assert (answer.status_code, answer.headers["upload-offset"]) == (201, str(size))
    assert ("jobyard-file" in answer.headers) == (size == len(CONTENT))
    last = patch(client, owner, answer.headers["location"], size, CONTENT[size:])
    assert client.get(last.headers["jobyard-file"], headers=owner.headers).json()["sha256"] == (
        hashlib.sha256(CONTENT).hexdigest()
    )


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha512"])
def test_checksums(
    client: TestClient, owner: Owner, settings: Settings, database: psycopg.Connection, algorithm: str
) -> None:
    path = begun(client, owner, 20)
    assert patch(client, owner, path, 0, b"0123456789", Upload_Checksum=checksum(algorithm, b"0123456789")).is_success

    wrong = patch(client, owner, path, 10, b"abcdefghi", Upload_Checksum=checksum(algorithm, b"abcdefghj"))

    assert (wrong.status_code, wrong.json()["code"]) == (460, "checksum_mismatch")
    assert wrong.headers["tus-resumable"] == "1.0.0"
    assert (offset_of(client, owner, path), len(blobs(settings.storage_dir))) == (10, 1)
    assert count(database, "upload_parts") == 1
    right = patch(client, owner, path, 10, b"abcdefghij", Upload_Checksum=checksum(algorithm, b"abcdefghij"))
    assert (right.status_code, right.headers["upload-offset"]) == (204, "20")


def test_a_creation_with_a_wrong_checksum_leaves_nothing(
    client: TestClient, owner: Owner, settings: Settings, database: psycopg.Connection
) -> None:
    told = {"Upload-Length": "20", "Content-Type": BODY_TYPE, "Upload-Checksum": checksum("sha1", b"x")}

    answer = client.post("/v1/uploads", content=b"y", headers=owner.headers | VERSION | told)

    assert answer.status_code == 460
    assert (blobs(settings.storage_dir), count(database, "uploads")) == ([], 0)


def test_an_upload_is_given_up_in_time(client: TestClient, owner: Owner, database: psycopg.Connection) -> None:
    path = begun(client, owner, 100)
    database.execute("UPDATE uploads SET expires_at = now() + interval '2 minutes'")
    soon = parsedate_to_datetime(head(client, owner, path).headers["upload-expires"])
    assert timedelta(0) < soon - datetime.now(UTC) < timedelta(minutes=3)

    later = parsedate_to_datetime(patch(client, owner, path, 0, b"words").headers["upload-expires"])
    assert timedelta(hours=23) < later - datetime.now(UTC) < timedelta(hours=25)

    database.execute("UPDATE uploads SET expires_at = now() - interval '1 second'")
    answers = [head(client, owner, path), patch(client, owner, path, 5, b"more")]
    assert [answer.status_code for answer in answers] == [410, 410]
    assert answers[1].json()["code"] == "upload_expired"
    assert end(client, owner, path).status_code == 204


def test_how_long_its_file_is_kept(client: TestClient, owner: Owner) -> None:
    headers = owner.headers | VERSION | {"Upload-Length": "4"}
    path = client.post("/v1/uploads?expires_in=3600", headers=headers).headers["location"]
    file = client.get(patch(client, owner, path, 0, b"word").headers["jobyard-file"], headers=owner.headers).json()
    kept = datetime.fromisoformat(file["expires_at"]) - datetime.fromisoformat(file["created_at"])
    assert kept == timedelta(hours=1)
    assert client.post("/v1/uploads?expires_in=59", headers=headers).status_code == 422


def test_an_upload_is_ended(client: TestClient, owner: Owner, settings: Settings, database: psycopg.Connection) -> None:
    settings.owner_max_bytes = 100
    path = begun(client, owner, 100)
    assert patch(client, owner, path, 0, b"words").status_code == 204
    assert (begin(client, owner, 1).status_code, len(blobs(settings.storage_dir))) == (413, 1)

    answer = end(client, owner, path)

    assert (answer.status_code, answer.headers["tus-resumable"]) == (204, "1.0.0")
    assert (blobs(settings.storage_dir), count(database, "uploads"), count(database, "upload_parts")) == ([], 0, 0)
    later = [head(client, owner, path), patch(client, owner, path, 5, b"more"), end(client, owner, path)]
    assert [answer.status_code for answer in later] == [404, 404, 404]
    assert begin(client, owner, 100).status_code == 201


def test_an_upload_is_its_owners(client: TestClient, owner: Owner, stranger: Owner) -> None:
    path = begun(client, owner, 10)
    for finished in (False, True):
        answers = [
            head(client, stranger, path),
            patch(client, stranger, path, 10 if finished else 0, b""),
            end(client, stranger, path),
        ]
        assert [answer.status_code for answer in answers] == [404, 404, 404]
        assert all(answer.headers["tus-resumable"] == "1.0.0" for answer in answers)
        if not finished:
            assert patch(client, owner, path, 0, b"0123456789").status_code == 204
    plain = client.post("/v1/files", content=PNG, headers=stranger.headers).json()
    assert head(client, owner, f"/v1/uploads/{plain['id']}").status_code == 404


def test_a_method_that_a_proxy_does_not_pass(client: TestClient, owner: Owner) -> None:
    path = begun(client, owner, 4)
    headers = owner.headers | VERSION | {"Content-Type": BODY_TYPE, "Upload-Offset": "0"}

    answer = client.post(path, content=b"word", headers=headers | {"X-HTTP-Method-Override": "PATCH"})

    assert (answer.status_code, answer.headers["upload-offset"]) == (204, "4")
    assert client.post(path, content=b"word", headers=headers).status_code == 405


def test_parts_are_bounded_in_number(
    client: TestClient, owner: Owner, database: psycopg.Connection, settings: Settings
) -> None:
    path = begun(client, owner, 10)
    database.execute("UPDATE uploads SET parts = 9999")
    assert patch(client, owner, path, 0, b"a").status_code == 204

    answer = patch(client, owner, path, 1, b"b")

    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_upload_parts")
    assert (offset_of(client, owner, path), len(blobs(settings.storage_dir))) == (1, 1)


@pytest.mark.parametrize("asking", [False, True])
def test_an_upload_that_nobody_finished_is_finished_by_whoever_comes(
    client: TestClient, owner: Owner, database: psycopg.Connection, *, asking: bool
) -> None:
    path = begun(client, owner, 20)
    assert patch(client, owner, path, 0, CONTENT[:10]).status_code == 204
    # A process that dies after the last part and before the file leaves such a row.
    database.execute("UPDATE uploads SET length = 10")

    answer = head(client, owner, path) if asking else patch(client, owner, path, 10, b"")

    assert (answer.is_success, answer.headers["upload-offset"]) == (True, "10")
    file = client.get(answer.headers["jobyard-file"], headers=owner.headers).json()
    assert file["sha256"] == hashlib.sha256(CONTENT[:10]).hexdigest()


def test_a_lost_part_is_told(
    client: TestClient, owner: Owner, settings: Settings, database: psycopg.Connection
) -> None:
    path = begun(client, owner, 20)
    assert patch(client, owner, path, 0, b"0123456789").status_code == 204
    blobs(settings.storage_dir)[0].unlink()

    answer = patch(client, owner, path, 10, b"0123456789")

    assert (answer.status_code, answer.json()["code"]) == (410, "upload_damaged")
    assert (count(database, "uploads"), count(database, "files"), blobs(settings.storage_dir)) == (0, 0, [])


def test_a_browser_may_read_the_headers(settings: Settings, page: TestClient, owner: Owner) -> None:
    origin = {"Origin": settings.cors_origins[0]}
    asked = {"Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "tus-resumable,upload-offset"}

    preflight = page.options("/v1/uploads", headers=origin | asked)
    answer = page.post("/v1/uploads", headers=owner.headers | VERSION | origin | {"Upload-Length": "5"})

    assert preflight.headers["access-control-allow-headers"] == "tus-resumable,upload-offset"
    exposed = answer.headers["access-control-expose-headers"].lower()
    assert all(name in exposed for name in ("location", "upload-offset", "upload-length", "upload-expires"))
    refused = page.post("/v1/uploads", headers=owner.headers | origin)
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (412, origin["Origin"])
