"""Pictures become `image.resize` jobs: sent along in any form, or stored before."""

import json
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient

from shared.settings import Settings
from tests.conftest import Owner
from tests.integration.files.bodies import FORM, PNG, blobs, count, form, part, refusing

RENDITIONS = [{"width": 10, "height": None, "format": "webp", "quality": 70}, {"height": 5}]
DEFAULTS = {
    "width": None, "height": None, "fit": "inside", "gravity": "center", "format": "keep", "quality": None,
    "progressive": False, "background": "#ffffff", "enlarge": False,
}  # fmt: skip
WHOLE = [DEFAULTS | each for each in RENDITIONS]


def as_part(renditions: Any) -> bytes:
    return part("renditions", json.dumps(renditions).encode())


def parts_of(values: dict[str, str]) -> list[bytes]:
    return [part("file", PNG, "a.png"), *(part(name, text.encode()) for name, text in values.items())]


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
    whole = {
        "width": "10", "height": "20", "fit": "pad", "gravity": "southwest", "format": "avif", "quality": "1",
        "progressive": "true", "background": "#A0b1c2D3", "enlarge": "false", "keep_copyright": "true",
    }  # fmt: skip
    parts = parts_of(whole)
    body = form(*(reversed(parts) if reverse else parts))

    answer = client.post("/v1/images", content=body, headers=owner.headers | FORM)

    assert answer.status_code == 202
    job_input = answer.json()["input"]
    assert job_input.pop("file_id")
    rendition = {
        "width": 10, "height": 20, "fit": "pad", "gravity": "southwest", "format": "avif", "quality": 1,
        "progressive": True, "background": "#A0b1c2D3", "enlarge": False,
    }  # fmt: skip
    assert job_input == {"renditions": [rendition], "keep_copyright": True}


def test_an_empty_part_counts_as_not_sent(client: TestClient, owner: Owner) -> None:
    # As a page's form sends the fields that nobody filled in.
    empty = dict.fromkeys(["renditions", "preset", "height", "quality", "background", "enlarge", "keep_copyright"], "")
    body = form(*parts_of(empty | {"width": "10", "format": "jpeg"}))

    answer = client.post("/v1/images", content=body, headers=owner.headers | FORM)

    assert answer.status_code == 202
    assert answer.json()["input"]["renditions"] == [DEFAULTS | {"width": 10, "format": "jpeg"}]
    assert answer.json()["input"]["keep_copyright"] is False


def test_a_stored_picture(client: TestClient, owner: Owner, stranger: Owner) -> None:
    file_id = client.post("/v1/files", content=PNG, headers=owner.headers).json()["id"]
    new = {"file_id": file_id, "renditions": RENDITIONS}

    answer = client.post("/v1/images", json=new, headers=owner.headers)

    assert answer.status_code == 202
    assert answer.json()["input"] == {"file_id": file_id, "renditions": WHOLE, "keep_copyright": False}
    assert client.post("/v1/images", json=new, headers=stranger.headers).status_code == 404
    assert client.post("/v1/images", json=new).status_code == 401


def test_waiting_is_offered(client: TestClient, owner: Owner) -> None:
    body = form(part("file", PNG, "a.png"), part("width", b"10"))

    answer = client.post("/v1/images", content=body, headers=owner.headers | FORM | {"Prefer": "wait=0"})

    assert (answer.status_code, answer.headers["preference-applied"]) == (202, "wait=0")


def test_the_same_upload_twice_at_once_is_two(client: TestClient, owner: Owner, database: psycopg.Connection) -> None:
    body = form(*parts_of({"width": "10"}))
    at_once = Barrier(2)

    def send(_: int) -> Any:
        at_once.wait()
        return client.post("/v1/images", content=body, headers=owner.headers | FORM)

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(send, range(2))

    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json()["input"]["file_id"] != second.json()["input"]["file_id"]
    assert (count(database, "files"), count(database, "jobs"), count(database, "uploads")) == (2, 2, 0)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (b"{", 422),
        (b"\xff\xfe", 422),
        (b"[]", 422),
        (b"null", 422),
        (b"[" * 100_000, 422),
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
