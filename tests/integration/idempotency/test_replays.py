"""Idempotency-Key on every route: what is sent again is done once, and answered as it was the first time."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from psycopg import AsyncConnection, AsyncCursor

from api.app import create_app
from shared.settings import Settings
from tests.conftest import Owner
from tests.integration.files.bodies import blobs, count
from tests.integration.idempotency.requests import (
    EMAIL,
    JSON_ROUTES,
    UPLOADS,
    Make,
    Sending,
    assert_problem,
    assert_replayed,
    email,
    file,
    job,
    keys,
    raw_file,
    read_answer,
    retry,
)

EVERY_ROUTE = pytest.mark.parametrize("make", [*JSON_ROUTES, *UPLOADS])


@EVERY_ROUTE
def test_it_is_done_once_and_answered_twice(
    client: TestClient, owner: Owner, database: psycopg.Connection, settings: Settings, make: Make
) -> None:
    sending, _ = make(client, owner)
    first = sending.send(client, owner)
    made = count(database, sending.table), blobs(settings.storage_dir)

    second, third = sending.send(client, owner), sending.send(client, owner)

    assert_replayed(first, second)
    assert_replayed(first, third)
    assert (count(database, sending.table), blobs(settings.storage_dir)) == made
    assert keys(database) == 1


@EVERY_ROUTE
def test_another_body_is_refused(
    client: TestClient, owner: Owner, database: psycopg.Connection, settings: Settings, make: Make
) -> None:
    sending, other = make(client, owner)
    first = sending.send(client, owner)
    made = count(database, sending.table), blobs(settings.storage_dir)

    refused = other.send(client, owner)

    assert_problem(refused, 422, "idempotency_key_reused")
    assert refused.json()["errors"][0]["pointer"] == "header/idempotency-key"
    assert (count(database, sending.table), blobs(settings.storage_dir)) == made
    assert_replayed(first, sending.send(client, owner))


@EVERY_ROUTE
def test_without_a_key_nothing_is_kept(
    client: TestClient, owner: Owner, database: psycopg.Connection, make: Make
) -> None:
    sending, _ = make(client, owner)

    first, second = sending.send(client, owner, None), sending.send(client, owner, None)

    assert first.content != second.content
    assert keys(database) == 0


def test_without_a_key_a_job_is_still_one_statement(
    client: TestClient, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    execute, transaction = AsyncCursor.execute, AsyncConnection.transaction

    async def listen(cursor: Any, query: Any, *arguments: Any, **options: Any) -> Any:
        sent.append(" ".join(str(query).split()[:3]))
        return await execute(cursor, query, *arguments, **options)

    def listen_to_transactions(connection: Any, *arguments: Any, **options: Any) -> Any:
        sent.append("BEGIN")
        return transaction(connection, *arguments, **options)

    monkeypatch.setattr(AsyncCursor, "execute", listen)
    monkeypatch.setattr(AsyncConnection, "transaction", listen_to_transactions)
    sending, _ = job(client, owner)

    assert sending.send(client, owner, None).status_code == 202
    # The nudge comes after the answer, and may come later than this line.
    assert [query for query in sent if not query.startswith("NOTIFY")] == ["INSERT INTO jobs"]
    assert sending.send(client, owner).status_code == 202
    assert {"BEGIN", "INSERT INTO idempotency_keys"} <= set(sent)


@pytest.mark.parametrize("make", [job, email, file])
def test_another_owners_key_is_another_key(client: TestClient, owner: Owner, stranger: Owner, make: Make) -> None:
    sending, other = make(client, owner)

    answers = [sending.send(client, owner), other.send(client, stranger)]

    assert [answer.is_success for answer in answers] == [True, True]
    assert_replayed(answers[0], sending.send(client, owner))
    assert_replayed(answers[1], other.send(client, stranger))


def test_a_key_belongs_to_its_route(client: TestClient, owner: Owner) -> None:
    sendings = [make(client, owner)[0] for make in (job, email, file, retry, retry)]

    firsts = [sending.send(client, owner) for sending in sendings]

    for sending, first in zip(sendings, firsts, strict=True):
        assert_replayed(first, sending.send(client, owner))


def test_blanks_and_the_order_of_names_do_not_count(client: TestClient, owner: Owner) -> None:
    headers = {"Content-Type": "application/json"}
    texts = ['{"kind":"test.echo","input":{"text":"é"}}', '{ "input": {"text": "\\u00e9"}, "kind": "test.echo" }']
    sendings = [Sending("/v1/jobs", "jobs", {"content": text.encode()}, headers) for text in texts]

    first, second = (sending.send(client, owner) for sending in sendings)

    assert_replayed(first, second)


def test_the_query_belongs_to_the_request(client: TestClient, owner: Owner) -> None:
    first, same, other = (
        Sending(f"/v1/emails{query}", "emails", {"json": EMAIL}).send(client, owner)
        for query in ("?a=1&b=2", "?b=2&a=1", "?a=1")
    )

    assert_replayed(first, same)
    assert_problem(other, 422, "idempotency_key_reused")


def test_a_live_unique_key_is_answered_again_as_such(client: TestClient, owner: Owner) -> None:
    sending = Sending("/v1/jobs", "jobs", {"json": {"kind": "test.echo", "input": {}, "unique_key": "one"}})
    made = sending.send(client, owner, None)

    first, second = sending.send(client, owner), sending.send(client, owner)

    assert (first.status_code, first.headers["location"]) == (200, made.headers["location"])
    assert first.headers["jobyard-existing"] == "true"
    assert_replayed(first, second)


def test_a_retry_is_answered_again_when_the_old_job_is_gone(client: TestClient, owner: Owner) -> None:
    sending, _ = retry(client, owner)
    first = sending.send(client, owner)
    assert client.delete(sending.path.removesuffix("/retry"), headers=owner.headers).status_code == 204

    assert_replayed(first, sending.send(client, owner))


MISSING = "0198f2a5-1c2d-7b31-8a77-0f6e5d4c3b2a"


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("/v1/jobs", {"kind": "file.inspect", "input": {"file_id": MISSING}}, "file_not_found"),
        ("/v1/emails", EMAIL | {"attachment_ids": [MISSING]}, "file_not_found"),
        ("/v1/images", {"file_id": MISSING, "renditions": [{"width": 8}]}, "file_not_found"),
        (f"/v1/jobs/{MISSING}/retry", {}, "job_not_found"),
    ],
)
def test_a_refusal_by_the_domain_is_an_answer(
    client: TestClient, owner: Owner, database: psycopg.Connection, path: str, body: dict[str, Any], code: str
) -> None:
    sending = Sending(path, "jobs", {"json": body})

    first, second = sending.send(client, owner), sending.send(client, owner)

    assert_problem(first, 404, code)
    assert first.headers["content-type"] == "application/problem+json"
    assert read_answer(second) == read_answer(first)
    assert ["idempotency-replayed" in answer.headers for answer in (first, second)] == [False, True]
    assert (keys(database), count(database, "jobs")) == (1, 0)


def test_what_is_malformed_is_not_kept(client: TestClient, owner: Owner, database: psycopg.Connection) -> None:
    sending, _ = job(client, owner)

    assert sending.with_body(json={"kind": "test.echo"}).send(client, owner).status_code == 422

    assert keys(database) == 0
    assert sending.send(client, owner).status_code == 202


def test_after_a_day_a_key_is_free(client: TestClient, owner: Owner, database: psycopg.Connection) -> None:
    for make in (job, file):
        sending, other = make(client, owner)
        first = sending.send(client, owner)
        database.execute("UPDATE idempotency_keys SET created_at = now() - interval '23 hours 59 minutes'")
        assert_replayed(first, sending.send(client, owner))
        database.execute("UPDATE idempotency_keys SET created_at = now() - interval '24 hours'")

        again = other.send(client, owner)

        assert again.is_success
        assert "idempotency-replayed" not in again.headers
        assert_replayed(again, other.send(client, owner))


@pytest.mark.parametrize("make", [job, email, file, raw_file])
@pytest.mark.parametrize("key", ["", "k" * 256, "schlüssel", "a\tb"], ids=["empty", "256", "not ASCII", "control"])
def test_keys_that_are_none(
    client: TestClient, owner: Owner, database: psycopg.Connection, make: Make, key: str
) -> None:
    sending, _ = make(client, owner)
    headers: Any = owner.headers | sending.headers | {"Idempotency-Key": key.encode()}

    answer = client.post(sending.path, headers=headers, **sending.body)

    assert_problem(answer, 422, "invalid_input")
    assert answer.json()["errors"][0]["pointer"] == "header/idempotency-key"
    assert (keys(database), count(database, sending.table)) == (0, 0)


@pytest.mark.parametrize("key", ["k", "k" * 255, 'A "quoted" ~ key!'])
def test_keys_that_are_some(client: TestClient, owner: Owner, key: str) -> None:
    sending, _ = job(client, owner)

    assert_replayed(sending.send(client, owner, key), sending.send(client, owner, key))


def test_a_key_needs_an_owner(client: TestClient) -> None:
    answer = client.post("/v1/emails", json=EMAIL, headers={"Idempotency-Key": "k" * 256})
    assert_problem(answer, 401, "unauthorized")


@pytest.fixture
def shared_with(settings: Settings) -> Callable[[str], FastAPI]:
    """Make the application for a page of another origin."""
    return lambda origin: create_app(settings.model_copy(update={"cors_origins": [origin]}))


def test_a_page_of_another_origin_sees_that_it_was_replayed(
    owner: Owner, shared_with: Callable[[str], FastAPI]
) -> None:
    origin = "https://app.example.com"
    with TestClient(shared_with(origin)) as client:
        sending, _ = job(client, owner)
        answer = sending.with_headers(Origin=origin).send(client, owner)
    assert "Idempotency-Replayed" in answer.headers["access-control-expose-headers"].split(", ")


def test_every_route_that_makes_something_declares_the_header(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    declared = {
        path
        for path, methods in paths.items()
        for parameter in methods.get("post", {}).get("parameters", [])
        if parameter["name"].lower() == "idempotency-key"
    }
    assert declared >= {
        "/v1/jobs", "/v1/jobs/bulk", "/v1/jobs/{job_id}/retry", "/v1/files", "/v1/files/batch", "/v1/images",
        "/v1/emails",
    }  # fmt: skip
    for path in declared:
        responses = paths[path]["post"]["responses"]
        made = [answer for status, answer in responses.items() if status.startswith("2")]
        assert all("Idempotency-Replayed" in answer["headers"] for answer in made)
        assert {"409", "422"} <= responses.keys()
