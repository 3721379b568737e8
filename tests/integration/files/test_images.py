"""Pictures become `image.resize` jobs: sent along in any form, or stored before."""

import json
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient

from shared.settings import Settings
from tests.conftest import Owner
from tests.integration.files.bodies import FORM, PNG, blobs, count, form, part, pointers, refusing

RENDITIONS = [{"width": 10, "height": None, "format": "webp", "quality": 70}, {"height": 5}]
WHOLE = [
    {"width": 10, "height": None, "format": "webp", "quality": 70},
    {"width": None, "height": 5, "format": "keep", "quality": 85},
]


def as_part(renditions: Any) -> bytes:
    return part("renditions", json.dumps(renditions).encode())


@pytest.mark.parametrize("reverse", [False, True])
def test_a_picture_and_its_renditions(
    client: TestClient, owner: Owner, database: psycopg.Connection, *, reverse: bool
) -> None:
    parts = [part("file", PNG, "a.png"), as_part(RENDITIONS)]
    body = form(*(reversed(parts) if reverse else parts))

    answer = client.post("/v1/images", content=body, headers=owner.headers | FORM)

    assert answer.status_code == 202
    job = answer.json()
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}"
    assert (job["kind"], job["state"], job["queue"]) == ("image.resize", "queued", "images")
    assert job["input"]["renditions"] == WHOLE
    file = client.get(f"/v1/files/{job['input']['file_id']}", headers=owner.headers).json()
    assert (file["name"], file["media_type"]) == ("a.png", "image/png")
    assert count(database, "job_files") == 1


@pytest.mark.parametrize("reverse", [False, True])
def test_plain_parts_are_one_rendition(client: TestClient, owner: Owner, *, reverse: bool) -> None:
    parts = [part("file", PNG, "a.png"), part("width", b"10"), part("height", b""), part("format", b"jpeg")]
    body = form(*(reversed(parts) if reverse else parts))

    answer = client.post("/v1/images", content=body, headers=owner.headers | FORM)

    assert answer.status_code == 202
    [rendition] = answer.json()["input"]["renditions"]
    assert rendition == {"width": 10, "height": None, "format": "jpeg", "quality": 85}


def test_a_stored_picture(client: TestClient, owner: Owner, stranger: Owner) -> None:
    file_id = client.post("/v1/files", content=PNG, headers=owner.headers).json()["id"]
    new = {"file_id": file_id, "renditions": RENDITIONS}

    answer = client.post("/v1/images", json=new, headers=owner.headers)

    assert answer.status_code == 202
    assert answer.json()["input"] == {"file_id": file_id, "renditions": WHOLE}
    assert client.post("/v1/images", json=new, headers=stranger.headers).status_code == 404
    assert client.post("/v1/images", json=new).status_code == 401


def test_waiting_is_offered(client: TestClient, owner: Owner) -> None:
    body = form(part("file", PNG, "a.png"), part("width", b"10"))

    answer = client.post("/v1/images", content=body, headers=owner.headers | FORM | {"Prefer": "wait=1"})

    assert (answer.status_code, answer.headers["preference-applied"]) == (202, "wait=1")


@pytest.mark.parametrize(
    ("parts", "pointer"),
    [
        ([as_part([{"width": 0}])], "/renditions/0/width"),
        ([as_part([{"width": 5}, {"format": "bmp", "width": 5}])], "/renditions/1/format"),
        ([as_part([{"width": 5, "hight": 5}])], "/renditions/0/hight"),
        ([as_part([{}])], "/renditions/0"),
        ([as_part([])], "/renditions"),
        ([as_part([{"width": 5}] * 11)], "/renditions"),
        ([as_part({"width": 5})], "/renditions"),
        ([part("renditions", b"[{")], "/renditions"),
        ([part("renditions", b"[" * 50_000)], "/renditions"),
        ([part("renditions", b"\xff")], "/renditions"),
        ([], "/renditions"),
        ([part("width", b"ten")], "/width"),
        ([part("width", b"9" * 5000)], "/width"),
        ([part("width", b"10"), part("format", b"svg")], "/format"),
        ([part("quality", b"50")], ""),
        ([as_part(RENDITIONS), part("width", b"10")], "/width"),
        ([part("depth", b"10")], "/depth"),
    ],
)
def test_renditions_that_are_wrong_are_named(
    client: TestClient, owner: Owner, settings: Settings, database: psycopg.Connection, parts: list[bytes], pointer: str
) -> None:
    body = form(part("file", PNG, "a.png"), *parts)

    answer = client.post("/v1/images", content=body, headers=owner.headers | FORM)

    assert answer.status_code == 422
    assert pointer in pointers(answer)
    assert (blobs(settings.storage_dir), count(database, "files"), count(database, "jobs")) == ([], 0, 0)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (b"{", 422),
        (b"\xff\xfe", 422),
        (b"[]", 422),
        (b"null", 422),
        (b"[" * 100_000, 422),
        (b'{"file_id": "x", "renditions": []}', 422),
        (b'{"file_id": 9' + b"9" * 5000 + b', "renditions": []}', 422),
        (b'{"\\ud800": 1}', 422),
        (b'"' + b"x" * 2_000_000 + b'"', 413),
    ],
    ids=lambda value: str(value)[:30],
)
def test_json_that_is_wrong(client: TestClient, owner: Owner, text: bytes, status: int) -> None:
    headers = owner.headers | {"Content-Type": "application/json"}

    whole = client.post("/v1/images", content=text, headers=headers)
    chunked = client.post("/v1/images", content=iter([text[:9], text[9:]]), headers=headers)

    assert (whole.status_code, chunked.status_code) == (status, status)


@pytest.mark.parametrize("content", [b"some words", b"II*\x00" + bytes(50), b"<svg xmlns='x'/>", b"BM" + bytes(50)])
def test_other_files_are_no_pictures(
    client: TestClient, owner: Owner, settings: Settings, database: psycopg.Connection, content: bytes
) -> None:
    body = form(part("file", content, "a.png"), part("width", b"10"))

    answer = client.post("/v1/images", content=body, headers=owner.headers | FORM)

    assert (answer.status_code, answer.json()["code"]) == (415, "media_type_not_allowed")
    assert (blobs(settings.storage_dir), count(database, "jobs")) == ([], 0)


def test_a_stored_file_that_is_no_picture(client: TestClient, owner: Owner, database: psycopg.Connection) -> None:
    file_id = client.post("/v1/files", content=b"some words", headers=owner.headers).json()["id"]

    answer = client.post("/v1/images", json={"file_id": file_id, "renditions": RENDITIONS}, headers=owner.headers)

    assert (answer.status_code, answer.json()["code"]) == (415, "media_type_not_allowed")
    assert count(database, "jobs") == 0


@pytest.mark.parametrize("content_type", ["image/png", "text/plain", ""])
def test_other_bodies(client: TestClient, owner: Owner, content_type: str) -> None:
    answer = client.post("/v1/images", content=PNG, headers=owner.headers | {"Content-Type": content_type})

    assert (answer.status_code, answer.json()["code"]) == (415, "content_type_not_supported")


def test_nothing_is_stored_when_the_job_cannot_be(
    client: TestClient, owner: Owner, settings: Settings, database: psycopg.Connection
) -> None:
    body = form(part("file", PNG, "a.png"), part("width", b"10"))

    with refusing(database, "jobs", "kind", "image.resize"):
        answer = client.post("/v1/images", content=body, headers=owner.headers | FORM)

    assert answer.status_code == 500
    assert (blobs(settings.storage_dir), count(database, "files")) == ([], 0)
