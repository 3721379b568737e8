"""What clients may send, what they get for what they may not, and when that ends the connection."""

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api import web_socket_limits
from shared.ids import new_id
from tests.conftest import Owner
from tests.integration.web_socket.conftest import JSON, talking, token_of

WRONG: list[tuple[str, str, str]] = [
    ("", "", "json_invalid"),
    ("{", "", "json_invalid"),
    ("[" * 30_000, "", "json_invalid"),
    ("null", "", "dict_type"),
    ("[]", "", "dict_type"),
    ("{}", "", "union_tag_not_found"),
    ('{"action": "dance"}', "", "union_tag_invalid"),
    ('{"action": ["ping"]}', "", "union_tag_invalid"),
    ('{"action": "ping", "more": 1}', "/more", "extra_forbidden"),
    ('{"action": "ping", "ping": 1}', "/ping", "extra_forbidden"),
    ('{"action": "subscribe", "jobs": "x"}', "/jobs", "list_type"),
    ('{"action": "subscribe", "jobs": ["x"]}', "/jobs/0", "uuid_parsing"),
    ('{"action": "subscribe", "jobs": [null]}', "/jobs/0", "uuid_type"),
    ('{"action": "subscribe", "tags": ["a", ""]}', "/tags/1", "string_too_short"),
    ('{"action": "subscribe", "tags": ["\\u0000"]}', "/tags/0", "string_pattern_mismatch"),
    ('{"action": "subscribe", "tags": {"a": 1}}', "/tags", "list_type"),
    ('{"action": "subscribe", "all": "yes"}', "/all", "bool_type"),
    ('{"action": "subscribe", "all": 1}', "/all", "bool_type"),
    ('{"action": "subscribe", "kinds": ["a"]}', "", "kinds_without_all"),
    ('{"action": "subscribe", "all": true, "kinds": ["\\u0000"]}', "/kinds/0", "string_pattern_mismatch"),
    ('{"action": "unsubscribe", "kinds": []}', "/kinds", "extra_forbidden"),
    ('{"action": "authenticate"}', "/token", "missing"),
    ('{"action": "authenticate", "token": 7}', "/token", "string_type"),
    ('{"action": "ping", "ref": 7}', "/ref", "string_type"),
    ('{"action": "ping", "ref": "\\ud800"}', "", "json_invalid"),
    (json.dumps({"action": "ping", "ref": "x" * 101}), "/ref", "string_too_long"),
    (json.dumps({"action": "subscribe", "jobs": [str(new_id())] * 1001}), "/jobs", "too_long"),
    (json.dumps({"action": "subscribe", "tags": ["x"] * 101}), "/tags", "too_long"),
]


@pytest.mark.parametrize(("text", "pointer", "code"), WRONG)
def test_what_is_no_message_is_answered_with_a_problem_and_the_connection_stays(
    client: TestClient, owner: Owner, text: str, pointer: str, code: str
) -> None:
    with talking(client, owner) as talk:
        talk.session.send_text(text)
        error = talk.receive()

        assert (error["event"], error["ref"]) == ("error", None)
        problem = error["data"]
        assert (problem["type"], problem["status"], problem["code"]) == ("about:blank", 422, "invalid_message")
        assert [(each["pointer"], each["code"]) for each in problem["errors"]] == [(pointer, code)]
        assert talk.ask(action="ping", ref="still here") == {"event": "pong", "ref": "still here"}


def test_a_binary_message_is_none(client: TestClient, owner: Owner) -> None:
    with talking(client, owner) as talk:
        talk.session.send_bytes(b'{"action": "ping"}')
        error = talk.receive()

        assert (error["event"], error["data"]["code"]) == ("error", "invalid_message")
        assert talk.ask(action="ping")["event"] == "pong"


def test_an_error_carries_the_ref_of_a_message_that_has_one(client: TestClient, owner: Owner) -> None:
    with talking(client, owner) as talk:
        assert talk.ask(action="dance", ref="7")["ref"] == "7"
        assert talk.ask(action="dance", ref=7)["ref"] is None


def errors(client: TestClient, owner: Owner, message: JSON, count: int) -> Any:
    with talking(client, owner) as talk:
        for _ in range(count):
            assert talk.ask(**message)["event"] == "error"
        return talk.end()


@pytest.mark.parametrize(
    "message", [{"action": "dance"}, {"action": "subscribe", "jobs": ["0198f3c2-7b1e-7d58-9d55-1d1f0a2f7a11"]}]
)
def test_ten_errors_in_a_row_end_it(client: TestClient, owner: Owner, message: JSON) -> None:
    assert errors(client, owner, message, 10) == ("too_many_errors", 1008)


def test_errors_between_good_messages_do_not_end_it(client: TestClient, owner: Owner) -> None:
    with talking(client, owner) as talk:
        for _ in range(20):
            assert talk.ask(action="dance")["event"] == "error"
            assert talk.ask(action="ping")["event"] == "pong"


def test_a_flood_of_messages_ends_it(client: TestClient, owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_socket_limits, "MESSAGES_PER_SECOND", 0.001)
    with talking(client, owner) as talk:
        for _ in range(50):
            assert talk.ask(action="ping")["event"] == "pong"
        talk.send(action="ping")
        assert talk.end() == ("too_many_messages", 1008)


def test_a_token_can_be_renewed_but_not_by_another_user(client: TestClient, owner: Owner, stranger: Owner) -> None:
    with talking(client, owner) as talk:
        assert talk.ask(action="authenticate", token=token_of(owner), ref="r")["event"] == "ready"
        other = talk.ask(action="authenticate", token=token_of(stranger), ref="o")
        assert (other["ref"], other["data"]["status"], other["data"]["code"]) == ("o", 403, "forbidden")
        wrong = talk.ask(action="authenticate", token="wrong")
        assert (wrong["data"]["status"], wrong["data"]["code"]) == (401, "unauthorized")
        assert talk.ask(action="ping")["event"] == "pong"
