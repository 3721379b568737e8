"""One delivery after the other, to a real receiver."""

from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook

from shared.webhook_signing import new_secret
from tests.integration.webhooks.conftest import Desk
from tests.webhook_receiver import WebhookReceiver, answer


def test_a_receiver_is_told_as_standard_webhooks_has_it(desk: Desk, receiver: WebhookReceiver) -> None:
    job = desk.deliver_one(receiver)["subject_id"]

    [request] = receiver.wait(1)
    [endpoint] = desk.rows("webhook_endpoints")
    delivery = desk.delivery()
    Webhook(endpoint["secret"]).verify(request.body, request.headers)
    assert request.webhook_id == str(delivery["id"])
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"].startswith("Jobyard/")
    assert request.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert request.envelope.keys() == {"id", "type", "timestamp", "data"}
    assert request.envelope["type"] == "job.queued"
    assert request.envelope["data"]["id"] == str(job)
    assert request.envelope["data"]["omitted"] is None
    assert request.body.decode() == delivery["body"]
    assert (delivery["state"], delivery["attempts"], delivery["response_status"]) == ("delivered", 1, 204)
    assert delivery["error"] is None
    assert delivery["delivered_at"] is not None
    assert delivery["next_attempt_at"] is None


def test_while_a_rotation_lasts_both_secrets_sign(desk: Desk, receiver: WebhookReceiver) -> None:
    endpoint_id = desk.endpoint(receiver.url(), "job.queued")
    old = new_secret()
    desk.database.execute(
        "UPDATE webhook_endpoints SET previous_secret = %s, previous_secret_until = now() + interval '1 hour'", (old,)
    )
    desk.enqueue()
    desk.tell()
    desk.move_time(hours=2)
    desk.enqueue()
    desk.tell()

    during, after = receiver.wait(2)
    [endpoint] = desk.rows("webhook_endpoints")
    assert endpoint["id"] == endpoint_id
    for secret in (endpoint["secret"], old):
        Webhook(secret).verify(during.body, during.headers)
    Webhook(endpoint["secret"]).verify(after.body, after.headers)
    assert len(after.headers["webhook-signature"].split(" ")) == 1


@pytest.mark.parametrize(
    ("status", "word"),
    [(400, "http_error"), (404, "http_error"), (500, "http_error"), (301, "redirect"), (307, "redirect"),
     (429, "unavailable"), (502, "unavailable"), (503, "unavailable"), (504, "unavailable")],
)  # fmt: skip
def test_every_other_status_is_a_failure_with_its_word(
    desk: Desk, receiver: WebhookReceiver, status: int, word: str
) -> None:
    receiver.script = answer(status, b"not\0now \xff", Location="http://169.254.169.254/latest/meta-data/")
    delivery = desk.deliver_one(receiver)
    assert (delivery["state"], delivery["attempts"], delivery["error"]) == ("pending", 1, word)
    assert (delivery["response_status"], delivery["response_body"]) == (status, "not\ufffdnow \ufffd")
    assert 4 <= (delivery["next_attempt_at"] - datetime.now(UTC)).total_seconds() <= 6
    assert len(receiver.received) == 1


def test_what_is_answered_is_kept_up_to_a_kilobyte(desk: Desk, receiver: WebhookReceiver) -> None:
    receiver.script = answer(200, b"abc" + "é".encode() * 2000)
    delivery = desk.deliver_one(receiver)
    assert delivery["state"] == "delivered"
    assert len(delivery["response_body"].encode()) <= 1024 + 2
    assert delivery["response_body"].startswith("abcéé")


def test_ten_attempts_are_made_on_schedule_and_then_it_has_failed(desk: Desk, receiver: WebhookReceiver) -> None:
    receiver.script = answer(500)
    delivery = desk.deliver_one(receiver)
    waited: list[float] = []
    while delivery["state"] == "pending":
        waited.append((delivery["next_attempt_at"] - delivery["last_attempt_at"]).total_seconds())
        desk.move_time(seconds=waited[-1])
        desk.move_time(minutes=6)  # an endpoint's rest is shorter
        desk.work()
        delivery = desk.delivery()
    assert (delivery["state"], delivery["attempts"], delivery["error"]) == ("failed", 10, "http_error")
    assert delivery["next_attempt_at"] is None
    assert len(receiver.received) == 10
    assert {request.webhook_id for request in receiver.received} == {str(delivery["id"])}
    schedule = [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]
    assert all(0.89 <= wait / planned <= 1.11 for wait, planned in zip(waited, schedule, strict=True))
    assert desk.database.execute("SELECT state FROM jobs WHERE id = %s", (delivery["job_id"],)).fetchone() == (
        "failed",
    )


def test_a_receiver_that_is_gone_is_never_told_again(desk: Desk, receiver: WebhookReceiver) -> None:
    receiver.script = answer(410)
    delivery = desk.deliver_one(receiver)
    [endpoint] = desk.rows("webhook_endpoints")
    assert (delivery["state"], delivery["error"]) == ("failed", "gone")
    assert endpoint["disabled_reason"] == "gone"
    assert endpoint["disabled_at"] is not None
    desk.enqueue()
    desk.tell()
    assert len(receiver.received) == 1


@pytest.mark.parametrize("status", [429, 503])
def test_a_receiver_that_asks_for_time_gets_it(desk: Desk, receiver: WebhookReceiver, status: int) -> None:
    receiver.script = answer(status, Retry_After="3600")
    delivery = desk.deliver_one(receiver)
    assert (delivery["next_attempt_at"] - delivery["last_attempt_at"]).total_seconds() >= 3590
    # Others wait, too, though no longer than an endpoint ever rests.
    receiver.script = answer()
    desk.enqueue()
    desk.tell()
    assert len(receiver.received) == 1
    desk.move_time(minutes=6)
    desk.work()
    assert sorted(row["state"] for row in desk.rows()) == ["delivered", "pending"]
    desk.move_time(hours=1)
    desk.work()
    assert {row["state"] for row in desk.rows()} == {"delivered"}


@pytest.mark.parametrize(
    ("asked", "word", "least", "most"),
    [("1000000000", "asked_to_wait", 86_000, 86_400), ("soon", "unavailable", 4, 6), ("-1", "unavailable", 4, 6)],
)
def test_what_a_receiver_asks_for_is_bounded_and_nonsense_is_nothing(
    desk: Desk, receiver: WebhookReceiver, asked: str, word: str, least: int, most: int
) -> None:
    receiver.script = answer(503, Retry_After=asked)
    delivery = desk.deliver_one(receiver)
    assert delivery["error"] == word
    assert least <= (delivery["next_attempt_at"] - delivery["last_attempt_at"]).total_seconds() <= most
    [endpoint] = desk.rows("webhook_endpoints")
    if endpoint["resting_until"] is not None:
        assert (endpoint["resting_until"] - datetime.now(UTC)).total_seconds() <= 300


def test_an_endpoint_that_failed_without_a_success_for_five_days_is_disabled(
    desk: Desk, receiver: WebhookReceiver
) -> None:
    receiver.script = answer(500)
    desk.deliver_one(receiver)
    desk.move_time(days=4)
    desk.work()
    assert desk.rows("webhook_endpoints")[0]["disabled_at"] is None
    desk.move_time(days=2)
    desk.work()
    assert desk.rows("webhook_endpoints")[0]["disabled_reason"] == "failing"


def test_what_is_on_its_way_to_a_disabled_endpoint_is_cancelled(desk: Desk, receiver: WebhookReceiver) -> None:
    desk.endpoint(receiver.url())
    desk.enqueue()
    desk.fan_out()
    desk.database.execute("UPDATE webhook_endpoints SET disabled_at = now(), disabled_reason = 'manual'")
    desk.work()
    assert (desk.delivery()["state"], desk.delivery()["error"]) == ("cancelled", "endpoint_disabled")
    assert receiver.received == []


def test_what_is_on_its_way_to_a_deleted_endpoint_ends_quietly(desk: Desk, receiver: WebhookReceiver) -> None:
    desk.endpoint(receiver.url())
    desk.enqueue()
    desk.fan_out()
    desk.database.execute("DELETE FROM webhook_endpoints")
    desk.work()
    row = desk.database.execute("SELECT state, result ->> 'state' FROM jobs WHERE kind = 'webhook.deliver'").fetchone()
    assert row == ("succeeded", "gone")
    assert receiver.received == []


def test_what_waits_goes_to_the_url_that_its_endpoint_has_now(desk: Desk, receiver: WebhookReceiver) -> None:
    desk.endpoint("http://127.0.0.1:1/", "job.queued")
    desk.enqueue()
    desk.tell()
    assert desk.delivery()["error"] == "connection_refused"
    desk.database.execute("UPDATE webhook_endpoints SET url = %s", (receiver.url("/new"),))
    desk.move_time(minutes=1)
    desk.work()
    assert desk.delivery()["state"] == "delivered"
    assert desk.delivery()["url"] == receiver.url("/new")
    assert [request.path for request in receiver.received] == ["/new"]


def test_a_url_that_is_not_allowed_any_more_is_not_told(desk: Desk, receiver: WebhookReceiver) -> None:
    desk.settings.webhook_allowed_networks.clear()
    try:
        delivery = desk.deliver_one(receiver)
    finally:
        desk.settings.webhook_allowed_networks[:] = ["127.0.0.0/8", "::1/128"]
    assert (delivery["state"], delivery["error"]) == ("pending", "url_not_allowed")
    assert receiver.received == []
