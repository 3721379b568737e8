"""Requests with one key at the same time: one does the work, the others wait for it and get its answer."""

from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient

from shared.settings import Settings
from tests.conftest import Owner
from tests.integration.files.bodies import count, refusing
from tests.integration.idempotency.requests import (
    JSON_ROUTES,
    KEY,
    Make,
    assert_problem,
    assert_replayed,
    email,
    file,
    image,
    job,
    keys,
    read_answer,
    stored_image,
)

RIVALS = 12


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(RIVALS) as pool:
        yield pool


@contextmanager
def another_transaction_has(settings: Settings, owner: Owner, route: str) -> Generator[psycopg.Connection]:
    """Hold a key as a transaction does whose end nobody knows yet."""
    with psycopg.connect(settings.database_url) as connection:
        connection.execute(
            "INSERT INTO idempotency_keys (owner_id, route, key, claim_id) VALUES (%s, %s, %s, gen_random_uuid())",
            (owner.id, route, KEY),
        )
        yield connection
        connection.rollback()


def wait_until_blocked(database: psycopg.Connection, pending: Future[Any]) -> None:
    """Return once somebody waits for a lock."""
    while database.execute("SELECT FROM pg_locks WHERE NOT granted").rowcount == 0:
        assert not pending.done(), pending.result().text


@pytest.mark.parametrize("make", JSON_ROUTES)
def test_rivals_get_equal_answers(
    client: TestClient, owner: Owner, database: psycopg.Connection, pool: ThreadPoolExecutor, make: Make
) -> None:
    sending, _ = make(client, owner)
    before = count(database, sending.table)
    at_once = Barrier(RIVALS)

    def send(_: int) -> Any:
        at_once.wait()
        return sending.send(client, owner)

    answers = list(pool.map(send, range(RIVALS)))

    assert len({read_answer(answer) for answer in answers}) == 1
    assert sorted("idempotency-replayed" in answer.headers for answer in answers) == [False] + [True] * (RIVALS - 1)
    assert count(database, sending.table) == before + 1


@pytest.mark.parametrize("make", [job, email, stored_image, file])
def test_when_the_first_one_rolls_back_the_second_does_the_work(
    client: TestClient, owner: Owner, settings: Settings, database: psycopg.Connection, pool: ThreadPoolExecutor,
    make: Make,
) -> None:  # fmt: skip
    sending, _ = make(client, owner)
    with another_transaction_has(settings, owner, f"POST {sending.path}") as first:
        pending = pool.submit(sending.send, client, owner)
        wait_until_blocked(database, pending)
        first.rollback()

        second = pending.result()

    assert second.is_success
    assert_replayed(second, sending.send(client, owner))


@pytest.mark.parametrize("make", [job, email, image])
def test_nobody_waits_for_ever(
    client: TestClient, owner: Owner, settings: Settings, database: psycopg.Connection, make: Make
) -> None:
    sending, _ = make(client, owner)
    with another_transaction_has(settings, owner, f"POST {sending.path}"):
        answer = sending.send(client, owner)

    assert_problem(answer, 409, "idempotency_key_in_use")
    assert int(answer.headers["retry-after"]) > 0
    assert (keys(database), count(database, sending.table)) == (0, 0)
    assert sending.send(client, owner).is_success


@pytest.mark.parametrize(
    ("make", "table", "column", "value"),
    [
        (job, "jobs", "kind", "test.echo"),
        (email, "jobs", "kind", "mail.send"),
        (stored_image, "jobs", "kind", "image.resize"),
        (image, "jobs", "kind", "image.resize"),
        (file, "files", "media_type", "text/plain"),
    ],
)
def test_a_failure_is_not_kept(
    client: TestClient, owner: Owner, database: psycopg.Connection, make: Make, table: str, column: str, value: str
) -> None:
    sending, _ = make(client, owner)
    with refusing(database, table, column, value):
        assert sending.send(client, owner).status_code == 500
    assert keys(database) == 0

    again = sending.send(client, owner)

    assert_replayed(again, sending.send(client, owner))


def test_a_failure_to_keep_the_answer_undoes_the_work(
    client: TestClient, owner: Owner, database: psycopg.Connection
) -> None:
    for make in (job, email, file):
        sending, _ = make(client, owner)
        database.execute("ALTER TABLE idempotency_keys ADD CONSTRAINT refused CHECK (status IS NULL)")
        try:
            assert sending.send(client, owner).status_code == 500
        finally:
            database.execute("ALTER TABLE idempotency_keys DROP CONSTRAINT refused")
        assert (keys(database), count(database, sending.table)) == (0, 0)
