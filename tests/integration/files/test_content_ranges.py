"""Ranges of a content: RFC 9110, section 14, from a directory and from a bucket."""

from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from shared.settings import Settings
from shared.storage import open_storage
from tests.conftest import Owner
from tests.integration.files.contents import TEXT, StoredFile, store
from tests.s3_server import S3Server

SIZE = len(TEXT)
HUGE = "9" * 5000


@pytest.fixture(params=["local", "s3"])
def settings(request: pytest.FixtureRequest, settings: Settings) -> Settings:
    """Give settings of either storage."""
    if request.param == "local":
        return settings
    server: S3Server = request.getfixturevalue("s3_server")
    bucket = server.settings(server.make_bucket())
    names = ("storage_url", "bucket_endpoint", "bucket_region", "bucket_key_id", "bucket_secret")
    return settings.model_copy(update={name: getattr(bucket, name) for name in names})


@pytest.fixture
def file(client: TestClient, owner: Owner) -> StoredFile:
    return store(client, owner)


PARTS = [
    ("bytes=0-0", 0, 1),
    ("bytes=0-7", 0, 8),
    ("bytes=992-999", 992, SIZE),
    ("bytes=990-", 990, SIZE),
    ("bytes=0-", 0, SIZE),
    ("bytes=0-999", 0, SIZE),
    ("bytes=-8", 992, SIZE),
    ("bytes=-1000", 0, SIZE),
    ("bytes=-5000", 0, SIZE),
    (f"bytes=-{HUGE}", 0, SIZE),
    ("bytes=5-5000", 5, SIZE),
    (f"bytes=5-{HUGE}", 5, SIZE),
    ("bytes=0000000000000000000000000005-9", 5, 10),
    ("BYTES=0-7", 0, 8),
    ("bytes=\t0-7 ", 0, 8),
    ("bytes=,, 0-7 ,", 0, 8),
]
OUTSIDE = ["bytes=1000-", "bytes=1000-1001", f"bytes={HUGE}-", f"bytes={HUGE}-{HUGE}9", "bytes=-0", "bytes=-000"]
WHOLE = [
    "bytes", "bytes=", "bytes=-", "bytes=,", "bytes=a-b", "bytes=1", "bytes=5-4", "bytes=--5", "bytes=-5-",
    "bytes=0-5-9", "bytes=+0-5", "bytes=0 - 5", "bytes =0-5", "bytes=0x0-0x5", "bytes=1e1-", "bytes=0.0-5", "bytes:0-5",
    "0-5", "lines=0-5",
    "bytes=-\u0663", "bytes=\u0660-\u0663", "bytes=0-5;q=1", 'bytes="0-5"', "bytes=0-1,3-4", "bytes=5000-,0-1",
    "bytes=0-1,x",
    "bytes=" + ",".join(f"{start}-{start}" for start in range(1000)), "bytes=" + "0-," * 1000, "bytes=" + ",-1" * 5000,
]  # fmt: skip


def test_headers_that_name_one_range(file: StoredFile) -> None:
    whole = file.get()
    for header, start, end in PARTS:
        answer = file.get(range=header)
        assert (answer.status_code, answer.content) == (206, TEXT[start:end]), header[:40]
        assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{SIZE}"
        assert answer.headers["content-length"] == str(end - start)
        for name in ("etag", "last-modified", "cache-control", "vary", "content-type", "content-disposition"):
            assert answer.headers[name] == whole.headers[name]


def test_ranges_that_lie_outside(file: StoredFile) -> None:
    for header in OUTSIDE:
        answer = file.get(range=header)
        assert (answer.status_code, answer.json()["code"]) == (416, "range_not_satisfiable"), header[:40]
        assert answer.headers["content-range"] == f"bytes */{SIZE}"
        assert answer.headers["content-type"] == "application/problem+json"


def test_headers_that_name_no_range_or_several(client: TestClient, file: StoredFile) -> None:
    for header in WHOLE:
        named: Any = file.owner.headers | {"Range": header.encode()}
        answer = client.get(file.path, headers=named)
        assert (answer.status_code, answer.content) == (200, TEXT), header[:40]
        assert "content-range" not in answer.headers
    lines: Any = [*file.owner.headers.items(), ("Range", "bytes=0-1"), ("Range", "bytes=3-4")]
    assert client.get(file.path, headers=lines).status_code == 200


def test_any_range_is_that_slice(file: StoredFile) -> None:
    @examples(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.integers(0, SIZE - 1), st.none() | st.integers(0, 2 * SIZE))
    def check(first: int, length: int | None) -> None:
        last = "" if length is None else first + length
        answer = file.get(range=f"bytes={first}-{last}")
        end = SIZE if length is None else first + length + 1
        assert (answer.status_code, answer.content) == (206, TEXT[first:end])

    @examples(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.integers(1, 2 * SIZE))
    def check_suffix(length: int) -> None:
        answer = file.get(range=f"bytes=-{length}")
        assert (answer.status_code, answer.content) == (206, TEXT[-length:])

    check()
    check_suffix()


def test_a_range_of_many_blocks(client: TestClient, owner: Owner) -> None:
    content = TEXT * 5000
    answer = store(client, owner, content).get(range="bytes=1234567-4999999")
    assert answer.content == content[1234567:5000000]


def test_content_of_no_bytes(file: StoredFile, settings: Settings, database: psycopg.Connection) -> None:
    # As a job may make it.
    row = database.execute("UPDATE files SET size = 0 RETURNING storage_key").fetchone()
    assert row
    with open_storage(settings).writer(row[0]) as blob:
        blob.commit()
    for header in ("bytes=0-", "bytes=0-0"):
        answer = file.get(range=header)
        assert (answer.status_code, answer.headers["content-range"]) == (416, "bytes */0")
    for answer in (file.get(), file.get(range="bytes=-5")):
        assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "0")
