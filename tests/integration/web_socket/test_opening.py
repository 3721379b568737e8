"""Who may open `/v1/ws`: by a token in a header or the first message, or by a ticket, from pages that may."""

from datetime import UTC, datetime

import pytest
from fastapi.testclient import TestClient
from starlette.testclient import WebSocketDenialResponse

from api import unauthenticated, web_socket
from api.app import create_app
from shared.settings import Settings
from tests.conftest import Owner
from tests.integration.web_socket.conftest import PATH, talking, token_of

HOST = "testserver"


def refusal(client: TestClient, path: str = PATH, **headers: str) -> tuple[int, str, str]:
    with pytest.raises(WebSocketDenialResponse) as refused, client.websocket_connect(path, headers=headers):
        pass
    answer = refused.value
    return answer.status_code, answer.headers["content-type"], answer.json()["code"]


PROBLEM = "application/problem+json"


def test_by_a_header(client: TestClient, owner: Owner) -> None:
    with client.websocket_connect(PATH, headers=owner.headers) as session:
        ready = session.receive_json()

    assert (ready["event"], ready["ref"]) == ("ready", None)
    left = datetime.fromisoformat(ready["expires_at"]) - datetime.now(UTC)
    assert 0 < left.total_seconds() <= 15 * 60


def test_by_a_ticket_once(client: TestClient, owner: Owner) -> None:
    ticket = client.post("/v1/stream-tickets", headers=owner.headers).json()["ticket"]

    with client.websocket_connect(f"{PATH}?ticket={ticket}") as session:
        assert session.receive_json()["event"] == "ready"
    assert refusal(client, f"{PATH}?ticket={ticket}") == (401, PROBLEM, "unauthorized")


def test_by_the_first_message(client: TestClient, owner: Owner) -> None:
    with talking(client, None) as talk:
        ready = talk.ask(action="authenticate", token=token_of(owner), ref="me")

        assert (ready["event"], ready["ref"]) == ("ready", "me")
        assert talk.ask(action="ping")["event"] == "pong"


@pytest.mark.parametrize("message", [{"action": "ping"}, {"action": "authenticate", "token": "wrong"}, {"action": "?"}])
def test_a_first_message_that_says_nothing_of_who_it_is_ends_it(client: TestClient, message: dict[str, str]) -> None:
    with talking(client, None) as talk:
        error = talk.ask(**message, ref="1")

        assert (error["event"], error["ref"]) == ("error", "1")
        assert error["data"]["status"] in {401, 422}
        assert talk.end() == ("not_authenticated", 4401)


def test_who_never_says_who_it_is_is_closed(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_socket, "AUTHENTICATION_SECONDS", 0.05)

    with talking(client, None) as talk:
        assert talk.end() == ("not_authenticated", 4401)


def test_only_so_many_may_be_there_without_saying_who(
    client: TestClient, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unauthenticated, "MOST_UNAUTHENTICATED", 1)

    with talking(client, None) as talk:
        assert refusal(client) == (503, PROBLEM, "too_many_connections")
        with talking(client, owner):
            pass
        talk.ask(action="authenticate", token=token_of(owner))
        with talking(client, None):
            pass


@pytest.mark.parametrize("credentials", ["Bearer wrong", "Basic dTpw", "", "Bearer"])
def test_a_header_that_is_not_good_is_refused(client: TestClient, credentials: str) -> None:
    assert refusal(client, authorization=credentials) == (401, PROBLEM, "unauthorized")


def test_an_access_token_in_the_url_is_refused(client: TestClient, owner: Owner) -> None:
    assert refusal(client, f"{PATH}?ticket={token_of(owner)}") == (401, PROBLEM, "unauthorized")


@pytest.mark.parametrize(
    ("origin", "host", "allowed"),
    [
        ("http://testserver", HOST, True),
        ("https://testserver", HOST, True),
        ("http://testserver:80", HOST, True),
        ("https://TESTSERVER:443", HOST, True),
        ("http://testserver:8000", "testserver:8000", True),
        ("https://jobs.example.com", HOST, True),
        ("https://app.example.com", HOST, True),
        ("http://testserver:8000", HOST, False),
        ("http://app.example.com", HOST, False),
        ("https://app.example.com:8443", HOST, False),
        ("https://evil.example", HOST, False),
        ("https://testserver.evil.example", HOST, False),
        ("https://jobs.example.com.evil.example", HOST, False),
        ("null", HOST, False),
        ("", HOST, False),
        ("https://", HOST, False),
        ("http://testserver:x", HOST, False),
        ("file://testserver", HOST, False),
    ],
)
def test_only_pages_of_the_service_and_of_named_origins_may_open_it(
    settings: Settings, owner: Owner, origin: str, host: str, *, allowed: bool
) -> None:
    more = {"public_url": "https://jobs.example.com", "cors_origins": ["https://app.example.com"]}
    with TestClient(create_app(settings.model_copy(update=more))) as client:
        if allowed:
            with talking(client, owner, origin=origin, host=host):
                pass
        else:
            found = refusal(client, origin=origin, host=host, authorization=owner.headers["Authorization"])
            assert found == (403, PROBLEM, "origin_not_allowed")


def test_any_page_may_where_all_origins_are_named(settings: Settings, owner: Owner) -> None:
    with (
        TestClient(create_app(settings.model_copy(update={"cors_origins": ["*"]}))) as client,
        talking(client, owner, origin="https://anywhere.example"),
    ):
        pass


def test_an_owner_has_only_so_many_open(settings: Settings, owner: Owner, stranger: Owner) -> None:
    with (
        TestClient(create_app(settings.model_copy(update={"streams_per_owner": 1}))) as client,
        talking(client, owner),
    ):
        headers = {"authorization": owner.headers["Authorization"]}
        assert refusal(client, **headers) == (429, PROBLEM, "too_many_streams")
        with talking(client, stranger):
            pass
        with talking(client, None) as talk:
            error = talk.ask(action="authenticate", token=token_of(owner))
            assert (error["event"], error["data"]["code"]) == ("error", "too_many_streams")
            assert talk.end() == ("too_many_streams", 4429)
