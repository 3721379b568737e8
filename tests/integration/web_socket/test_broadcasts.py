"""What an operator tells everybody: accepted as other POSTs are, told once on every connection of every user."""

from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from shared.settings import Settings
from tests.conftest import Owner
from tests.integration.web_socket.conftest import talking

PATH = "/v1/admin/broadcast"


def send(client: TestClient, operator: Owner, message: str, **headers: str) -> Any:
    answer = client.post(PATH, json={"message": message}, headers=operator.headers | headers)
    assert answer.status_code == 202
    return answer.json()


@pytest.mark.parametrize("redis", ["there", "away"])
def test_every_connection_of_everybody_gets_it_once(
    settings: Settings, owner: Owner, stranger: Owner, operator: Owner, redis: str
) -> None:
    url = settings.redis_url if redis == "there" else "redis://127.0.0.1:1/0"
    with (
        TestClient(create_app(settings.model_copy(update={"redis_url": url}))) as client,
        talking(client, owner) as one,
        talking(client, owner) as two,
        talking(client, stranger) as other,
    ):
        first = send(client, operator, "one")
        second = send(client, operator, "two")
        for talk in (one, two, other):
            assert [talk.receive() for _ in range(2)] == [
                {"event": "broadcast", "data": first},
                {"event": "broadcast", "data": second},
            ]
            assert talk.ask(action="ping")["event"] == "pong"


@pytest.mark.parametrize("redis", ["there", "away"])
def test_another_process_gets_it_with_redis_and_without(
    settings: Settings, owner: Owner, operator: Owner, redis: str
) -> None:
    url = settings.redis_url if redis == "there" else "redis://127.0.0.1:1/0"
    with (
        TestClient(create_app(settings)) as one,
        TestClient(create_app(settings.model_copy(update={"redis_url": url}))) as two,
        talking(two, owner) as talk,
    ):
        sent = [send(one, operator, str(number)) for number in range(3)]
        assert [talk.receive()["data"] for _ in range(3)] == sent
        assert talk.ask(action="ping")["event"] == "pong"


def test_who_has_not_said_who_it_is_hears_nothing(client: TestClient, owner: Owner, operator: Owner) -> None:
    with talking(client, owner) as known, talking(client, None) as unknown:
        send(client, operator, "to those who are known")
        assert known.receive()["event"] == "broadcast"
        assert unknown.ask(action="ping")["event"] == "error"


def test_a_repeated_request_tells_it_once(client: TestClient, owner: Owner, operator: Owner) -> None:
    with talking(client, owner) as talk:
        first = send(client, operator, "once", **{"Idempotency-Key": "k"})
        assert send(client, operator, "once", **{"Idempotency-Key": "k"}) == first
        last = send(client, operator, "last")
        assert [talk.receive()["data"] for _ in range(2)] == [first, last]
        other = client.post(PATH, json={"message": "x"}, headers=operator.headers | {"Idempotency-Key": "k"})
        assert other.json()["code"] == "idempotency_key_reused"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"message": ""}, 422),
        ({"message": "x" * 1001}, 422),
        ({"message": 7}, 422),
        ({"message": "\x00"}, 422),
        ({"message": "x", "to": "all"}, 422),
        ({"message": "x" * 1000}, 202),
    ],
)
def test_a_message_has_1_to_1000_characters(
    client: TestClient, operator: Owner, body: dict[str, Any], status: int
) -> None:
    assert client.post(PATH, json=body, headers=operator.headers).status_code == status


def test_only_operators_may(client: TestClient, owner: Owner, database: psycopg.Connection) -> None:
    assert client.post(PATH, json={"message": "x"}).status_code == 401
    assert client.post(PATH, json={"message": "x"}, headers=owner.headers).status_code == 403
    assert database.execute("SELECT count(*) FROM broadcasts").fetchone() == (0,)


def test_the_token_of_an_operator_who_is_gone_tells_nothing(
    client: TestClient, operator: Owner, database: psycopg.Connection
) -> None:
    database.execute("DELETE FROM users WHERE id = %s", (operator.id,))

    assert client.post(PATH, json={"message": "x"}, headers=operator.headers).status_code == 401
