"""The order of a subject's deliveries, endpoints that rest, and what ends a delivery besides its handler."""

from contextlib import closing
from typing import Any
from uuid import UUID

import psycopg
import pytest

from shared.webhook_queue import KIND
from tests import factories
from tests.integration.webhooks.conftest import Desk
from tests.webhook_receiver import Received, Script, WebhookReceiver, answer
from worker.handler_database import HandlerDatabase
from worker.places import place

DEAD = "http://127.0.0.1:1/"


def told(receiver: WebhookReceiver) -> list[str]:
    return [request.envelope["data"]["state"] for request in receiver.received]


def refuse(*states: str) -> Script:
    """Refuse the events of some states, take the others."""

    async def decide(request: Received, writer: Any) -> None:
        refused = request.envelope["data"]["state"] in states
        await answer(500 if refused else 204)(request, writer)

    return decide


def states(desk: Desk) -> dict[str, str]:
    return {row["event"].removeprefix("job."): row["state"] for row in desk.rows()}


def test_what_happens_to_a_job_is_told_in_order(desk: Desk, receiver: WebhookReceiver) -> None:
    desk.endpoint(receiver.url())
    jobs = [desk.enqueue() for _ in range(5)]
    desk.run(*jobs)
    desk.tell()
    heard: dict[str, list[int]] = {}
    for request in receiver.received:
        heard.setdefault(request.envelope["data"]["id"], []).append(request.envelope["data"]["version"])
    assert heard.keys() == {str(job) for job in jobs}
    assert all(versions == [1, 2, 3] for versions in heard.values())


def test_a_later_delivery_waits_for_one_that_is_tried_again(desk: Desk, receiver: WebhookReceiver) -> None:
    desk.endpoint(receiver.url())
    desk.run(desk.enqueue())
    receiver.script = answer(500)
    desk.tell()
    assert told(receiver) == ["queued"]
    receiver.script = answer()
    desk.move_time(seconds=10)
    desk.work()
    assert told(receiver) == ["queued", "queued", "running", "succeeded"]
    assert states(desk) == {"queued": "delivered", "running": "delivered", "succeeded": "delivered"}


def test_one_that_is_refused_three_times_is_overtaken_and_never_told_after(
    desk: Desk, receiver: WebhookReceiver
) -> None:
    desk.endpoint(receiver.url())
    desk.run(desk.enqueue())
    receiver.script = refuse("queued")
    desk.tell()
    for _ in range(2):
        desk.move_time(minutes=6)
        desk.work()
    assert told(receiver) == ["queued", "queued", "queued"]
    desk.move_time(minutes=6)
    desk.work()
    assert told(receiver)[3:] == ["running", "succeeded"]
    assert states(desk) == {"queued": "superseded", "running": "delivered", "succeeded": "delivered"}
    receiver.script = answer()
    desk.move_time(days=1)
    desk.work()
    assert len(receiver.received) == 5


def test_two_hours_away_cost_no_delivery_and_no_order(desk: Desk, receiver: WebhookReceiver) -> None:
    desk.endpoint(receiver.url())
    receiver.close()
    jobs = [desk.enqueue() for _ in range(4)]
    desk.run(*jobs)
    desk.tell()
    for _ in range(12):
        desk.move_time(minutes=10)
        desk.work()
    assert {row["state"] for row in desk.rows()} == {"pending"}
    receiver.open()
    # The fifth attempt comes 2 h 35 min after the first, give or take; the first to get through brings the rest.
    for _ in range(8):
        desk.move_time(minutes=10)
        desk.work()
    assert {row["state"] for row in desk.rows()} == {"delivered"}
    versions: dict[str, list[int]] = {}
    for request in receiver.received:
        versions.setdefault(request.envelope["data"]["id"], []).append(request.envelope["data"]["version"])
    assert all(versions[str(job)] == [1, 2, 3] for job in jobs)


def test_a_new_event_finds_out_that_a_receiver_is_back_and_brings_all_that_waits(
    desk: Desk, receiver: WebhookReceiver
) -> None:
    desk.endpoint(receiver.url())
    receiver.close()
    desk.run(*[desk.enqueue() for _ in range(4)])
    desk.tell()
    for _ in range(6):
        desk.move_time(minutes=10)
        desk.work()
    receiver.open()
    desk.enqueue()
    desk.tell()
    desk.move_time(minutes=6)
    desk.work()
    assert len(desk.rows()) == 13
    assert {row["state"] for row in desk.rows()} == {"delivered"}


def test_an_endpoint_that_failed_three_times_rests_and_then_one_finds_out(
    desk: Desk, receiver: WebhookReceiver
) -> None:
    receiver.script = answer(502)
    desk.endpoint(receiver.url(), "job.queued")
    for _ in range(8):
        desk.enqueue()
    desk.tell()
    assert len(receiver.received) == 3
    attempts: dict[UUID, int] = {row["id"]: row["attempts"] for row in desk.rows()}
    assert sorted(attempts.values()) == [0] * 5 + [1] * 3
    # What waits is put off, which costs its job no attempt.
    waiting = desk.database.execute(
        "SELECT count(*) FROM jobs WHERE kind = %s AND state = 'retrying' AND attempt = 0", (KIND,)
    ).fetchone()
    assert waiting == (5,)
    rests: list[float] = []
    for _ in range(9):
        [rest] = desk.database.execute(
            "SELECT extract(epoch FROM resting_until - clock_timestamp())::float8 FROM webhook_endpoints"
        ).fetchone() or [0.0]
        rests.append(rest)
        before = len(receiver.received)
        desk.move_time(seconds=rest + 60)
        desk.work()
        assert len(receiver.received) == before + 1
    assert rests == pytest.approx([5, 10, 20, 40, 80, 160, 300, 300, 300], abs=4)
    receiver.script = answer()
    desk.move_time(minutes=6)
    desk.work()
    assert {row["state"] for row in desk.rows()} == {"delivered"}
    [endpoint] = desk.rows("webhook_endpoints")
    assert (endpoint["failures"], endpoint["failing_since"], endpoint["resting_until"]) == (0, None, None)


def test_single_jobs_urls_do_not_rest_for_each_other(desk: Desk, receiver: WebhookReceiver) -> None:
    dead = [desk.enqueue(webhook_url=f"{DEAD}{number}") for number in range(4)]
    well = [desk.enqueue(webhook_url=receiver.url()) for _ in range(2)]
    desk.run(*dead, *well)
    desk.tell()
    assert len(receiver.received) == 2
    assert sorted(row["attempts"] for row in desk.rows() if row["url"].startswith(DEAD)) == [0, 0, 0, 1]
    [endpoint] = desk.rows("webhook_endpoints")
    assert (endpoint["url"], endpoint["failures"], endpoint["resting_until"]) == (None, 0, None)


def test_a_single_jobs_receiver_that_is_gone_disables_nothing(desk: Desk, receiver: WebhookReceiver) -> None:
    receiver.script = answer(410)
    desk.run(desk.enqueue(webhook_url=receiver.url()))
    desk.tell()
    assert desk.delivery()["error"] == "gone"
    assert desk.rows("webhook_endpoints")[0]["disabled_at"] is None


def test_a_replay_goes_although_something_newer_was_told(desk: Desk, receiver: WebhookReceiver) -> None:
    desk.endpoint(receiver.url())
    desk.run(desk.enqueue())
    desk.tell()
    first = desk.rows()[0]
    job_id = factories.enqueue(
        desk.database,
        factories.new_job(desk.kinds[KIND], desk.owner.id, {"delivery_id": str(first["event_id"])}, silent=True),
    )
    desk.database.execute(
        "INSERT INTO webhook_deliveries (id, endpoint_id, job_id, event_id, event, subject_id, version, url, body,"
        " replay_of) SELECT event_id, endpoint_id, %s, event_id, event, subject_id, version, url, body, id"
        " FROM webhook_deliveries WHERE id = %s",
        (job_id, first["id"]),
    )
    desk.work()
    assert told(receiver) == ["queued", "running", "succeeded", "queued"]
    assert {row["state"] for row in desk.rows()} == {"delivered"}


@pytest.mark.parametrize(
    ("way", "state", "error"),
    [
        (["cancelled"], "cancelled", "cancelled"),
        (["running", "cancelled"], "cancelled", "cancelled"),
        (["running", "failed"], "failed", "worker_lost"),
        (["expired"], "failed", "expired"),
    ],
)
def test_a_delivery_ends_with_its_job(
    desk: Desk, receiver: WebhookReceiver, way: list[str], state: str, error: str
) -> None:
    desk.endpoint(receiver.url(), "job.queued")
    desk.enqueue()
    desk.fan_out()
    for step in way:
        desk.database.execute(
            "UPDATE jobs SET state = %s, error = jsonb_build_object('code', %s::text) WHERE kind = %s",
            (step, error, KIND),
        )
    delivery = desk.delivery()
    assert (delivery["state"], delivery["error"], delivery["next_attempt_at"]) == (state, error, None)


def test_an_attempt_that_lost_its_claim_writes_nothing(desk: Desk, receiver: WebhookReceiver) -> None:
    def lose(_: Received) -> None:
        with psycopg.connect(desk.settings.database_url, autocommit=True) as rescue:
            rescue.execute("UPDATE jobs SET fence = fence + 1 WHERE state = 'running'")

    desk.endpoint(receiver.url(), "job.queued")
    desk.enqueue()
    desk.fan_out()
    receiver.on_received = lose
    desk.work()
    delivery = desk.delivery()
    assert len(receiver.received) == 1
    assert (delivery["state"], delivery["attempts"]) == ("pending", 0)


def test_a_delivery_waits_while_half_of_the_slots_are_taken_by_others(desk: Desk, receiver: WebhookReceiver) -> None:
    desk.endpoint(receiver.url(), "job.queued")
    desk.enqueue()
    desk.fan_out()
    with closing(HandlerDatabase(desk.settings, "test")) as other, place(other, "webhooks", 1) as has_place:
        assert has_place
        desk.work()
        assert receiver.received == []
        assert desk.delivery()["next_attempt_at"] is not None
    desk.move_time(seconds=10)
    desk.work()
    assert desk.delivery()["state"] == "delivered"
