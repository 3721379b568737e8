"""Events become deliveries and listeners' jobs, once each, in their order."""

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb

from shared.event_listeners import on
from shared.events import Event
from shared.job_context import JobContext
from shared.job_kind import load_job_kinds
from shared.recorded_events import RecordedEvent
from tests import factories
from tests.conftest import Owner
from tests.integration.webhooks.conftest import Desk
from tests.webhook_receiver import WebhookReceiver
from worker.celery_app import create_celery_app
from worker.dispatcher import EVENT_FALLBACK_SECONDS, Dispatcher
from worker.event_audience import write_listeners
from worker.event_envelopes import LARGEST_BODY_BYTES, tell
from worker.event_fan_out import BATCH, MOST_JOBS, FanOut

URL = "https://hooks.example.com/"
LISTENER = "listener.note_ending"


@on("job.succeeded")
def note_ending(event: Event, context: JobContext) -> None:
    """Listen to the end of jobs."""


def job_body(desk: Desk, **changes: Any) -> dict[str, Any]:
    """Give the body of a recorded event, changed."""
    desk.endpoint(URL, "job.queued")
    desk.enqueue()
    [(body,)] = desk.database.execute("DELETE FROM events RETURNING body").fetchall()
    return body | changes


def record(desk: Desk, body: dict[str, Any], name: str = "job.queued") -> None:
    desk.database.execute(
        "INSERT INTO events (name, owner_id, subject_id, body) VALUES (%s, %s, %s, %s)",
        (name, desk.owner.id, uuid4(), Jsonb(body)),
    )


def test_an_endpoint_is_told_of_what_its_filters_mean_and_no_other(desk: Desk, stranger: Owner) -> None:
    ends = desk.endpoint(URL, "job.succeeded", "job.failed")
    all_ = desk.endpoint(URL, "*")
    desk.endpoint(URL, "job.*", owner=stranger)
    disabled = desk.endpoint(URL, "job.*")
    desk.database.execute("UPDATE webhook_endpoints SET disabled_at = now() WHERE id = %s", (disabled,))
    job_id = desk.enqueue()
    desk.run(job_id)

    assert desk.fan_out() == 3

    told = [(row["endpoint_id"], row["event"]) for row in desk.rows()]
    assert told[:2] == [(all_, "job.queued"), (all_, "job.running")]
    # Endpoints have no order among themselves.
    assert sorted(told[2:]) == sorted([(ends, "job.succeeded"), (all_, "job.succeeded")])
    assert [row["version"] for row in desk.rows()] == [1, 2, 3, 3]
    assert {row["subject_id"] for row in desk.rows()} == {job_id}
    assert len({row["event_id"] for row in desk.rows()}) == 3
    assert desk.database.execute("SELECT count(*) FROM events").fetchone() == (0,)


def test_each_delivery_has_a_silent_job_that_shares_its_lane_with_its_subject(desk: Desk) -> None:
    endpoint_id = desk.endpoint(URL)
    job_id = desk.enqueue()
    desk.run(job_id)
    desk.fan_out()
    jobs = desk.database.execute(
        "SELECT id, queue, silent, state, concurrency_key, max_attempts, input FROM jobs"
        " WHERE kind = 'webhook.deliver' ORDER BY id"
    ).fetchall()
    assert [job[0] for job in jobs] == [row["job_id"] for row in desk.rows()]
    assert [job[1:] for job in jobs] == [
        ("webhooks", True, "queued", f"{endpoint_id}:{job_id}", 10, {"delivery_id": str(row["id"])})
        for row in desk.rows()
    ]
    assert desk.fan_out() == 0


def test_a_job_with_a_url_of_its_own_is_told_at_its_end_by_an_endpoint_made_for_it(desk: Desk) -> None:
    desk.run(desk.enqueue(webhook_url=URL))
    desk.run(desk.enqueue(webhook_url=URL))
    desk.fan_out()
    [endpoint] = desk.rows("webhook_endpoints")
    assert endpoint["url"] is None
    assert endpoint["secret"].startswith("whsec_")
    assert [(row["endpoint_id"], row["event"], row["url"]) for row in desk.rows()] == [
        (endpoint["id"], "job.succeeded", URL)
    ] * 2


@pytest.fixture
def listening(desk: Desk) -> Desk:
    desk.kinds |= load_job_kinds([__name__])
    write_listeners(desk.database, {"job.succeeded": [LISTENER, "listener.of_nobody"]})
    return desk


def test_a_listener_gets_a_job_with_the_event_and_unknown_ones_are_passed_over(listening: Desk) -> None:
    job_id = listening.enqueue()
    listening.run(job_id)
    listening.fan_out()
    [(kind, owner_id, silent, given)] = listening.database.execute(
        "SELECT kind, owner_id, silent, input FROM jobs WHERE kind LIKE 'listener.%'"
    ).fetchall()
    assert (kind, owner_id, silent) == (LISTENER, listening.owner.id, True)
    assert given["event"]["type"] == "job.succeeded"
    assert given["event"]["data"]["id"] == str(job_id)
    assert "omitted" not in given["event"]["data"]


def test_the_active_dispatcher_writes_down_who_listens(desk: Desk) -> None:
    desk.database.execute("INSERT INTO event_listeners VALUES ('job.failed', 'listener.of_yesterday')")
    modules = [*desk.settings.job_modules, __name__]
    settings = desk.settings.model_copy(update={"job_modules": modules})
    dispatcher = Dispatcher(settings, create_celery_app(settings))
    try:
        dispatcher.run_round(desk.database)
    finally:
        dispatcher.retire()
    found = desk.database.execute("SELECT event, kind FROM event_listeners").fetchall()
    assert ("job.succeeded", LISTENER) in found
    assert ("job.failed", "listener.of_yesterday") not in found


@pytest.mark.parametrize("poison", [{"run_at": "not a moment"}, {"input": {"number": 2**70}}, {}])
def test_an_event_that_cannot_be_told_is_dropped_and_stops_nobody(
    desk: Desk, caplog: pytest.LogCaptureFixture, poison: dict[str, Any]
) -> None:
    body = job_body(desk)
    record(desk, body)
    record(desk, body | poison if poison else {})
    record(desk, body)
    with caplog.at_level(logging.ERROR):
        assert desk.fan_out() == 3
    assert len(desk.rows()) == 2
    assert desk.fan_out() == 0
    assert [message.levelname for message in caplog.records if "cannot be told" in message.message] == ["ERROR"]


def test_an_event_that_postgresql_refuses_is_dropped_and_stops_nobody(desk: Desk) -> None:
    # Nothing that is known gets there; a constraint stands for what is not.
    body = job_body(desk)
    desk.database.execute(
        "ALTER TABLE webhook_deliveries ADD CONSTRAINT ck_test CHECK (body NOT LIKE '%%poison%%') NOT VALID"
    )
    try:
        for number in range(7):
            record(desk, body | {"input": {"text": "poison" if number == 4 else "well"}})
        assert desk.fan_out() == 7
    finally:
        desk.database.execute("ALTER TABLE webhook_deliveries DROP CONSTRAINT ck_test")
    assert len(desk.rows()) == 6
    assert desk.database.execute("SELECT count(*) FROM jobs WHERE kind = 'webhook.deliver'").fetchone() == (6,)


def test_what_is_sent_stays_below_20_kb_and_says_what_it_omits(desk: Desk) -> None:
    body = job_body(desk)
    large = {"text": "é" * 15_000}
    for changes in ({"input": large}, {"result": large}, {"input": large, "result": large}, {"tags": ["x" * 30_000]}):
        record(desk, body | changes)
    desk.fan_out()
    found: list[Any] = []
    for (text,) in desk.database.execute("SELECT body FROM webhook_deliveries ORDER BY id").fetchall():
        assert len(text.encode()) < LARGEST_BODY_BYTES
        data = desk.database.execute("SELECT %s::jsonb -> 'data'", (text,)).fetchone()
        assert data is not None
        found.append(data[0]["omitted"])
        assert all(data[0][name] is None for name in data[0]["omitted"])
    assert found == [["input"], ["input", "result"], ["input", "result"], ["input", "result", "tags"]]


def test_a_body_of_19999_bytes_goes_whole_and_one_of_20000_does_not(desk: Desk, receiver: WebhookReceiver) -> None:
    body = job_body(desk)
    desk.database.execute("UPDATE webhook_endpoints SET url = %s", (receiver.url(),))
    record(desk, body | {"input": {"text": ""}})
    desk.tell()
    [empty] = receiver.received
    for size in (LARGEST_BODY_BYTES - 1, LARGEST_BODY_BYTES):
        record(desk, body | {"input": {"text": "x" * (size - len(empty.body))}})
    desk.tell()
    _, whole, bounded = sorted(receiver.received, key=lambda request: request.envelope["data"]["omitted"] is not None)
    assert (len(whole.body), whole.envelope["data"]["omitted"]) == (LARGEST_BODY_BYTES - 1, None)
    assert (bounded.envelope["data"]["omitted"], bounded.envelope["data"]["input"]) == (["input"], None)


def test_a_batch_is_bounded_in_events_and_in_jobs(desk: Desk) -> None:
    body = job_body(desk)
    for _ in range(BATCH + 10):
        record(desk, body)
    assert [desk.fan_out() for _ in range(3)] == [BATCH, 10, 0]
    for _ in range(19):
        desk.endpoint(URL)
    for _ in range(BATCH):
        record(desk, body)
    assert desk.fan_out() * 20 <= MOST_JOBS + 20


def test_who_has_lost_the_lease_makes_no_jobs_of_events(desk: Desk) -> None:
    desk.endpoint(URL)
    desk.enqueue()
    assert FanOut(desk.settings, desk.kinds).run(desk.database, uuid4()) == 0
    assert desk.rows() == []
    assert desk.fan_out() == 1


def test_two_at_once_make_each_delivery_once(desk: Desk) -> None:
    desk.endpoint(URL)
    body = job_body(desk)
    for _ in range(50):
        record(desk, body)
    holder = factories.take_lease(desk.database)

    def run(_: int) -> int:
        with psycopg.connect(desk.settings.database_url, autocommit=True) as connection:
            return FanOut(desk.settings, desk.kinds).run(connection, holder)

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(run, range(4))) == 50
    assert len(desk.rows()) == 100


def test_a_round_of_the_dispatcher_makes_jobs_of_events_and_looks_again_soon(desk: Desk) -> None:
    dispatcher = Dispatcher(desk.settings, create_celery_app(desk.settings))
    try:
        dispatcher.run_round(desk.database)
        desk.endpoint(URL)
        desk.enqueue()
        assert dispatcher.run_round(desk.database) == 0
        assert len(desk.rows()) == 1
        dispatcher.run_round(desk.database)
        state = desk.database.execute("SELECT dispatched_at IS NULL FROM jobs WHERE kind = 'webhook.deliver'")
        assert state.fetchone() == (False,)
        assert dispatcher.run_round(desk.database) <= EVENT_FALLBACK_SECONDS
    finally:
        dispatcher.retire()


def test_the_same_row_makes_the_same_words(desk: Desk) -> None:
    body = job_body(desk)
    record(desk, body)
    columns = "sequence, name, owner_id, subject_id, version, webhook_url, body, created_at"
    row = desk.database.execute(f"SELECT {columns} FROM events").fetchone()  # noqa: S608 - a constant
    assert row is not None
    first, second = (tell(RecordedEvent(*row), desk.settings) for _ in range(2))
    assert first == second
