"""Bad uploads: each is answered with a problem of its own, and leaves nothing behind."""

from collections.abc import Iterator

import psycopg
import pytest
from fastapi.testclient import TestClient

from api.uploads import FORM_OVERHEAD_BYTES
from shared.settings import Settings
from tests.conftest import Owner
from tests.integration.files.bodies import BOUNDARY, FORM, PNG, blobs, count, form, part, pointers

CAP = 300_000


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"max_upload_bytes": CAP})


@pytest.fixture(autouse=True)
def nothing_is_left(settings: Settings, database: psycopg.Connection) -> Iterator[None]:
    yield
    assert blobs(settings.storage_dir) == []
    assert count(database, "files") == 0


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b"<!DOCTYPE html><script>alert(1)</script>", "text/html"),
        (b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml"),
        (b"#!/bin/sh\nrm -rf /\n", "text/x-shellscript"),
        (b"MZ\x90\x00\x03" + bytes(100), "application/vnd.microsoft.portable-executable"),
        (b"\x7fELF\x02\x01\x01" + bytes(100), "application/x-executable"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "application/postscript"),
        (b"\x1f\x8b\x08\x00" + bytes(30), "application/gzip"),
        (bytes(5000), "application/octet-stream"),
    ],
)
def test_types_that_are_not_allowed(client: TestClient, owner: Owner, content: bytes, media_type: str) -> None:
    answers = [
        client.post("/v1/files", files={"file": ("a.png", content, "image/png")}, headers=owner.headers),
        client.post("/v1/files", content=content, headers=owner.headers | {"Content-Type": "image/png"}),
    ]

    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (415, "media_type_not_allowed")
        assert media_type in answer.json()["detail"]


def test_a_large_file_of_a_wrong_type_is_refused_before_it_is_written(client: TestClient, owner: Owner) -> None:
    answer = client.post("/v1/files", content=b"\x7fELF" + bytes(CAP - 4), headers=owner.headers)

    assert (answer.status_code, answer.json()["code"]) == (415, "media_type_not_allowed")


def test_an_empty_file(client: TestClient, owner: Owner) -> None:
    answers = [
        client.post("/v1/files", files={"file": ("a.txt", b"")}, headers=owner.headers),
        client.post("/v1/files", content=b"", headers=owner.headers),
    ]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(422, "empty_file")] * 2


def _in_pieces(body: bytes) -> Iterator[bytes]:
    for place in range(0, len(body), 65_536):
        yield body[place : place + 65_536]


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("size", [CAP + 1, CAP * 2 + FORM_OVERHEAD_BYTES])
def test_a_file_over_the_cap(client: TestClient, owner: Owner, size: int, *, raw: bool, chunked: bool) -> None:
    content = b"words " * (size // 6 + 1)
    body = content[:size] if raw else form(part("file", content[:size], "a.txt"))
    headers = owner.headers if raw else owner.headers | FORM

    answer = client.post("/v1/files", content=_in_pieces(body) if chunked else body, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (413, "file_too_large")


def test_a_file_as_large_as_the_cap_is_accepted(client: TestClient, owner: Owner) -> None:
    answer = client.post("/v1/files", files={"file": ("a.txt", b"w" * CAP)}, headers=owner.headers)

    assert answer.status_code == 201
    assert client.delete(answer.headers["location"], headers=owner.headers).status_code == 204


@pytest.mark.parametrize("path", ["/v1/files", "/v1/files/batch"])
def test_the_length_is_believed_before_the_body_is_asked_for(client: TestClient, owner: Owner, path: str) -> None:
    asked: list[bool] = []

    def body() -> Iterator[bytes]:
        asked.append(True)
        yield PNG

    answer = client.post(path, content=body(), headers=owner.headers | FORM | {"Content-Length": "100000000"})

    assert (answer.status_code, answer.headers["connection"], asked) == (413, "close", [])


FILE = part("file", PNG, "a.png")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (form(part("description", b"no file")), 422, "missing_part"),
        (form(FILE, part("surprise", b"!")), 422, "unknown_part"),
        (form(FILE, FILE), 422, "too_many_parts"),
        (form(part("description", b"a"), part("description", b"b")), 422, "too_many_parts"),
        (form(FILE, *[part("description", b"a")] * 5000), 422, "too_many_parts"),
        (form(FILE, part("description", b"\xff\xfe")), 422, "invalid_part"),
        (form(FILE, part("description", b"a\x00b")), 422, "invalid_part"),
        (form(FILE, part("description", b"d" * 1001)), 422, "invalid_part"),
        (form(FILE, part("description", b"d" * 70_000)), 422, "invalid_part"),
        (form(part("file", b"", "a.png")), 422, "empty_file"),
        (b"--" + BOUNDARY.encode() + b"--\r\n", 422, "missing_part"),
        (b"", 400, "invalid_multipart"),
        (FILE, 400, "invalid_multipart"),
        (FILE[:-30], 400, "invalid_multipart"),
        (b"this is no form", 400, "invalid_multipart"),
        (form(part("file", PNG, "a.png", b"X-Long: " + b"x" * 1_000_000 + b"\r\n")), 400, "invalid_multipart"),
        (form(part("file", PNG, "a.png", b"X-Many: x\r\n" * 100)), 400, "invalid_multipart"),
        (form(part("file", PNG, "a.png", b"no colon here\r\n")), 400, "invalid_multipart"),
        (form(part("file", PNG, "a.png", b"\x00\xff: x\r\n")), 400, "invalid_multipart"),
        (form(part("file", b"aGk=", "a.png", b"Content-Transfer-Encoding: base64\r\n")), 400, "invalid_multipart"),
        (form(b"--" + BOUNDARY.encode() + b"\r\n\r\nno headers\r\n"), 400, "invalid_multipart"),
    ],
    ids=str,
)
def test_forms_that_are_malformed(client: TestClient, owner: Owner, body: bytes, status: int, code: str) -> None:
    answer = client.post("/v1/files", content=body, headers=owner.headers | FORM)

    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("multipart/form-data", 400),
        ("multipart/form-data; boundary=", 400),
        ('multipart/form-data; boundary="', 400),
        ("multipart/form-data; boundary=" + "b" * 300, 400),
        ("multipart/mixed; boundary=x", 415),
    ],
)
def test_content_types_without_a_form(client: TestClient, owner: Owner, content_type: str, status: int) -> None:
    answer = client.post("/v1/files", content=form(FILE), headers=owner.headers | {"Content-Type": content_type})

    assert answer.status_code == status


def test_unknown_parts_are_named(client: TestClient, owner: Owner) -> None:
    answer = client.post("/v1/files", content=form(part("a/b~c", b"!")), headers=owner.headers | FORM)

    assert pointers(answer) == ["/a~1b~0c"]


def test_compressed_bodies_are_refused(client: TestClient, owner: Owner) -> None:
    answer = client.post("/v1/files", content=PNG, headers=owner.headers | {"Content-Encoding": "gzip"})

    assert (answer.status_code, answer.json()["code"]) == (415, "content_type_not_supported")


@pytest.mark.parametrize("method_and_path", [("POST", "/v1/files"), ("POST", "/v1/files/batch"), ("GET", "/v1/files")])
def test_nobody_is_nobody(client: TestClient, method_and_path: tuple[str, str]) -> None:
    method, path = method_and_path
    assert client.request(method, path, content=form(FILE), headers=FORM).status_code == 401


def test_types_that_carry_programs_are_allowed_only_by_their_full_name(
    client: TestClient, owner: Owner, settings: Settings
) -> None:
    settings.allowed_media_types.append("text/html")

    answer = client.post("/v1/files", content=b"<!DOCTYPE html><title>x</title>", headers=owner.headers)

    assert (answer.status_code, answer.json()["media_type"]) == (201, "text/html")
    assert client.delete(answer.headers["location"], headers=owner.headers).status_code == 204


def test_a_storage_that_is_away(client: TestClient, owner: Owner, settings: Settings) -> None:
    settings.storage_dir.mkdir(parents=True)
    in_the_way = settings.storage_dir / "incoming"
    in_the_way.write_bytes(b"")

    answer = client.post("/v1/files", content=PNG, headers=owner.headers)

    assert (answer.status_code, answer.json()["code"]) == (503, "storage_unavailable")
    assert "retry-after" in answer.headers
    in_the_way.unlink()
