"""Conditional requests for a content: RFC 9110, section 13, in the order of 13.2.2."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import psycopg
import pytest
from fastapi.testclient import TestClient

from tests.conftest import Owner
from tests.integration.files.contents import TEXT, StoredFile, store

MODIFIED = datetime(2026, 11, 24, 12, 0, 0, 500_000, tzinfo=UTC)
SAME, OLDER, NEWER = (format_datetime(MODIFIED + timedelta(seconds=seconds), usegmt=True) for seconds in (0, -1, 1))
OTHER = '"another"'
PART = "bytes=0-7"
NONSENSE = [
    "yesterday",
    "0",
    "",
    "Tue, 99 Nov 2026 12:00:00 GMT",
    "Tue, 24 Nov 999999999 12:00:00 GMT",
    "Tue, 24 Nov 2026 12:00:00 +0100",
    '"x"',
]


@pytest.fixture
def file(client: TestClient, owner: Owner, database: psycopg.Connection) -> StoredFile:
    stored = store(client, owner)
    database.execute("UPDATE files SET created_at = %s", (MODIFIED,))
    return stored


@pytest.fixture
def etag(file: StoredFile) -> str:
    return f'"{file.known["sha256"]}"'


def test_the_validators_are_sent(file: StoredFile, etag: str) -> None:
    answer = file.get()
    assert (answer.headers["etag"], answer.headers["last-modified"]) == (etag, "Tue, 24 Nov 2026 12:00:00 GMT")
    assert file.get(if_none_match=etag, if_modified_since=SAME).status_code == 304


def rows(etag: str) -> list[tuple[dict[str, str], int]]:
    """What is asked, and the status of the answer without and with a range."""
    return [
        ({"if_match": etag}, 200),
        ({"if_match": "*"}, 200),
        ({"if_match": f"{OTHER}, {etag}"}, 200),
        ({"if_match": f'"a,b",{etag}'}, 200),
        ({"if_match": OTHER}, 412),
        ({"if_match": f"W/{etag}"}, 412),  # strong comparison
        ({"if_match": ""}, 412),
        # If-Match goes before If-Unmodified-Since, which then says nothing.
        ({"if_match": etag, "if_unmodified_since": OLDER}, 200),
        ({"if_match": OTHER, "if_unmodified_since": NEWER}, 412),
        ({"if_unmodified_since": SAME}, 200),
        ({"if_unmodified_since": NEWER}, 200),
        ({"if_unmodified_since": OLDER}, 412),
        ({"if_none_match": etag}, 304),
        ({"if_none_match": f"W/{etag}"}, 304),  # weak comparison
        ({"if_none_match": f"{OTHER}, {etag}"}, 304),
        ({"if_none_match": "*"}, 304),
        ({"if_none_match": OTHER}, 200),
        ({"if_none_match": etag.strip('"')}, 200),
        # If-None-Match goes before If-Modified-Since, which then says nothing.
        ({"if_none_match": OTHER, "if_modified_since": NEWER}, 200),
        ({"if_none_match": etag, "if_modified_since": OLDER}, 304),
        ({"if_modified_since": SAME}, 304),
        ({"if_modified_since": NEWER}, 304),
        ({"if_modified_since": "Tuesday, 24-Nov-26 12:00:00 GMT"}, 304),
        ({"if_modified_since": "Tue Nov 24 12:00:00 2026"}, 304),
        ({"if_modified_since": OLDER}, 200),
        # What guards against a wrong content goes before what spares the sending of a known one.
        ({"if_match": etag, "if_none_match": etag}, 304),
        ({"if_match": OTHER, "if_none_match": etag}, 412),
        ({"if_unmodified_since": OLDER, "if_none_match": etag}, 412),
        ({"if_unmodified_since": SAME, "if_modified_since": SAME}, 304),
        *[({name: date}, 200) for date in NONSENSE for name in ("if_modified_since", "if_unmodified_since")],
    ]


def test_conditions_and_their_order(file: StoredFile, etag: str) -> None:
    for headers, status in rows(etag):
        assert file.get(**headers).status_code == status, headers
        assert file.get("HEAD", **headers).status_code == status, headers
        assert file.get(**headers, range=PART).status_code == (206 if status == 200 else status), headers


def test_a_range_of_the_content_that_the_client_means(file: StoredFile, etag: str) -> None:
    for validator in (etag, SAME):
        answer = file.get(range=PART, if_range=validator)
        assert (answer.status_code, answer.content) == (206, TEXT[:8]), validator
        assert file.get(range="bytes=5000-", if_range=validator).status_code == 416
    for validator in (OTHER, f"W/{etag}", OLDER, NEWER, f"{etag}, {OTHER}", *NONSENSE):
        answer = file.get(range=PART, if_range=validator)
        assert (answer.status_code, answer.content) == (200, TEXT), validator
        assert file.get(range="bytes=5000-", if_range=validator).status_code == 200
    assert file.get(if_range=etag).status_code == 200
    assert file.get(range=PART, if_range=OTHER, if_none_match=etag).status_code == 304


def test_what_a_304_holds(file: StoredFile, etag: str) -> None:
    answer = file.get(if_none_match=etag)
    assert (answer.content, answer.headers["etag"]) == (b"", etag)
    assert answer.headers["cache-control"] == "private, no-cache"
    assert "content-type" not in answer.headers
    assert "content-length" not in answer.headers


def test_lines_of_one_list(client: TestClient, file: StoredFile, etag: str) -> None:
    lines = [*file.owner.headers.items(), ("If-None-Match", OTHER), ("If-None-Match", etag)]
    assert client.get(file.path, headers=lines).status_code == 304


def test_the_owner_is_asked_for_first(client: TestClient, file: StoredFile, stranger: Owner) -> None:
    for headers in ({"If-None-Match": "*"}, {"If-Match": OTHER}, {"Range": "bytes=5000-"}):
        assert client.get(file.path, headers=stranger.headers | headers).status_code == 404
        assert client.get(file.path, headers=headers).status_code == 401
