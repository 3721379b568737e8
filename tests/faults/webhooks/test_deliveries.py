"""Workers killed, and endpoints taken away, in the middle of a delivery; more events than usual."""

import signal
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest
from standardwebhooks import Webhook

from tests.faults.webhooks.conftest import WebhookYard
from tests.polling import await_that
from tests.webhook_receiver import Received, answer, hang

FEW, MANY = 250, 2000
"""More than are made into deliveries at a time."""
_UNDER_WAY = "SELECT count(*) FROM jobs WHERE kind = 'webhook.deliver' AND finished_at IS NULL"
_FLOOD = """
INSERT INTO events (name, owner_id, subject_id, version, body)
SELECT 'job.queued', owner_id, gen_random_uuid(), 1, to_jsonb(jobs)
FROM jobs, generate_series(1, %s) WHERE jobs.id = %s
"""


@pytest.fixture(autouse=True)
def calm(yard: WebhookYard) -> Iterator[None]:
    """Have a receiver that takes everything and no endpoint, before and after."""
    yield
    yard.receiver.script, yard.receiver.on_received = answer(), lambda _: None
    yard.receiver.received.clear()
    for endpoint in yard.client.get("/v1/webhooks").json()["items"]:
        yard.remove(endpoint)


def once(act: Callable[[], None]) -> Callable[[Received], None]:
    """Act when the first request has come and is not answered."""
    left = [act]
    return lambda _: left.pop()() if left else None


def test_a_worker_killed_between_delivery_and_record_delivers_again_with_the_same_id(yard: WebhookYard) -> None:
    endpoint = yard.register("job.succeeded")
    yard.receiver.on_received = once(lambda: yard.stack.supervisor.signal_group("worker", signal.SIGKILL))
    yard.finish([yard.enqueue("test.echo", {"text": "once"})])

    first, second = yard.receiver.wait(2)
    [delivery] = yard.wait_for_deliveries(endpoint, 1)
    assert first.webhook_id == second.webhook_id == delivery["id"]
    assert first.body == second.body
    for request in (first, second):
        Webhook(endpoint["secret"]).verify(request.body, request.headers)
    # The attempt that was lost is the job's, not the delivery's: nobody knows what came of it.
    assert (delivery["state"], delivery["attempts"]) == ("delivered", 1)


def test_an_endpoint_deleted_while_it_is_told_is_told_no_more(yard: WebhookYard) -> None:
    endpoint = yard.register("job.*")
    yard.receiver.on_received = once(lambda: yard.remove(endpoint))
    yard.finish([yard.enqueue("test.echo", {"text": "gone"})])
    yard.receiver.wait(1)
    with yard.database() as database:
        await_that(lambda: database.execute(_UNDER_WAY).fetchone() == (0,))
    assert len(yard.receiver.received) == 1


def test_an_endpoint_disabled_while_it_is_told_keeps_that_and_gets_nothing_more(yard: WebhookYard) -> None:
    def disable() -> None:
        yard.client.patch(endpoint["links"]["self"], json={"disabled": True}).raise_for_status()

    endpoint = yard.register("job.*")
    yard.receiver.on_received = once(disable)
    yard.finish([yard.enqueue("test.echo", {"text": "disabled"})])
    yard.receiver.wait(1)
    deliveries = yard.wait_for_deliveries(endpoint, 1)
    assert deliveries[0]["state"] == "delivered"
    assert {each["state"] for each in deliveries[1:]} <= {"cancelled"}
    assert len(yard.receiver.received) == 1


def test_a_receiver_that_hangs_leaves_slots_to_others(yard: WebhookYard) -> None:
    yard.register("job.succeeded")
    yard.receiver.script = hang
    yard.finish([yard.enqueue("test.echo", {"text": "hung"}) for _ in range(4)])
    yard.receiver.wait(1)
    # Nothing but the time limit ends the delivery, and these do not wait for it.
    yard.finish([yard.enqueue("test.echo", {"text": "free"}) for _ in range(4)])
    assert len(yard.receiver.received) == 1
    yard.receiver.close()
    yard.receiver.open()


@pytest.mark.parametrize("flood", [FEW, pytest.param(MANY, marks=pytest.mark.long)])
def test_a_flood_of_events_does_not_delay_dispatch_and_loses_no_order(yard: WebhookYard, flood: int) -> None:
    first = yard.enqueue("test.echo", {"text": "template"})
    yard.wait(first)
    endpoint = yard.register("job.*")
    with yard.database() as database:
        # In one transaction, so that the dispatcher sees both at once.
        with database.transaction():
            database.execute(_FLOOD, (flood, UUID(first.rpartition("/")[2])))
            [(job_id,)] = database.execute(
                "INSERT INTO jobs (id, owner_id, kind, queue, state, input, tags, run_at, max_attempts)"
                " SELECT gen_random_uuid(), owner_id, kind, queue, 'queued', input, tags, now(), max_attempts FROM jobs"
                " WHERE id = %s RETURNING id",
                (UUID(first.rpartition("/")[2]),),
            ).fetchall()
        job = yard.wait(f"/v1/jobs/{job_id}")
        yard.wait_for_deliveries(endpoint, flood + 3)
        late = database.execute(
            "SELECT (SELECT dispatched_at FROM jobs WHERE id = %s)"
            " < (SELECT min(created_at) FROM webhook_deliveries WHERE endpoint_id = %s)",
            (job_id, endpoint["id"]),
        ).fetchone()
    assert job["state"] == "succeeded"
    assert late == (True,), "it was dispatched before the first event became a delivery"
    heard: dict[Any, list[int]] = defaultdict(list)
    for request in yard.receiver.received:
        heard[request.envelope["data"]["id"]].append(request.envelope["data"]["version"])
    assert heard[str(job_id)] == [1, 2, 3]
    assert len({request.webhook_id for request in yard.receiver.received}) >= flood + 3
