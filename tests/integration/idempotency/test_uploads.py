"""Uploads under a key: what makes two of them the same, and the lease while one of them arrives."""

import asyncio
from datetime import datetime
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient

from api import idempotent_uploads
from api.idempotency_key import RequestKey
from api.idempotent_uploads import hold
from api.resources import make_resources, open_resources
from shared.settings import Settings
from tests.conftest import Owner
from tests.integration.files.bodies import BOUNDARY, FORM, PNG, blobs, count, form, part
from tests.integration.files.conftest import StartServer
from tests.integration.files.conftest import start_server as start_server  # noqa: PLC0414 - a fixture
from tests.integration.idempotency.requests import (
    KEY,
    Sending,
    assert_problem,
    assert_replayed,
    file,
    image,
    keys,
    raw_file,
    stored_image,
)
from tests.integration.idempotency.slow_uploads import HALF, held_upload, let_leases_lapse, wait_until_released

WHOLE = Sending("/v1/files", "files", {"content": HALF + HALF})


def test_neither_the_boundary_nor_the_order_of_texts_counts(client: TestClient, owner: Owner) -> None:
    picture, width, height = part("file", PNG, "a.png"), part("width", b"8"), part("height", b"9")
    first = Sending("/v1/images", "files", {"content": form(width, picture, height)}, FORM)
    boundary = "another-boundary"
    body = form(height, width, picture).replace(BOUNDARY.encode(), boundary.encode())
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}

    second = Sending("/v1/images", "files", {"content": body}, headers)

    assert_replayed(first.send(client, owner), second.send(client, owner))


@pytest.mark.parametrize(
    "other",
    [
        form(part("files", b"one", "a.txt"), part("files", b"two", "c.txt")),
        form(part("files", b"one", "a.txt"), part("files", b"three", "b.txt")),
        form(part("files", b"two", "b.txt"), part("files", b"one", "a.txt")),
        form(part("files", b"one", "a.txt")),
        form(part("files", b"one", "a.txt"), part("files", b"", "b.txt")),
    ],
    ids=["other name", "other content", "other order", "fewer", "one refused"],
)
def test_what_makes_it_another_batch(client: TestClient, owner: Owner, other: bytes) -> None:
    files = form(part("files", b"one", "a.txt"), part("files", b"two", "b.txt"))
    sending = Sending("/v1/files/batch", "files", {"content": files}, FORM)
    first = sending.send(client, owner)

    assert_problem(sending.with_body(content=other).send(client, owner), 422, "idempotency_key_reused")
    assert_replayed(first, sending.send(client, owner))


@pytest.mark.parametrize(("size", "number"), [(600_000, 2), (100, 5)], ids=["refused early", "refused at the end"])
def test_what_was_refused_for_want_of_room_is_told_by_its_content(
    client: TestClient, owner: Owner, database: psycopg.Connection, size: int, number: int
) -> None:
    database.execute("UPDATE users SET max_bytes = %s WHERE id = %s", (size + size // 2, owner.id))
    files = [part("files", b"w" * size, f"{place}.txt") for place in range(number)]
    sending = Sending("/v1/files/batch", "files", {"content": form(*files)}, FORM)
    first = sending.send(client, owner)
    others = [form(*files[:place], part("files", b"v" * size, f"{place}.txt"), *files[place + 1 :])
              for place in range(number)]  # fmt: skip

    assert (first.status_code, first.json()["failed"]) == (201, number - 1)
    assert_replayed(first, sending.send(client, owner))
    for other in others:
        assert_problem(sending.with_body(content=other).send(client, owner), 422, "idempotency_key_reused")
    database.execute("UPDATE users SET max_bytes = 0")
    assert_replayed(first, sending.send(client, owner))
    assert count(database, "files") == 1


@pytest.mark.parametrize(
    ("sending", "status"),
    [
        (Sending("/v1/files", "files", {"files": {"file": ("a", b"\x7fELF" + bytes(9000))}}), 415),
        (Sending("/v1/files", "files", {"files": {"file": ("a", b"")}}), 422),
        (Sending("/v1/files", "files", {"content": form()}, FORM), 422),
        (Sending("/v1/files/batch", "files", {"files": [("files", ("a", b""))]}), 422),
        (Sending("/v1/images", "files", {"files": {"file": ("a.png", PNG)}}), 422),
    ],
    ids=["wrong type", "empty", "no form", "batch of nothing", "no renditions"],
)
def test_a_refused_upload_releases_its_key(
    client: TestClient, owner: Owner, database: psycopg.Connection, sending: Sending, status: int
) -> None:
    assert sending.send(client, owner).status_code == status

    assert keys(database) == 0


def test_while_it_arrives_the_key_is_in_use(
    start_server: StartServer, owner: Owner, stranger: Owner, settings: Settings, database: psycopg.Connection
) -> None:
    server = start_server()
    with held_upload(server, owner, database) as upload, server.client() as client:
        rival = WHOLE.send(client, owner)
        assert WHOLE.send(client, stranger).status_code == 201

        status, headers, document = upload.finish()
        again = WHOLE.send(client, owner)

    assert_problem(rival, 409, "idempotency_key_in_use")
    assert (int(rival.headers["retry-after"]) > 0, rival.headers["connection"]) == (True, "close")
    assert (status, "idempotency-replayed" in headers) == (201, False)
    assert (again.status_code, again.headers["idempotency-replayed"], again.json()) == (201, "true", document)
    assert (count(database, "files"), len(blobs(settings.storage_dir))) == (2, 2)


def test_while_it_arrives_a_request_in_json_is_refused(
    start_server: StartServer, owner: Owner, database: psycopg.Connection
) -> None:
    server = start_server()
    with server.client() as client:
        sending, _ = stored_image(client, owner)
        with held_upload(server, owner, database, "/v1/files"):
            database.execute("UPDATE idempotency_keys SET route = 'POST /v1/images'")
            assert_problem(sending.send(client, owner), 409, "idempotency_key_in_use")
            let_leases_lapse(database)
            assert_replayed(sending.send(client, owner), sending.send(client, owner))


def test_an_aborted_upload_releases_its_key(
    start_server: StartServer, owner: Owner, settings: Settings, database: psycopg.Connection
) -> None:
    server = start_server()
    with held_upload(server, owner, database) as upload:
        upload.abort()
        wait_until_released(database)

    assert (count(database, "files"), blobs(settings.storage_dir)) == (0, [])
    with server.client() as client:
        assert_replayed(WHOLE.send(client, owner), WHOLE.send(client, owner))


def test_a_lapsed_lease_is_taken_over_and_the_late_one_keeps_nothing(
    start_server: StartServer, owner: Owner, settings: Settings, database: psycopg.Connection
) -> None:
    server = start_server()
    with held_upload(server, owner, database) as late, server.client() as client:
        let_leases_lapse(database)
        taken_over = WHOLE.send(client, owner)
        status, headers, document = late.finish()

        assert (status, document["code"]) == (409, "idempotency_key_in_use")
        assert int(headers["retry-after"]) > 0
        assert_replayed(taken_over, WHOLE.send(client, owner))
    assert (count(database, "files"), len(blobs(settings.storage_dir))) == (1, 1)


def test_the_late_one_does_not_release_the_key_of_the_other(
    start_server: StartServer, owner: Owner, settings: Settings, database: psycopg.Connection
) -> None:
    server = start_server()
    with held_upload(server, owner, database) as late:
        let_leases_lapse(database)
        with held_upload(server, owner, database) as other:
            assert late.finish()[0] == 409
            assert keys(database) == 1
            assert other.finish()[0] == 201
    assert (count(database, "files"), len(blobs(settings.storage_dir))) == (1, 1)


def test_a_lapsed_lease_that_nobody_took_still_holds(
    start_server: StartServer, owner: Owner, database: psycopg.Connection
) -> None:
    with held_upload(start_server(), owner, database) as upload:
        let_leases_lapse(database)
        assert upload.finish()[0] == 201
    assert count(database, "files") == 1


def test_a_lease_is_renewed_while_it_is_held(
    settings: Settings, owner: Owner, database: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotent_uploads, "RENEW_SECONDS", 0.01)

    def lease() -> datetime:
        row: Any = database.execute("SELECT lease_expires_at FROM idempotency_keys").fetchone()
        return row[0]

    async def hold_until_renewed() -> None:
        resources = make_resources(settings)
        async with (
            open_resources(resources),
            hold(resources.ledger, RequestKey(owner.id, "POST /v1/files", KEY, [])),
        ):
            first = lease()
            while await asyncio.to_thread(lease) <= first:
                pass

    asyncio.run(hold_until_renewed())


def test_of_a_repeated_upload_nothing_reaches_the_storage(
    client: TestClient, owner: Owner, settings: Settings, database: psycopg.Connection
) -> None:
    first = WHOLE.send(client, owner)
    # A storage that takes nothing more: where its folder for what arrives was, there is a file.
    incoming = settings.storage_dir / "incoming"
    incoming.rmdir()
    incoming.write_text("in the way")

    assert WHOLE.send(client, owner, None).status_code == 503
    assert_replayed(first, WHOLE.send(client, owner))
    assert count(database, "files") == 1


def test_a_raw_body_and_a_form_of_the_same_file_are_one_upload(client: TestClient, owner: Owner) -> None:
    assert_replayed(raw_file(client, owner)[0].send(client, owner), file(client, owner)[0].send(client, owner))


def test_a_picture_under_the_key_of_a_request_in_json_is_another_body(client: TestClient, owner: Owner) -> None:
    first = stored_image(client, owner)[0].send(client, owner)

    assert first.status_code == 202
    assert_problem(image(client, owner)[0].send(client, owner), 422, "idempotency_key_reused")
