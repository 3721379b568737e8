"""Endpoints that are deleted, moved, or given another secret while a delivery is under way."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from standardwebhooks import Webhook

from tests.integration.webhooks.conftest import Desk
from tests.webhook_receiver import Received, WebhookReceiver, answer

Act = Callable[[str, dict[str, str]], Any]
_JOBS = "SELECT state FROM jobs WHERE kind = 'webhook.deliver'"


def meanwhile(desk: Desk, receiver: WebhookReceiver, act: Act) -> UUID:
    """Tell a new endpoint of a job; when that has come, and before it is answered, do something with the endpoint."""

    def interfere(_: Received) -> None:
        receiver.on_received = lambda _: None
        assert act(f"/v1/webhooks/{endpoint_id}", desk.owner.headers).status_code < 300

    endpoint_id = desk.endpoint(receiver.url(), "job.queued")
    receiver.on_received = interfere
    desk.enqueue()
    desk.tell()
    assert len(receiver.received) == 1
    return endpoint_id


@pytest.mark.parametrize("status", [204, 410, 500])
def test_what_is_under_way_to_an_endpoint_that_is_deleted_is_not_tried_again(
    desk: Desk, client: TestClient, receiver: WebhookReceiver, status: int
) -> None:
    receiver.script = answer(status)
    meanwhile(desk, receiver, lambda path, headers: client.delete(path, headers=headers))
    desk.move_time(days=1)
    desk.work()
    assert len(receiver.received) == 1
    assert (desk.rows(), desk.rows("webhook_endpoints")) == ([], [])
    [(state,)] = desk.database.execute(_JOBS).fetchall()
    assert state in {"cancelled", "succeeded", "failed"}


def test_what_is_refused_because_the_secret_changed_meanwhile_is_signed_anew(
    desk: Desk, client: TestClient, receiver: WebhookReceiver
) -> None:
    receiver.script = answer(401)
    now = {"overlap_seconds": 0}
    meanwhile(desk, receiver, lambda path, headers: client.post(f"{path}/rotate-secret", json=now, headers=headers))
    receiver.script = answer()
    desk.move_time(minutes=1)
    desk.work()
    first, second = receiver.received
    [endpoint] = desk.rows("webhook_endpoints")
    assert first.webhook_id == second.webhook_id
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]
    Webhook(endpoint["secret"]).verify(second.body, second.headers)
    assert len(second.headers["webhook-signature"].split(" ")) == 1
    assert desk.delivery()["state"] == "delivered"


@pytest.mark.parametrize("status", [410, 503])
def test_the_url_that_an_endpoint_has_left_says_nothing_about_the_one_that_it_has_now(
    desk: Desk, client: TestClient, receiver: WebhookReceiver, status: int
) -> None:
    receiver.script = answer(status, Retry_After="60")
    new = {"url": "https://app.example.com/new"}
    meanwhile(desk, receiver, lambda path, headers: client.patch(path, json=new, headers=headers))
    [endpoint] = desk.rows("webhook_endpoints")
    assert endpoint["url"] == new["url"]
    assert (endpoint["disabled_at"], endpoint["failures"], endpoint["resting_until"]) == (None, 0, None)
