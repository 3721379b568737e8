"""Webhooks' endpoints over HTTP: registered, listed, changed, deleted, and nobody else's business."""

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from fastapi.testclient import TestClient

from shared.events import EVENT_TYPES
from tests.conftest import Owner

PATH = "/v1/webhooks"
URL = "https://app.example.com/hooks?from=jobyard"
RIVALS = 8
MOST = 20
JSON = dict[str, Any]


def register(client: TestClient, owner: Owner, headers: dict[str, str] | None = None, **body: Any) -> Any:
    return client.post(PATH, json={"url": URL} | body, headers=owner.headers | (headers or {}))


def shown(client: TestClient, owner: Owner, webhook: JSON) -> JSON:
    answer = client.get(webhook["links"]["self"], headers=owner.headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def change(client: TestClient, owner: Owner, webhook: JSON, **body: Any) -> Any:
    return client.patch(webhook["links"]["self"], json=body, headers=owner.headers)


def errors(answer: Any) -> list[tuple[str, str]]:
    assert answer.status_code == 422, answer.text
    return [(each["pointer"], each["code"]) for each in answer.json()["errors"]]


def wear_out(database: psycopg.Connection, webhook: JSON, reason: str = "failing") -> None:
    """Leave an endpoint as failures do."""
    database.execute(
        "UPDATE webhook_endpoints SET failures = 9, resting_until = now() + interval '1 hour', disabled_at = now(),"
        " disabled_reason = %s WHERE id = %s",
        (reason, webhook["id"]),
    )


def test_registered_read_listed_deleted(client: TestClient, owner: Owner) -> None:
    before = datetime.now(UTC)
    made = register(client, owner, events=["job.failed", "job.*"], description="Tells the shop \U0001f600")
    assert made.status_code == 201, made.text
    first = made.json()
    path = f"{PATH}/{first['id']}"
    assert (made.headers["location"], made.headers["cache-control"]) == (path, "no-store")
    secret = first.pop("secret")
    assert secret.startswith("whsec_")
    assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32
    assert abs(datetime.fromisoformat(first["created_at"]) - before) < timedelta(minutes=1)
    assert first == {
        "id": first["id"],
        "url": URL,
        "events": ["job.failed", "job.*"],
        "description": "Tells the shop \U0001f600",
        "disabled": False,
        "disabled_reason": None,
        "disabled_at": None,
        "failures": 0,
        "failing_since": None,
        "resting_until": None,
        "secret_rotates_until": None,
        "created_at": first["created_at"],
        "links": {
            "self": path,
            "secret": f"{path}/secret",
            "rotate_secret": f"{path}/rotate-secret",
            "test": f"{path}/test",
            "deliveries": f"{path}/deliveries",
            "replay_failed": f"{path}/replay-failed",
        },
    }
    assert shown(client, owner, first) == first
    assert client.get(PATH, headers=owner.headers).json() == {"items": [first], "next_cursor": None}

    assert client.delete(path, headers=owner.headers).status_code == 204
    gone = client.get(path, headers=owner.headers)
    assert (gone.status_code, gone.json()["code"]) == (404, "webhook_not_found")
    assert client.get(PATH, headers=owner.headers).json()["items"] == []


def test_the_defaults_are_all_events_and_no_description(client: TestClient, owner: Owner) -> None:
    made = register(client, owner).json()
    assert (made["events"], made["description"]) == (["*"], None)


def test_a_filter_that_is_given_twice_counts_once(client: TestClient, owner: Owner) -> None:
    assert register(client, owner, events=["job.*", "*", "job.*"]).json()["events"] == ["job.*", "*"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"url": "http://app.example.com/"}, ("/url", "webhook_url_not_allowed")),
        ({"url": "https://10.0.0.1/"}, ("/url", "webhook_url_not_allowed")),
        ({"url": "https://[::ffff:169.254.169.254]/"}, ("/url", "webhook_url_not_allowed")),
        ({"url": "https://me:secret@app.example.com/"}, ("/url", "webhook_url_not_allowed")),
        ({"url": "https://app.example.com/\0"}, ("/url", "webhook_url_not_allowed")),
        ({"url": "https://app.example.com/\ud800"}, ("/url", "string_unicode")),
        ({"url": "app.example.com"}, ("/url", "webhook_url_not_allowed")),
        ({"url": f"https://app.example.com/{'x' * 2048}"}, ("/url", "string_too_long")),
        ({"url": ""}, ("/url", "string_too_short")),
        ({"url": None}, ("/url", "string_type")),
        ({"url": 7}, ("/url", "string_type")),
        ({"events": []}, ("/events", "too_short")),
        ({"events": ["*"] * 51}, ("/events", "too_long")),
        ({"events": "job.*"}, ("/events", "list_type")),
        ({"events": None}, ("/events", "list_type")),
        ({"events": ["job.succeeded", "job.exploded"]}, ("/events/1", "unknown_event")),
        ({"events": ["job*"]}, ("/events/0", "unknown_event")),
        ({"events": ["job.*\0"]}, ("/events/0", "unknown_event")),
        ({"events": ["%"]}, ("/events/0", "unknown_event")),
        ({"events": [{}]}, ("/events/0", "string_type")),
        ({"description": "a\0"}, ("/description", "unstorable_text")),
        ({"description": ""}, ("/description", "string_too_short")),
        ({"description": "x" * 501}, ("/description", "string_too_long")),
        ({"secret": "whsec_mine"}, ("/secret", "extra_forbidden")),
        ({"disabled": True}, ("/disabled", "extra_forbidden")),
    ],
)
def test_what_is_wrong_is_named(client: TestClient, owner: Owner, body: JSON, expected: tuple[str, str]) -> None:
    assert errors(_sent(client, owner, body)) == [expected]
    assert client.get(PATH, headers=owner.headers).json()["items"] == []


def _sent(client: TestClient, owner: Owner, body: JSON) -> Any:
    # A lone surrogate is no UTF-8; escaped, it gets as far as the check.
    content = json.dumps({"url": URL} | body)
    return client.post(PATH, content=content, headers=owner.headers | {"Content-Type": "application/json"})


def test_an_unknown_event_is_answered_with_the_known_ones(client: TestClient, owner: Owner) -> None:
    answer = register(client, owner, events=["job.exploded"])
    [error] = answer.json()["errors"]
    assert {"*", "job.*", *EVENT_TYPES} <= set(error["detail"].removeprefix("Should be one of ").split(", "))


def test_a_list_is_paged_newest_first(client: TestClient, owner: Owner) -> None:
    ids = [register(client, owner).json()["id"] for _ in range(5)]
    found: list[str] = []
    query: dict[str, str] = {"limit": "2"}
    while True:
        page = client.get(PATH, params=query, headers=owner.headers).json()
        found += [each["id"] for each in page["items"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert found == ids[::-1]
    bad = client.get(PATH, params={"cursor": "x"}, headers=owner.headers)
    assert (bad.status_code, bad.json()["code"]) == (422, "invalid_cursor")


def test_rivals_for_the_last_place_do_not_get_past_the_limit(client: TestClient, owner: Owner) -> None:
    for _ in range(MOST - 1):
        assert register(client, owner).status_code == 201
    at_once = Barrier(RIVALS)

    def send(_: int) -> Any:
        at_once.wait()
        return register(client, owner)

    with ThreadPoolExecutor(RIVALS) as threads:
        answers = list(threads.map(send, range(RIVALS)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * (RIVALS - 1)
    refused = next(answer for answer in answers if answer.status_code == 409)
    assert refused.json()["code"] == "too_many_webhooks"


def test_a_key_registers_once(client: TestClient, owner: Owner) -> None:
    first, again = (register(client, owner, {"Idempotency-Key": "one"}) for _ in range(2))
    assert (again.status_code, again.json(), again.headers["idempotency-replayed"]) == (201, first.json(), "true")
    assert again.headers["location"] == first.headers["location"]
    other = register(client, owner, {"Idempotency-Key": "one"}, description="another")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert len(client.get(PATH, headers=owner.headers).json()["items"]) == 1


def test_only_what_is_named_changes(client: TestClient, owner: Owner) -> None:
    made = register(client, owner, description="d", events=["job.failed"]).json()
    del made["secret"]
    url = "https://other.example.com/"
    assert change(client, owner, made, url=url).json() == made | {"url": url}
    assert change(client, owner, made, events=["*"]).json() == made | {"url": url, "events": ["*"]}
    assert change(client, owner, made, description=None).json() == made | {
        "url": url, "events": ["*"], "description": None,
    }  # fmt: skip
    assert shown(client, owner, made) == made | {"url": url, "events": ["*"], "description": None}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, ("", "nothing_to_change")),
        ({"url": "https://127.0.0.1/"}, ("/url", "webhook_url_not_allowed")),
        ({"url": None}, ("/url", "string_type")),
        ({"events": None}, ("/events", "list_type")),
        ({"events": ["x"]}, ("/events/0", "unknown_event")),
        ({"disabled": None}, ("/disabled", "bool_type")),
        ({"disabled": "true"}, ("/disabled", "bool_type")),
        ({"failures": 0}, ("/failures", "extra_forbidden")),
    ],
)
def test_a_wrong_change_changes_nothing(
    client: TestClient, owner: Owner, body: JSON, expected: tuple[str, str]
) -> None:
    made = register(client, owner).json()
    del made["secret"]
    assert errors(change(client, owner, made, **body)) == [expected]
    assert shown(client, owner, made) == made


def test_disabled_by_hand_and_enabled_again(client: TestClient, owner: Owner) -> None:
    made = register(client, owner).json()
    off = change(client, owner, made, disabled=True).json()
    assert (off["disabled"], off["disabled_reason"]) == (True, "manual")
    assert change(client, owner, made, disabled=True).json() == off
    on = change(client, owner, made, disabled=False).json()
    assert on | {"secret": made["secret"]} == made


@pytest.mark.parametrize("reason", ["gone", "failing"])
def test_enabling_forgets_why_it_was_disabled(
    client: TestClient, owner: Owner, database: psycopg.Connection, reason: str
) -> None:
    made = register(client, owner).json()
    wear_out(database, made, reason)
    worn = shown(client, owner, made)
    assert (worn["disabled"], worn["disabled_reason"], worn["failures"]) == (True, reason, 9)
    assert worn["resting_until"] is not None
    assert change(client, owner, made, disabled=True).json() == worn
    assert change(client, owner, made, disabled=False).json() | {"secret": made["secret"]} == made


def test_another_url_has_not_failed_yet(client: TestClient, owner: Owner, database: psycopg.Connection) -> None:
    made = register(client, owner).json()
    wear_out(database, made)
    same = change(client, owner, made, url=URL).json()
    assert (same["failures"], same["disabled"]) == (9, True)
    moved = change(client, owner, made, url="https://new.example.com/").json()
    assert (moved["failures"], moved["resting_until"], moved["disabled"]) == (0, None, True)


def test_a_rest_that_is_over_is_not_shown(client: TestClient, owner: Owner, database: psycopg.Connection) -> None:
    made = register(client, owner).json()
    database.execute("UPDATE webhook_endpoints SET resting_until = now() - interval '1 second'")
    assert shown(client, owner, made)["resting_until"] is None


def test_deleting_ends_what_is_on_its_way(client: TestClient, owner: Owner, database: psycopg.Connection) -> None:
    made = register(client, owner).json()
    sent = client.post(made["links"]["test"], headers=owner.headers).json()
    assert client.delete(made["links"]["self"], headers=owner.headers).status_code == 204
    job = client.get(sent["links"]["job"], headers=owner.headers).json()
    assert (job["state"], job["kind"]) == ("cancelled", "webhook.deliver")
    assert database.execute("SELECT count(*) FROM webhook_deliveries").fetchone() == (0,)


def test_a_webhook_is_its_owners(client: TestClient, owner: Owner, stranger: Owner) -> None:
    made = register(client, owner).json()
    path, delivery = made["links"]["self"], uuid4()
    requests: list[tuple[str, str, JSON | None]] = [
        ("GET", path, None),
        ("PATCH", path, {"disabled": True}),
        ("DELETE", path, None),
        ("GET", f"{path}/secret", None),
        ("POST", f"{path}/rotate-secret", {}),
        ("POST", f"{path}/test", None),
        ("GET", f"{path}/deliveries", None),
        ("GET", f"{path}/deliveries/{delivery}", None),
        ("POST", f"{path}/deliveries/{delivery}/replay", None),
        ("POST", f"{path}/replay-failed", {"since": "2026-11-24T12:00:00Z"}),
    ]
    for method, asked, body in requests:
        answer = client.request(method, asked, json=body, headers=stranger.headers)
        assert (answer.status_code, answer.json()["code"]) == (404, "webhook_not_found"), (method, asked)
        assert client.request(method, asked, json=body).status_code == 401
    assert client.get(PATH, headers=stranger.headers).json()["items"] == []
    assert client.get(PATH).status_code == client.post(PATH, json={"url": URL}).status_code == 401
    assert shown(client, owner, made) | {"secret": made["secret"]} == made


@pytest.mark.parametrize("name", ["x", "for-job", "0198f2a5", "%00", "0198f2a53d4e7f608b1a2c3d4e5f6071"])
def test_a_path_names_an_id_or_that_of_jobs(client: TestClient, owner: Owner, name: str) -> None:
    answer = client.get(f"{PATH}/{name}", headers=owner.headers)
    assert errors(answer) == [("path/webhook_id", "string_pattern_mismatch")]
