"""`Prefer: wait` beside a key: the acceptance is what is kept, and a repeated request waits as the first one did."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import psycopg
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from tests.conftest import Owner
from tests.integration.idempotency.requests import Make, assert_replayed, image, job, stored_image
from tests.integration.jobs.test_waiting import Watched


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


@pytest.mark.parametrize("make", [job, image, stored_image])
def test_what_is_kept_is_the_acceptance(client: TestClient, owner: Owner, make: Make) -> None:
    sending, _ = make(client, owner)
    waiting = sending.with_headers(Prefer="wait=0")

    first = waiting.send(client, owner)

    assert (first.status_code, first.headers["preference-applied"]) == (202, "wait=0")
    plain = sending.send(client, owner)
    assert (plain.status_code, plain.headers["location"]) == (202, first.headers["location"])
    assert plain.headers["idempotency-replayed"] == "true"
    assert "preference-applied" not in plain.headers


def test_a_repeated_request_waits_for_the_end(
    app: FastAPI, client: TestClient, owner: Owner, pool: ThreadPoolExecutor
) -> None:
    sending, _ = job(client, owner)
    accepted = sending.send(client, owner)
    watched = Watched(app)
    pending = pool.submit(sending.with_headers(Prefer="wait=20").send, client, owner)
    watched.wait_for(1)
    client.post(accepted.json()["links"]["cancel"], headers=owner.headers)

    done = pending.result()

    assert (done.status_code, done.json()["state"]) == (200, "cancelled")
    assert (done.headers["location"], done.headers["idempotency-replayed"]) == (accepted.headers["location"], "true")
    assert_replayed(accepted, sending.send(client, owner))


@pytest.mark.parametrize("make", [job, stored_image])
def test_a_repeated_request_gets_the_newest_row(client: TestClient, owner: Owner, make: Make) -> None:
    sending, _ = make(client, owner)
    accepted = sending.send(client, owner)
    cancelled = client.post(accepted.json()["links"]["cancel"], headers=owner.headers)

    newest = sending.with_headers(Prefer="wait=20").send(client, owner)

    assert (newest.status_code, newest.content) == (200, cancelled.content)
    assert newest.headers["etag"] == cancelled.headers["etag"] != accepted.headers["etag"]
    assert newest.headers["idempotency-replayed"] == "true"


def test_of_a_job_that_is_gone_the_acceptance_is_left(
    client: TestClient, owner: Owner, database: psycopg.Connection
) -> None:
    sending, _ = job(client, owner)
    accepted = sending.send(client, owner)
    database.execute("DELETE FROM jobs")

    assert_replayed(accepted, sending.with_headers(Prefer="wait=20").send(client, owner))


def test_a_refusal_is_not_waited_for(client: TestClient, owner: Owner) -> None:
    missing = {"file_id": str(UUID(int=1)), "renditions": [{"width": 8}]}
    waiting = stored_image(client, owner)[0].with_body(json=missing).with_headers(Prefer="wait=20")

    answers = [waiting.send(client, owner) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [404, 404]
