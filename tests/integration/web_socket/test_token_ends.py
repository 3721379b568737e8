"""A connection ends with the token that it was opened by, unless a newer one of the same user has come."""

from datetime import UTC, datetime

import psycopg
from fastapi.testclient import TestClient

from tests.conftest import Owner
from tests.integration.web_socket.conftest import JSON, PATH, Talk, talking, token_of

SHORTENED = "UPDATE stream_tickets SET token_expires_at = clock_timestamp() + interval '0.6 seconds'"


def ticket_of_a_token_that_ends_soon(client: TestClient, owner: Owner, database: psycopg.Connection) -> str:
    ticket = client.post("/v1/stream-tickets", headers=owner.headers).json()["ticket"]
    database.execute(SHORTENED)
    return f"{PATH}?ticket={ticket}"


def ready(talk: Talk) -> datetime:
    message: JSON = talk.receive()
    assert message["event"] == "ready"
    return datetime.fromisoformat(message["expires_at"])


def test_it_ends_with_its_token(client: TestClient, owner: Owner, database: psycopg.Connection) -> None:
    with talking(client, None, ticket_of_a_token_that_ends_soon(client, owner, database)) as talk:
        ends_at = ready(talk)

        assert talk.end() == ("token_expired", 4401)
        assert datetime.now(UTC) >= ends_at


def test_it_goes_on_with_a_newer_token(client: TestClient, owner: Owner, database: psycopg.Connection) -> None:
    with talking(client, None, ticket_of_a_token_that_ends_soon(client, owner, database)) as talk:
        old_end = ready(talk)
        talk.send(action="authenticate", token=token_of(owner))
        assert ready(talk) > old_end

        database.execute("SELECT pg_sleep(greatest(0, extract(epoch FROM %s - clock_timestamp()) + 0.2))", (old_end,))
        assert talk.ask(action="ping")["event"] == "pong"
