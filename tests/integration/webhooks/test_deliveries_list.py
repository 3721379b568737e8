"""The log of deliveries over HTTP: filtered, paged, and each with what is sent."""

from typing import Any
from uuid import uuid4

import psycopg
import pytest
from fastapi.testclient import TestClient

from tests.conftest import Owner
from tests.integration.webhooks.delivery_log import BODY, URL, log_delivery

JSON = dict[str, Any]


@pytest.fixture
def webhook(client: TestClient, owner: Owner) -> JSON:
    return client.post("/v1/webhooks", json={"url": URL}, headers=owner.headers).json()


def ids(client: TestClient, owner: Owner, webhook: JSON, **query: Any) -> list[str]:
    """List every page, two deliveries at a time."""
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        answer = client.get(
            webhook["links"]["deliveries"], params={"limit": "2"} | query | cursor, headers=owner.headers
        )
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += [each["id"] for each in page["items"]]
        if page["next_cursor"] is None:
            return found
        cursor = {"cursor": page["next_cursor"]}


def test_a_delivery_tells_how_it_went(
    client: TestClient, owner: Owner, database: psycopg.Connection, webhook: JSON
) -> None:
    event, subject, old = uuid4(), uuid4(), uuid4()
    moment = "2026-11-24T12:00:00Z"
    made = log_delivery(
        database, webhook["id"], event_id=event, subject_id=subject, state="failed", attempts=2, response_status=503,
        response_body="Back soon", error="unavailable", last_attempt_at=moment, replay_of=old,
        created_at=moment,
    )  # fmt: skip
    path = f"{webhook['links']['deliveries']}/{made}"
    [listed] = client.get(webhook["links"]["deliveries"], headers=owner.headers).json()["items"]
    assert listed == {
        "id": str(made),
        "event": "job.failed",
        "event_id": str(event),
        "subject_id": str(subject),
        "version": 3,
        "url": URL,
        "state": "failed",
        "attempts": 2,
        "response_status": 503,
        "response_body": "Back soon",
        "error": "unavailable",
        "last_attempt_at": moment,
        "next_attempt_at": None,
        "delivered_at": None,
        "replay_of": str(old),
        "job_id": None,
        "created_at": moment,
        "links": {"self": path, "replay": f"{path}/replay", "webhook": webhook["links"]["self"], "job": None},
    }
    assert client.get(path, headers=owner.headers).json() == listed | {"body": BODY}


def test_a_list_is_filtered_and_paged(
    client: TestClient, owner: Owner, database: psycopg.Connection, webhook: JSON
) -> None:
    subject = uuid4()
    # All of one moment, so that the id alone keeps them apart.
    given: list[JSON] = [
        {"state": "failed"}, {"state": "delivered", "subject_id": subject}, {"event": "job.succeeded"},
        {"state": "failed", "event": "job.succeeded"}, {"state": "cancelled", "subject_id": subject},
    ]  # fmt: skip
    made = [str(log_delivery(database, webhook["id"], created_at="2026-11-24T12:00:00Z", **each)) for each in given]
    newest = sorted(made, reverse=True)

    def expect(*places: int) -> list[str]:
        return [each for each in newest if each in {made[place] for place in places}]

    assert ids(client, owner, webhook) == newest
    assert ids(client, owner, webhook, state="failed") == expect(0, 3)
    assert ids(client, owner, webhook, state=["failed", "pending"]) == expect(0, 2, 3)
    assert ids(client, owner, webhook, event="job.succeeded") == expect(2, 3)
    assert ids(client, owner, webhook, event=["job.succeeded", "job.failed"], state="failed") == expect(0, 3)
    assert ids(client, owner, webhook, subject_id=str(subject)) == expect(1, 4)
    assert ids(client, owner, webhook, event="job.exploded") == []


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"state": "lost"}, "invalid_input"),
        ({"subject_id": "x"}, "invalid_input"),
        ({"limit": "0"}, "invalid_input"),
        ({"limit": "101"}, "invalid_input"),
        ({"cursor": "x"}, "invalid_cursor"),
        ({"event": "\0"}, "unstorable_text"),
        ({"event": "x" * 101}, "invalid_input"),
    ],
)
def test_a_wrong_question_is_named(
    client: TestClient, owner: Owner, webhook: JSON, query: dict[str, str], code: str
) -> None:
    answer = client.get(webhook["links"]["deliveries"], params=query, headers=owner.headers)
    assert (answer.status_code, answer.json()["code"]) == (422, code)


def test_a_delivery_is_its_webhooks(
    client: TestClient, owner: Owner, stranger: Owner, database: psycopg.Connection, webhook: JSON
) -> None:
    other = client.post("/v1/webhooks", json={"url": URL}, headers=owner.headers).json()
    made = log_delivery(database, webhook["id"])
    for name in (
        f"{other['id']}/deliveries/{made}",
        f"for-jobs/deliveries/{made}",
        f"{webhook['id']}/deliveries/{uuid4()}",
    ):
        for method, path in (("GET", name), ("POST", f"{name}/replay")):
            answer = client.request(method, f"/v1/webhooks/{path}", headers=owner.headers)
            assert (answer.status_code, answer.json()["code"]) == (404, "delivery_not_found")
    own = f"{webhook['links']['deliveries']}/{made}"
    assert client.get(own, headers=stranger.headers).json()["code"] == "webhook_not_found"
    wrong = client.get(f"{webhook['links']['deliveries']}/x", headers=owner.headers)
    assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "path/delivery_id")
