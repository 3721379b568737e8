"""Reading a content: its headers, how it is shown, and a storage that fails."""

import hashlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg
from fastapi.testclient import TestClient

from shared.settings import Settings
from tests.conftest import Owner
from tests.integration.files.bodies import PNG, blobs
from tests.integration.files.contents import TEXT, store

DISPOSITIONS = {
    "a.png": 'attachment; filename="a.png"',
    "50% of €.png": "attachment; filename=\"50_ of _.png\"; filename*=UTF-8''50%25%20of%20%E2%82%AC.png",
    "a;b'c.png": 'attachment; filename="a;b\'c.png"',
}
SHOWN = {PNG: "image/png", TEXT: "text/plain; charset=utf-8", b"ID3" + bytes(9): "audio/mpeg"}
NOT_SHOWN = {
    b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>': "image/svg+xml",
    b"<!doctype html><script>alert(1)</script>": "text/html",
    b"<?xml version='1.0'?><a/>": "text/xml",
    b"#!/bin/sh\necho": "text/x-shellscript",
    b"%PDF-1.7\n": "application/pdf",
}


def test_content_comes_as_an_attachment(client: TestClient, owner: Owner) -> None:
    for name, disposition in DISPOSITIONS.items():
        answer = store(client, owner, PNG, name).get()

        assert (answer.status_code, answer.content) == (200, PNG)
        assert answer.headers["content-type"] == "image/png"
        assert answer.headers["content-length"] == str(len(PNG))
        assert answer.headers["content-disposition"] == disposition
        assert answer.headers["content-security-policy"] == "sandbox; default-src 'none'"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "private, no-cache"
        assert answer.headers["vary"] == "Authorization"
        assert answer.headers["accept-ranges"] == "bytes"
        assert answer.headers["etag"] == f'"{hashlib.sha256(PNG).hexdigest()}"'


def test_only_what_runs_nothing_is_shown(client: TestClient, settings: Settings, owner: Owner) -> None:
    # What an operator allows to be uploaded changes nothing.
    settings.allowed_media_types.extend(["audio/mpeg", *NOT_SHOWN.values()])
    for content, media_type in (SHOWN | NOT_SHOWN).items():
        file = store(client, owner, content, "ü.bin")

        answer = file.get(path=f"{file.path}?disposition=inline")

        word = "inline" if content in SHOWN else "attachment"
        assert answer.headers["content-disposition"] == f"{word}; filename=\"_.bin\"; filename*=UTF-8''%C3%BC.bin"
        assert answer.headers["content-type"] == media_type
        assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_disposition_that_is_none(client: TestClient, owner: Owner) -> None:
    file = store(client, owner)
    assert file.get(path=f"{file.path}?disposition=form-data").status_code == 422


def test_head_says_what_get_says_and_sends_nothing(client: TestClient, owner: Owner) -> None:
    file = store(client, owner)

    whole, head = file.get(), file.get("HEAD", range="bytes=0-9")

    assert (head.status_code, head.content) == (200, b"")  # a range is for GET alone
    named = {"x-request-id"}
    assert {n: v for n, v in head.headers.items() if n not in named} == {
        n: v for n, v in whole.headers.items() if n not in named
    }


def test_a_blob_that_is_gone_or_damaged(client: TestClient, owner: Owner, settings: Settings) -> None:
    file = store(client, owner)
    [blob] = blobs(settings.storage_dir)

    blob.write_bytes(TEXT[:-1])
    damaged = [file.get(), file.get(range="bytes=0-9")]
    blob.unlink()
    gone = [file.get(), file.get(range="bytes=0-9")]

    for answer in [*damaged, *gone]:
        assert (answer.status_code, answer.json()["code"]) == (410, "content_gone")
        assert "etag" not in answer.headers
    assert file.get("HEAD").status_code == 410
    assert file.get(if_none_match="*").status_code == 304  # the client has what we have not
    assert client.delete(file.known["links"]["self"], headers=owner.headers).status_code == 204


def test_a_storage_that_cannot_be_read(client: TestClient, owner: Owner, settings: Settings) -> None:
    file = store(client, owner)
    [blob] = blobs(settings.storage_dir)
    blob.unlink()
    blob.mkdir()

    answer = file.get()

    assert (answer.status_code, answer.json()["code"]) == (503, "storage_unavailable")
    assert answer.headers["retry-after"]


def test_a_blob_that_hangs_stops_its_own_downloads_only(client: TestClient, owner: Owner, settings: Settings) -> None:
    file = store(client, owner)
    [blob] = blobs(settings.storage_dir)
    blob.unlink()
    os.mkfifo(blob)  # opening it takes until somebody writes
    hanging = 12
    with ThreadPoolExecutor(hanging) as threads:
        answers = [threads.submit(file.get) for _ in range(hanging)]
        while sum(thread.name.startswith("storage") for thread in threading.enumerate()) < hanging:
            client.get("/health/live")

        other = store(client, owner, PNG, "b.png")

        assert other.get("HEAD").status_code == 200
        assert not any(answer.done() for answer in answers)
        released = os.open(blob, os.O_RDWR)
        assert {answer.result().status_code for answer in answers} == {410}
        os.close(released)
    assert other.get().content == PNG


def test_content_is_sent_without_a_database_connection(
    client: TestClient, owner: Owner, database: psycopg.Connection
) -> None:
    file = store(client, owner, TEXT * 2000)
    with client.stream("GET", file.path, headers=owner.headers) as answer:
        open_transactions = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in%'"
        assert database.execute(open_transactions).fetchone() == (0,)
        assert b"".join(answer.iter_bytes()) == TEXT * 2000


def test_a_cross_origin_page_may_read_the_headers_of_ranges(settings: Settings) -> None:
    from api.app import create_app  # noqa: PLC0415 - only here with settings of its own

    allowed = settings.model_copy(update={"cors_origins": ["https://app.example.org"]})
    with TestClient(create_app(allowed)) as client:
        answer = client.get("/health/live", headers={"Origin": "https://app.example.org"})
    exposed = {name.strip() for name in answer.headers["access-control-expose-headers"].split(",")}
    assert {"ETag", "Accept-Ranges", "Content-Range", "Content-Disposition"} <= exposed
