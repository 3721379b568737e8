"""Tests of a webhook that somebody asks for: one attempt each, which changes nothing when it fails."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from standardwebhooks import Webhook

from tests.integration.webhooks.conftest import Desk, Row
from tests.webhook_receiver import Script, WebhookReceiver, answer, close

REST = "UPDATE webhook_endpoints SET resting_until = now() + interval '1 hour', failures = 3, failing_since = now()"


def ask_for_test(client: TestClient, desk: Desk, endpoint_id: UUID) -> Any:
    return client.post(f"/v1/webhooks/{endpoint_id}/test", headers=desk.owner.headers)


def ask_and_wait(client: TestClient, desk: Desk, endpoint_id: UUID, **headers: str) -> Any:
    """Ask for a test and wait for its end, while a worker works."""
    given = desk.owner.headers | {"Prefer": "wait=20"} | headers
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(client.post, f"/v1/webhooks/{endpoint_id}/test", headers=given)
        while not asked.done():
            desk.work()
        return asked.result()


def read_test(desk: Desk) -> Row:
    [row] = [row for row in desk.rows() if row["event"] == "webhook.test"]
    return row


def test_a_test_reaches_the_receiver_whatever_its_filters(
    desk: Desk, client: TestClient, receiver: WebhookReceiver
) -> None:
    endpoint_id = desk.endpoint(receiver.url(), "job.failed")
    path = f"/v1/webhooks/{endpoint_id}"
    answered = ask_for_test(client, desk, endpoint_id)
    assert answered.status_code == 202, answered.text
    assert (answered.json()["event"], answered.headers["location"]) == (
        "webhook.test",
        f"{path}/deliveries/{answered.json()['id']}",
    )
    desk.work()
    [request] = receiver.wait(1)
    [endpoint] = desk.rows("webhook_endpoints")
    Webhook(endpoint["secret"]).verify(request.body, request.headers)
    shown = client.get(path, headers=desk.owner.headers).json()
    assert request.envelope["type"] == "webhook.test"
    assert request.envelope["data"] == shown | {"omitted": None}
    assert request.envelope["id"] == answered.json()["event_id"]
    assert endpoint["secret"] not in request.body.decode()


@pytest.mark.parametrize(
    ("script", "word"),
    [(answer(500), "http_error"), (answer(410), "gone"), (answer(503, Retry_After="3600"), "unavailable"),
     (close, "no_answer")],
)  # fmt: skip
def test_a_test_that_fails_was_one_attempt_and_changes_nothing(
    desk: Desk, client: TestClient, receiver: WebhookReceiver, script: Script, word: str
) -> None:
    endpoint_id = desk.endpoint(receiver.url(), "job.queued")
    # Six days ago, with two failures: one more would have it rest, and disable it.
    desk.database.execute("UPDATE webhook_endpoints SET failures = 2, failing_since = now() - interval '6 days'")
    before = desk.rows("webhook_endpoints")
    receiver.script = script
    for _ in range(3):
        assert ask_for_test(client, desk, endpoint_id).status_code == 202
    desk.work()
    assert [(row["state"], row["attempts"], row["error"], row["next_attempt_at"]) for row in desk.rows()] == [
        ("failed", 1, word, None)
    ] * 3
    assert desk.rows("webhook_endpoints") == before
    desk.move_time(days=4)
    desk.work()
    assert len(receiver.received) == 3


@pytest.mark.parametrize(("script", "state"), [(answer(200), "delivered"), (answer(410, b"moved"), "failed")])
def test_who_prefers_to_wait_is_answered_with_the_end(
    desk: Desk, client: TestClient, receiver: WebhookReceiver, script: Script, state: str
) -> None:
    receiver.script = script
    endpoint_id = desk.endpoint(receiver.url())
    asked = ask_and_wait(client, desk, endpoint_id, **{"Idempotency-Key": "one"})
    assert (asked.status_code, asked.json()["state"]) == (200, state), asked.text
    assert asked.headers["preference-applied"] == "wait=20"
    assert asked.headers["location"] == asked.json()["links"]["self"]
    again = ask_and_wait(client, desk, endpoint_id, **{"Idempotency-Key": "one"})
    assert (again.status_code, again.json()) == (200, asked.json())
    assert again.headers["idempotency-replayed"] == "true"
    in_vain = client.post(f"/v1/webhooks/{endpoint_id}/test", headers=desk.owner.headers | {"Prefer": "wait=0"})
    assert (in_vain.status_code, in_vain.json()["state"]) == (202, "pending")
    assert len(receiver.received) == 1


def test_the_job_of_a_test_has_one_attempt_and_goes_before_others(
    desk: Desk, client: TestClient, receiver: WebhookReceiver
) -> None:
    test = ask_for_test(client, desk, desk.endpoint(receiver.url())).json()
    job = client.get(test["links"]["job"], headers=desk.owner.headers).json()
    assert (job["max_attempts"], job["priority"]) == (1, 100)
    # As when its worker is killed: nobody knows what came of the attempt, and none follows.
    desk.database.execute("UPDATE jobs SET state = 'running' WHERE id = %s", (job["id"],))
    desk.database.execute("UPDATE jobs SET state = 'failed', error = '{\"code\": \"worker_lost\"}'")
    assert (read_test(desk)["state"], read_test(desk)["error"]) == ("failed", "worker_lost")


def test_a_test_does_not_wait_for_the_rest_of_its_endpoint_and_ends_it_with_a_success_only(
    desk: Desk, client: TestClient, receiver: WebhookReceiver
) -> None:
    endpoint_id = desk.endpoint(receiver.url(), "job.queued")
    desk.enqueue()
    desk.fan_out()
    desk.database.execute(REST)
    receiver.script = answer(500)
    ask_for_test(client, desk, endpoint_id)
    desk.work()
    assert [request.envelope["type"] for request in receiver.received] == ["webhook.test"]
    [endpoint] = desk.rows("webhook_endpoints")
    assert endpoint["failures"] == 3
    assert endpoint["resting_until"] is not None
    receiver.script = answer()
    ask_for_test(client, desk, endpoint_id)
    desk.work()
    assert [request.envelope["type"] for request in receiver.received[1:]] == ["webhook.test", "job.queued"]
    [endpoint] = desk.rows("webhook_endpoints")
    assert (endpoint["failures"], endpoint["failing_since"], endpoint["resting_until"]) == (0, None, None)


def test_a_failed_test_is_sent_again_by_its_name_alone_and_once(
    desk: Desk, client: TestClient, receiver: WebhookReceiver
) -> None:
    receiver.script = answer(500)
    test = ask_for_test(client, desk, desk.endpoint(receiver.url())).json()
    desk.work()
    links = client.get(test["links"]["webhook"], headers=desk.owner.headers).json()["links"]
    since = {"since": test["created_at"]}
    all_again = client.post(links["replay_failed"], json=since, headers=desk.owner.headers)
    assert all_again.json() == {"deliveries": 0, "more": False}
    assert client.post(test["links"]["replay"], headers=desk.owner.headers).status_code == 202
    desk.work()
    assert [(row["state"], row["attempts"]) for row in desk.rows()] == [("failed", 1)] * 2
    assert desk.rows("webhook_endpoints")[0]["failures"] == 0
