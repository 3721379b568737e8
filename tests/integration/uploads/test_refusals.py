"""Requests that tus, or we, do not allow: each has a problem of its own, and moves nothing."""

import base64
from collections.abc import Iterator

import psycopg
import pytest
from fastapi.testclient import TestClient

from shared.settings import Settings
from tests.conftest import Owner
from tests.integration.files.bodies import blobs, count, pointers
from tests.integration.uploads.tus import BODY_TYPE, VERSION, begin, begun, metadata, offset_of, patch, words

CAP = 300_000


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"max_upload_bytes": CAP})


METHODS = ("POST", "HEAD", "PATCH", "DELETE")


def test_other_versions(client: TestClient, owner: Owner) -> None:
    path = begun(client, owner, 1)
    for method in METHODS:
        for version in ({}, *({"Tus-Resumable": version} for version in ("", "0.2.2", "1.0.1"))):
            answer = client.request(
                method, "/v1/uploads" if method == "POST" else path, headers=owner.headers | version
            )
            assert (answer.status_code, answer.headers["tus-version"]) == (412, "1.0.0"), (method, version)
            assert answer.headers["tus-resumable"] == "1.0.0"
            assert method == "HEAD" or answer.json()["code"] == "tus_version_not_supported"
    assert offset_of(client, owner, path) == 0


def test_nobody_is_nobody(client: TestClient, owner: Owner) -> None:
    path = begun(client, owner, 1)
    for method in METHODS:
        answer = client.request(method, "/v1/uploads" if method == "POST" else path, headers=VERSION)
        assert (answer.status_code, answer.headers["tus-resumable"]) == (401, "1.0.0"), method


def test_an_id_that_is_none(client: TestClient, owner: Owner) -> None:
    answer = client.head("/v1/uploads/7", headers=owner.headers | VERSION)

    assert (answer.status_code, answer.headers["tus-resumable"]) == (422, "1.0.0")


CREATIONS: tuple[tuple[dict[str, str], int, str], ...] = (
    ({}, 400, "invalid_upload_header"),
    ({"Upload-Length": ""}, 400, "invalid_upload_header"),
    ({"Upload-Length": "-1"}, 400, "invalid_upload_header"),
    ({"Upload-Length": "1e3"}, 400, "invalid_upload_header"),
    ({"Upload-Length": "9" * 19}, 400, "invalid_upload_header"),
    ({"Upload-Defer-Length": "1"}, 400, "invalid_upload_header"),
    ({"Upload-Length": "1", "Upload-Concat": "partial"}, 400, "invalid_upload_header"),
    ({"Upload-Length": "0"}, 422, "empty_file"),
    ({"Upload-Length": str(CAP + 1)}, 413, "file_too_large"),
    ({"Upload-Length": "9" * 18}, 413, "file_too_large"),
    ({"Upload-Length": "1", "Upload-Checksum": "sha1"}, 400, "invalid_upload_header"),
)


def test_creations(client: TestClient, owner: Owner, database: psycopg.Connection) -> None:
    for headers, status, code in CREATIONS:
        answer = client.post("/v1/uploads", headers=owner.headers | VERSION | headers)
        assert (answer.status_code, answer.json()["code"]) == (status, code), headers
        assert answer.headers["tus-resumable"] == "1.0.0"
    assert count(database, "uploads") == 0


NOT_UTF_8 = base64.b64encode(b"\xff\xfe").decode()


METADATA = (
    "filename YQ==,filename YQ==",
    "filename YQ",
    "filename Y!Q=",
    "filename  YQ==",
    "filename YQ==,",
    ",",
    f"filename {NOT_UTF_8}",
    f"description {NOT_UTF_8}",
    metadata(description="a\x00b"),
    metadata(description="d" * 1001),
    metadata(other="x" * 8000),
)


def test_metadata(client: TestClient, owner: Owner, database: psycopg.Connection) -> None:
    for told in METADATA:
        answer = begin(client, owner, 1, Upload_Metadata=told)
        assert (answer.status_code, pointers(answer)) == (400, ["header/Upload-Metadata"]), told
    assert count(database, "uploads") == 0


def test_metadata_without_a_name(client: TestClient, owner: Owner) -> None:
    for told in ("", "relativePath bnVsbA==", "filename", "filename ,is_draft", f"other {NOT_UTF_8}"):
        path = begun(client, owner, 1, Upload_Metadata=told)
        file = patch(client, owner, path, 0, b"a").headers["jobyard-file"]
        assert client.get(file, headers=owner.headers).json()["name"] == "file", told


def test_other_offsets(client: TestClient, owner: Owner, settings: Settings) -> None:
    path = begun(client, owner, 10)
    assert patch(client, owner, path, 0, b"01234").status_code == 204
    for offset in (0, 4, 6, 10, 11):
        answer = patch(client, owner, path, offset, b"56")
        assert (answer.status_code, answer.json()["code"]) == (409, "offset_mismatch"), offset
    assert (offset_of(client, owner, path), len(blobs(settings.storage_dir))) == (5, 1)


PIECES: tuple[tuple[dict[str, str], int, str | None], ...] = (
    ({"Content-Type": BODY_TYPE}, 400, "invalid_upload_header"),
    ({"Content-Type": BODY_TYPE, "Upload-Offset": "x"}, 400, "invalid_upload_header"),
    ({"Upload-Offset": "0"}, 415, "content_type_not_supported"),
    ({"Content-Type": "application/octet-stream", "Upload-Offset": "0"}, 415, "content_type_not_supported"),
    (
        {"Content-Type": BODY_TYPE, "Upload-Offset": "0", "Content-Encoding": "gzip"},
        415,
        "content_type_not_supported",
    ),
    ({"Content-Type": BODY_TYPE, "Upload-Offset": "0", "Upload-Checksum": "crc32 AAAA"}, 400, None),
    ({"Content-Type": BODY_TYPE, "Upload-Offset": "0", "Upload-Checksum": "sha1 AAAA"}, 400, None),
    ({"Content-Type": BODY_TYPE, "Upload-Offset": "0", "Upload-Checksum": "sha1 !"}, 400, None),
    ({"Content-Type": BODY_TYPE, "Upload-Offset": "0", "Upload-Checksum": ""}, 400, None),
)


def test_pieces(client: TestClient, owner: Owner, settings: Settings) -> None:
    path = begun(client, owner, 10)
    for headers, status, code in PIECES:
        answer = client.patch(path, content=b"01234", headers=owner.headers | VERSION | headers)
        assert (answer.status_code, answer.json()["code"]) == (status, code or "invalid_upload_header"), headers
    assert (offset_of(client, owner, path), blobs(settings.storage_dir)) == (0, [])


def test_a_creation_with_a_body_of_another_kind(client: TestClient, owner: Owner, database: psycopg.Connection) -> None:
    answer = client.post("/v1/uploads", content=b"a", headers=owner.headers | VERSION | {"Upload-Length": "1"})

    assert (answer.status_code, answer.json()["code"]) == (415, "content_type_not_supported")
    assert count(database, "uploads") == 0


def _chunked(content: bytes) -> Iterator[bytes]:
    for place in range(0, len(content), 1000):
        yield content[place : place + 1000]


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("creating", [False, True])
def test_more_than_was_announced(
    client: TestClient, owner: Owner, settings: Settings, *, creating: bool, chunked: bool
) -> None:
    content = words(10_001)
    body = _chunked(content) if chunked else content
    if creating:
        told = {"Upload-Length": "10000", "Content-Type": BODY_TYPE}
        answer = client.post("/v1/uploads", content=body, headers=owner.headers | VERSION | told)
    else:
        path = begun(client, owner, 10_000)
        answer = patch(client, owner, path, 0, body)
        assert offset_of(client, owner, path) == 0

    assert (answer.status_code, answer.json()["code"]) == (413, "file_too_large")
    assert blobs(settings.storage_dir) == []


@pytest.mark.parametrize("sizes", [(5000, 5000), (4095, 5905), (2, 9998), (10_000,)])
def test_content_of_a_type_that_is_not_allowed(
    client: TestClient, owner: Owner, settings: Settings, database: psycopg.Connection, sizes: tuple[int, ...]
) -> None:
    content = b"\x7fELF" + bytes(9996)
    path = begun(client, owner, 10_000, Upload_Metadata=metadata(filename="a.png", filetype="image/png"))
    offset, answers = 0, []
    for size in sizes:
        answers.append(patch(client, owner, path, offset, content[offset : offset + size]))
        offset += size

    first_that_shows = 0 if sizes[0] >= 4096 else len(sizes) - 1
    assert answers[first_that_shows].status_code == 415
    assert answers[first_that_shows].json()["code"] == "media_type_not_allowed"
    assert [answer.status_code for answer in answers[first_that_shows + 1 :]] == [404] * (
        len(sizes) - first_that_shows - 1
    )
    assert (blobs(settings.storage_dir), count(database, "uploads"), count(database, "files")) == ([], 0, 0)


def test_a_storage_that_is_away(client: TestClient, owner: Owner, settings: Settings) -> None:
    path = begun(client, owner, 10)
    assert patch(client, owner, path, 0, b"01234").status_code == 204
    kept = settings.storage_dir.rename(settings.storage_dir.with_name("kept"))
    settings.storage_dir.write_bytes(b"")

    answer = patch(client, owner, path, 5, b"56789")

    assert (answer.status_code, answer.json()["code"]) == (503, "storage_unavailable")
    settings.storage_dir.unlink()
    kept.rename(settings.storage_dir)
    assert offset_of(client, owner, path) == 5
    assert "jobyard-file" in patch(client, owner, path, 5, b"56789").headers
