"""A ticket opens one stream, soon, as the user who got it; a token in a URL opens none."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta

import psycopg
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.requests import HTTPConnection

from api.app import create_app
from api.resources import Resources
from api.stream_tickets import TicketNotValid, issue_ticket, read_stream_caller
from api.tokens import Caller, Unauthorized
from shared.logs import RedactingFormatter
from shared.settings import Settings
from tests.conftest import Owner

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def running(app: FastAPI) -> AsyncGenerator[Resources]:
    async with app.router.lifespan_context(app):
        yield app.state.resources


def opening(query: str = "", **headers: str) -> HTTPConnection:
    given = [(name.encode(), value.encode()) for name, value in headers.items()]
    return HTTPConnection({"type": "websocket", "query_string": query.encode(), "headers": given})


def get_ticket(client: TestClient, owner: Owner) -> str:
    answer = client.post("/v1/stream-tickets", headers=owner.headers)
    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["expires_in"] == 30
    return answer.json()["ticket"]


def test_a_ticket_is_random_and_kept_as_a_hash(client: TestClient, owner: Owner, database: psycopg.Connection) -> None:
    first, second = get_ticket(client, owner), get_ticket(client, owner)

    assert first != second
    assert len(first) == 43
    kept = [bytes(row[0]) for row in database.execute("SELECT ticket_hash FROM stream_tickets")]
    assert [len(each) for each in kept] == [32, 32]
    assert all(first.encode() not in each for each in kept)


def test_a_ticket_needs_a_token(client: TestClient) -> None:
    assert client.post("/v1/stream-tickets").status_code == 401


def test_the_token_of_a_user_who_is_gone_gets_no_ticket(
    client: TestClient, owner: Owner, database: psycopg.Connection
) -> None:
    database.execute("DELETE FROM users WHERE id = %s", (owner.id,))

    assert client.post("/v1/stream-tickets", headers=owner.headers).status_code == 401


async def test_the_bearer_is_the_caller_who_got_it(app: FastAPI, operator: Owner) -> None:
    caller = Caller(operator.id, "operator", time.time() + 600)
    async with running(app) as resources:
        made = await issue_ticket(resources, caller)
        read = await read_stream_caller(opening(f"ticket={made.ticket}"), resources)

    assert (read.user_id, read.role) == (caller.user_id, caller.role)
    assert read.expires_at == pytest.approx(caller.expires_at, abs=0.001)


async def test_of_many_rivals_with_one_ticket_one_gets_in(app: FastAPI, owner: Owner) -> None:
    async with running(app) as resources:
        made = await issue_ticket(resources, Caller(owner.id, "user", time.time() + 600))
        uses = (read_stream_caller(opening(f"ticket={made.ticket}"), resources) for _ in range(10))
        ends = await asyncio.gather(*uses, return_exceptions=True)

    assert sum(isinstance(end, Caller) for end in ends) == 1
    assert sum(isinstance(end, TicketNotValid) for end in ends) == 9


@pytest.mark.parametrize(
    "age",
    [
        b"UPDATE stream_tickets SET expires_at = now() - interval '1 second'",
        b"UPDATE stream_tickets SET token_expires_at = now() - interval '1 second'",
    ],
)
async def test_a_ticket_past_its_time_or_its_tokens_is_refused(
    app: FastAPI, owner: Owner, database: psycopg.Connection, age: bytes
) -> None:
    async with running(app) as resources:
        made = await issue_ticket(resources, Caller(owner.id, "user", time.time() + 600))
        database.execute(age)
        with pytest.raises(TicketNotValid):
            await read_stream_caller(opening(f"ticket={made.ticket}"), resources)

    assert database.execute("SELECT count(*) FROM stream_tickets").fetchone() == (0,)


async def test_a_ticket_ends_no_later_than_its_token(app: FastAPI, owner: Owner, database: psycopg.Connection) -> None:
    async with running(app) as resources:
        made = await issue_ticket(resources, Caller(owner.id, "user", time.time() + 5))

    assert made.expires_in <= 5
    row = database.execute("SELECT expires_at - now() FROM stream_tickets").fetchone()
    assert row is not None
    assert row[0] <= timedelta(seconds=5)


@pytest.mark.parametrize(
    "query", ["", "ticket=", "ticket=unknown", "ticket=%00", "ticket=%ff", "ticket={token}", "access_token={token}"]
)
async def test_what_is_no_ticket_opens_nothing_an_access_token_in_the_url_included(
    app: FastAPI, owner: Owner, query: str
) -> None:
    token = owner.headers["Authorization"].removeprefix("Bearer ")
    async with running(app) as resources:
        with pytest.raises(Unauthorized):
            await read_stream_caller(opening(query.format(token=token)), resources)


async def test_a_header_comes_before_a_ticket_which_stays_unused(app: FastAPI, owner: Owner) -> None:
    async with running(app) as resources:
        made = await issue_ticket(resources, Caller(owner.id, "user", time.time() + 600))
        query = f"ticket={made.ticket}"
        with pytest.raises(Unauthorized):
            await read_stream_caller(opening(query, authorization="Bearer wrong"), resources)
        good = await read_stream_caller(opening(query, authorization=owner.headers["Authorization"]), resources)

        assert good.user_id == owner.id
        assert (await read_stream_caller(opening(query), resources)).user_id == owner.id


def test_tickets_are_got_with_redis_away(settings: Settings, owner: Owner) -> None:

    away = settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})
    with TestClient(create_app(away)) as client:
        get_ticket(client, owner)


def test_a_log_line_never_shows_a_ticket() -> None:
    record = logging.makeLogRecord({"msg": 'GET "/v1/ws?a=1&ticket=abc-_DEF&b=2"'})

    assert RedactingFormatter("%(message)s").format(record) == 'GET "/v1/ws?a=1&ticket=***&b=2"'
