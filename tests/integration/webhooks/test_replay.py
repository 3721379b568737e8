"""Sending to a webhook by hand: deliveries again, and what a real receiver then gets."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from fastapi.testclient import TestClient
from standardwebhooks import Webhook

from api.app import create_app
from tests.conftest import Owner
from tests.integration.webhooks.conftest import Desk
from tests.integration.webhooks.delivery_log import BODY, URL, log_delivery
from tests.webhook_receiver import WebhookReceiver, answer

SINCE = {"since": "2026-11-24T12:00:00Z"}
BEFORE, AT, LATER = "2026-11-24T11:59:59Z", "2026-11-24T12:00:00Z", "2026-11-24T13:00:00Z"
RIVALS = 4
JSON = dict[str, Any]


@pytest.fixture
def webhook(client: TestClient, owner: Owner) -> JSON:
    return client.post("/v1/webhooks", json={"url": URL}, headers=owner.headers).json()


def ask(client: TestClient, owner: Owner, path: str, body: JSON | None = None, key: str | None = None) -> Any:
    keyed = {} if key is None else {"Idempotency-Key": key}
    return client.post(path, json=body, headers=owner.headers | keyed)


def replay(client: TestClient, owner: Owner, webhook: JSON, delivery_id: UUID, key: str | None = None) -> Any:
    return ask(client, owner, f"{webhook['links']['deliveries']}/{delivery_id}/replay", key=key)


def replay_failed(client: TestClient, owner: Owner, webhook: JSON) -> JSON:
    answered = ask(client, owner, webhook["links"]["replay_failed"], SINCE)
    assert answered.status_code == 202, answered.text
    return answered.json()


def replays(database: psycopg.Connection) -> list[UUID]:
    """Read which deliveries were sent again, in the order in which their jobs go."""
    rows = database.execute(
        "SELECT replay_of FROM webhook_deliveries JOIN jobs ON jobs.id = job_id WHERE replay_of IS NOT NULL"
        " ORDER BY jobs.run_at, jobs.id"
    )
    return [replay_of for (replay_of,) in rows]


def test_a_replay_is_a_delivery_of_its_own_with_the_same_event(
    client: TestClient, owner: Owner, database: psycopg.Connection, webhook: JSON
) -> None:
    old = log_delivery(database, webhook["id"], state="delivered", url="https://old.example.com/", attempts=3)
    before = client.get(f"{webhook['links']['deliveries']}/{old}", headers=owner.headers).json()
    answered = replay(client, owner, webhook, old)
    assert answered.status_code == 202, answered.text
    new = answered.json()
    path = f"{webhook['links']['deliveries']}/{new['id']}"
    assert answered.headers["location"] == new["links"]["self"] == path
    del before["body"]
    assert new == before | {
        "id": new["id"], "state": "pending", "attempts": 0, "replay_of": str(old), "url": URL,
        "job_id": new["job_id"], "created_at": new["created_at"], "links": new["links"],
    }  # fmt: skip
    assert new["id"] != str(old)
    assert client.get(path, headers=owner.headers).json() == new | {"body": BODY}
    job = client.get(new["links"]["job"], headers=owner.headers).json()
    assert (job["kind"], job["state"], job["input"]) == ("webhook.deliver", "queued", {"delivery_id": new["id"]})


def test_a_replay_of_a_job_s_webhook_goes_where_it_went(
    client: TestClient, owner: Owner, database: psycopg.Connection
) -> None:
    for_jobs = client.get("/v1/webhooks/for-jobs", headers=owner.headers).json()
    old = log_delivery(database, for_jobs["id"], state="failed", url="https://one.example.com/")
    new = replay(client, owner, for_jobs, old).json()
    assert (new["url"], new["links"]["webhook"]) == ("https://one.example.com/", "/v1/webhooks/for-jobs")


def test_a_pending_delivery_is_tried_at_once_as_it_is(
    desk: Desk, client: TestClient, receiver: WebhookReceiver
) -> None:
    receiver.script = answer(503)
    delivery = desk.deliver_one(receiver)
    assert delivery["state"] == "pending"
    desk.database.execute("UPDATE webhook_endpoints SET resting_until = now() + interval '1 hour'")
    receiver.script = answer(200)
    path = f"/v1/webhooks/{delivery['endpoint_id']}/deliveries/{delivery['id']}"
    for _ in range(2):
        answered = ask(client, desk.owner, f"{path}/replay")
        assert (answered.status_code, answered.headers["location"]) == (202, path), answered.text
        assert (answered.json()["id"], answered.json()["replay_of"]) == (str(delivery["id"]), None)
    desk.work()
    first, second = receiver.wait(2)
    assert first.webhook_id == second.webhook_id
    assert desk.delivery()["state"] == "delivered"


def test_what_is_pending_goes_where_its_webhook_has_moved(desk: Desk, receiver: WebhookReceiver) -> None:
    receiver.script = answer(500)
    delivery = desk.deliver_one(receiver)
    path = f"/v1/webhooks/{delivery['endpoint_id']}"
    with WebhookReceiver() as other, TestClient(create_app(desk.settings)) as client:
        moved = client.patch(path, json={"url": other.url()}, headers=desk.owner.headers)
        assert moved.status_code == 200, moved.text
        ask(client, desk.owner, f"{path}/deliveries/{delivery['id']}/replay")
        desk.work()
        assert other.wait(1)[0].webhook_id == str(delivery["id"])
    assert len(receiver.received) == 1
    assert (desk.delivery()["state"], desk.delivery()["url"]) == ("delivered", moved.json()["url"])


def test_the_receiver_gets_a_replay_under_a_new_id(desk: Desk, client: TestClient, receiver: WebhookReceiver) -> None:
    delivery = desk.deliver_one(receiver)
    path = f"/v1/webhooks/{delivery['endpoint_id']}/deliveries/{delivery['id']}/replay"
    new = ask(client, desk.owner, path).json()
    desk.work()
    first, second = receiver.wait(2)
    assert (first.webhook_id, second.webhook_id) == (str(delivery["id"]), new["id"])
    assert first.body == second.body
    [endpoint] = desk.rows("webhook_endpoints")
    Webhook(endpoint["secret"]).verify(second.body, second.headers)


def test_a_replay_of_what_is_older_than_the_newest_goes_all_the_same(
    desk: Desk, client: TestClient, receiver: WebhookReceiver
) -> None:
    desk.endpoint(receiver.url(), "job.*")
    desk.run(desk.enqueue())
    desk.tell()
    oldest = desk.rows()[0]
    assert [row["state"] for row in desk.rows()] == ["delivered"] * 3
    ask(client, desk.owner, f"/v1/webhooks/{oldest['endpoint_id']}/deliveries/{oldest['id']}/replay")
    desk.work()
    assert receiver.wait(4)[3].envelope["type"] == "job.queued"
    assert {row["state"] for row in desk.rows()} == {"delivered"}


def test_a_disabled_webhook_is_sent_nothing(
    client: TestClient, owner: Owner, database: psycopg.Connection, webhook: JSON
) -> None:
    old = log_delivery(database, webhook["id"], state="failed")
    client.patch(webhook["links"]["self"], json={"disabled": True}, headers=owner.headers)
    links = webhook["links"]
    for path, body in (
        (links["test"], None),
        (links["replay_failed"], SINCE),
        (f"{links['deliveries']}/{old}/replay", None),
    ):
        refused = ask(client, owner, path, body)
        assert (refused.status_code, refused.json()["code"]) == (409, "webhook_disabled")
    assert database.execute("SELECT count(*) FROM webhook_deliveries").fetchone() == (1,)


def test_who_sends_by_hand_ends_the_rest(
    client: TestClient, owner: Owner, database: psycopg.Connection, webhook: JSON
) -> None:
    database.execute("UPDATE webhook_endpoints SET resting_until = now() + interval '1 hour', failures = 4")
    replay(client, owner, webhook, log_delivery(database, webhook["id"], state="failed"))
    shown = client.get(webhook["links"]["self"], headers=owner.headers).json()
    assert (shown["resting_until"], shown["failures"]) == (None, 4)


def test_what_failed_since_is_sent_again_in_order(
    client: TestClient, owner: Owner, database: psycopg.Connection, webhook: JSON
) -> None:
    other = client.post("/v1/webhooks", json={"url": URL}, headers=owner.headers).json()
    subject = uuid4()
    log_delivery(database, webhook["id"], state="failed", created_at=BEFORE, last_attempt_at=BEFORE)
    log_delivery(database, webhook["id"], state="delivered", created_at=AT)
    log_delivery(database, webhook["id"], state="superseded", created_at=AT)
    log_delivery(database, webhook["id"], state="failed", event="webhook.test", created_at=AT)
    log_delivery(database, webhook["id"], state="cancelled", error="cancelled", created_at=AT)
    log_delivery(database, other["id"], state="failed", created_at=AT)
    versions = [
        log_delivery(database, webhook["id"], state="failed", created_at=LATER, subject_id=subject, version=version)
        for version in (9, 8, 7, 6, 5, 4)
    ]
    given_up = log_delivery(database, webhook["id"], state="cancelled", error="endpoint_disabled", created_at=AT)
    first = log_delivery(database, webhook["id"], state="failed", created_at=BEFORE, last_attempt_at=LATER)

    assert replay_failed(client, owner, webhook) == {"deliveries": 8, "more": False}
    sent = replays(database)
    assert set(sent) == {first, given_up, *versions}
    assert [each for each in sent if each in versions] == versions[::-1]
    assert replay_failed(client, owner, webhook) == {"deliveries": 0, "more": False}
    # One that failed again is sent again, once: not what it repeats.
    database.execute("UPDATE webhook_deliveries SET state = 'failed' WHERE replay_of = %s", (first,))
    assert replay_failed(client, owner, webhook) == {"deliveries": 1, "more": False}


def test_a_thousand_at_most_go_at_once(
    client: TestClient, owner: Owner, database: psycopg.Connection, webhook: JSON
) -> None:
    database.execute(
        "INSERT INTO webhook_deliveries (id, endpoint_id, event_id, event, subject_id, version, url, body, state)"
        " SELECT gen_random_uuid(), %s, gen_random_uuid(), 'job.failed', gen_random_uuid(), 1, %s, '{}', 'failed'"
        " FROM generate_series(1, 1003)",
        (webhook["id"], URL),
    )
    assert replay_failed(client, owner, webhook) == {"deliveries": 1000, "more": True}
    assert replay_failed(client, owner, webhook) == {"deliveries": 3, "more": False}
    assert len(set(replays(database))) == 1003


def test_rivals_send_what_failed_once(
    client: TestClient, owner: Owner, database: psycopg.Connection, webhook: JSON
) -> None:
    for _ in range(20):
        log_delivery(database, webhook["id"], state="failed", created_at=AT)
    at_once = Barrier(RIVALS)

    def send(_: int) -> int:
        at_once.wait()
        return replay_failed(client, owner, webhook)["deliveries"]

    with ThreadPoolExecutor(RIVALS) as threads:
        assert sorted(threads.map(send, range(RIVALS))) == [0] * (RIVALS - 1) + [20]


def test_a_key_sends_once(client: TestClient, owner: Owner, database: psycopg.Connection, webhook: JSON) -> None:
    old = log_delivery(database, webhook["id"], state="failed", created_at=AT)
    for send in (
        lambda: ask(client, owner, webhook["links"]["test"], key="one"),
        lambda: replay(client, owner, webhook, old, key="one"),
        lambda: ask(client, owner, webhook["links"]["replay_failed"], SINCE, key="one"),
    ):
        first, again = send(), send()
        assert (first.status_code, again.status_code, again.json()) == (202, 202, first.json())
        assert again.headers["idempotency-replayed"] == "true"
    assert len(replays(database)) == 1


@pytest.mark.parametrize(
    ("body", "pointer"),
    [({}, "/since"), ({"since": "yesterday"}, "/since"), ({"since": 0}, "/since"),
     ({"since": "2026-11-24T12:00:00"}, "/since"), (SINCE | {"until": AT}, "/until")],
)  # fmt: skip
def test_a_wrong_since_is_named(client: TestClient, owner: Owner, webhook: JSON, body: JSON, pointer: str) -> None:
    refused = ask(client, owner, webhook["links"]["replay_failed"], body)
    assert (refused.status_code, [each["pointer"] for each in refused.json()["errors"]]) == (422, [pointer])


@pytest.mark.parametrize("since", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59-12:00"])
def test_a_moment_at_the_end_of_time_is_no_trouble(client: TestClient, owner: Owner, webhook: JSON, since: str) -> None:
    answered = ask(client, owner, webhook["links"]["replay_failed"], {"since": since})
    assert (answered.status_code, answered.json()) == (202, {"deliveries": 0, "more": False})
