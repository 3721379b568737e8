"""Uploading one file: as a form or raw, in any order of parts, with or without a job."""

import hashlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import UUID

import psycopg
import pytest
from fastapi.testclient import TestClient

from shared.settings import Settings
from tests.conftest import Owner
from tests.integration.files.bodies import FORM, PNG, blobs, count, form, part


def test_a_form_is_stored_and_described(client: TestClient, owner: Owner, settings: Settings) -> None:
    answer = client.post(
        "/v1/files",
        files={"file": ("Hafen.png", PNG, "text/plain")},
        data={"description": "  The harbour\r\nat noon "},
        headers=owner.headers,
    )

    assert answer.status_code == 201
    file = answer.json()
    assert answer.headers["location"] == f"/v1/files/{file['id']}" == file["links"]["self"]
    assert file["links"]["content"] == f"/v1/files/{file['id']}/content"
    assert (file["name"], file["description"]) == ("Hafen.png", "The harbour\nat noon")
    assert (file["media_type"], file["size"], file["purpose"], file["job_id"]) == (
        "image/png",
        len(PNG),
        "upload",
        None,
    )
    assert file["sha256"] == hashlib.sha256(PNG).hexdigest()
    kept = datetime.fromisoformat(file["expires_at"]) - datetime.fromisoformat(file["created_at"])
    assert kept == timedelta(days=settings.upload_retention_days)
    assert [path.read_bytes() for path in blobs(settings.storage_dir)] == [PNG]


@pytest.mark.parametrize("reverse", [False, True])
def test_parts_come_in_any_order(client: TestClient, owner: Owner, *, reverse: bool) -> None:
    parts = [part("file", PNG, "a.png"), part("description", b"first or last")]
    body = form(*(reversed(parts) if reverse else parts))

    answer = client.post("/v1/files", content=body, headers=owner.headers | FORM)

    assert answer.status_code == 201
    assert answer.json()["description"] == "first or last"


def test_a_raw_body_is_the_file(client: TestClient, owner: Owner) -> None:
    headers = {
        "Content-Type": "image/png",
        "Content-Disposition": "attachment; filename=\"plain.png\"; filename*=UTF-8''%E2%82%AC%20rates.png",
    }

    answer = client.post("/v1/files", content=PNG, headers=owner.headers | headers)

    assert answer.status_code == 201
    assert (answer.json()["name"], answer.json()["media_type"]) == ("€ rates.png", "image/png")


def test_a_raw_body_without_a_name_gets_one(client: TestClient, owner: Owner) -> None:
    answer = client.post("/v1/files", content=b"a few words", headers=owner.headers)

    assert answer.status_code == 201
    assert (answer.json()["name"], answer.json()["media_type"]) == ("file", "text/plain")


def test_content_that_looks_like_a_boundary_survives(client: TestClient, owner: Owner) -> None:
    content = b"text \r\n--a-boundary-of-the-test \r\n--a-boundary\r\n\r\r\n--" + b"\r\n-" * 5000
    answer = client.post("/v1/files", content=form(part("file", content, "a.txt")), headers=owner.headers | FORM)

    assert answer.status_code == 201
    assert answer.json()["sha256"] == hashlib.sha256(content).hexdigest()


def test_a_form_split_at_every_byte_is_the_same_form(client: TestClient, owner: Owner) -> None:
    body = form(part("description", b"d\xc3\xa9j\xc3\xa0"), part("file", PNG + b"\r\n--a-bound", "a.png"))

    def bytes_one_by_one() -> Iterator[bytes]:
        for place in range(len(body)):
            yield body[place : place + 1]

    answer = client.post("/v1/files", content=bytes_one_by_one(), headers=owner.headers | FORM)

    assert answer.status_code == 201
    assert answer.json()["description"] == "déjà"
    assert answer.json()["sha256"] == hashlib.sha256(PNG + b"\r\n--a-bound").hexdigest()


def test_many_blocks_arrive_whole(client: TestClient, owner: Owner, settings: Settings) -> None:
    content = b"".join(b"%07d\n" % number for number in range(200_000))

    answer = client.post("/v1/files", files={"file": ("numbers.txt", content)}, headers=owner.headers)

    assert answer.status_code == 201
    assert answer.json()["size"] == len(content)
    assert [path.read_bytes() for path in blobs(settings.storage_dir)] == [content]


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("../../etc/passwd", "passwd"),
        ("..\\..\\windows\\win.ini", "win.ini"),
        ("/", "file"),
        ("..", "file"),
        ("a\x00b.txt", "ab.txt"),
        ("photo\u202egpj.exe", "photogpj.exe"),
        ("u\u0308ber.txt", "über.txt"),
        ("e" * 300 + ".jpeg", "e" * 250 + ".jpeg"),
        ("€" * 300 + ".jpeg", "€" * 83 + ".jpeg"),
        ("  spaces .txt. ", "spaces .txt"),
        (".htaccess", ".htaccess"),
    ],
)
def test_names_are_made_safe(client: TestClient, owner: Owner, sent: str, stored: str) -> None:
    body = form(part("file", PNG, sent.replace("\\", "\\\\")))

    answer = client.post("/v1/files", content=body, headers=owner.headers | FORM)

    assert answer.status_code == 201
    assert answer.json()["name"] == stored


def test_a_file_and_its_job_are_committed_together(
    client: TestClient, owner: Owner, database: psycopg.Connection
) -> None:
    answer = client.post("/v1/files?process=file.inspect", files={"file": ("a.png", PNG)}, headers=owner.headers)

    assert answer.status_code == 202
    file, job = answer.json()["file"], answer.json()["job"]
    assert answer.headers["location"] == job["links"]["self"]
    assert (job["kind"], job["input"]) == ("file.inspect", {"file_id": file["id"]})
    assert client.get(job["links"]["self"], headers=owner.headers).json()["state"] == "queued"
    [needed] = database.execute("SELECT job_id, file_id FROM job_files").fetchall()
    assert needed == (UUID(job["id"]), UUID(file["id"]))


@pytest.mark.parametrize("kind", ["no.such", "files.clean", "mail.send", "archive.create", "demo.countdown", ""])
def test_kinds_that_need_more_than_a_file_are_refused(
    client: TestClient, owner: Owner, settings: Settings, database: psycopg.Connection, kind: str
) -> None:
    answer = client.post("/v1/files", params={"process": kind}, files={"file": ("a.png", PNG)}, headers=owner.headers)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "query/process"
    assert (blobs(settings.storage_dir), count(database, "files")) == ([], 0)
