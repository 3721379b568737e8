"""Records past their time go; those that somebody still needs stay."""

from typing import Any

import psycopg
import pytest
from pydantic import ValidationError

from shared.ids import new_id
from shared.job_kind import JobKind
from tests.integration.kinds.conftest import Yard

_KEY = """
INSERT INTO idempotency_keys (owner_id, route, key, status, claim_id, created_at, lease_expires_at)
VALUES (%s, 'POST /v1/files', %s, %s, gen_random_uuid(), now() - %s::interval, now() + %s::interval)
"""
_TOKEN = """
INSERT INTO refresh_tokens (token_hash, family_id, user_id, expires_at, revoked_at)
VALUES (%s, %s, %s, now() - %s::interval, now())
"""
_WORKER = """
INSERT INTO workers (id, name, pid, queues, slots, busy, consuming, seen_at)
VALUES (%s, %s, 7, '{default}', 2, 0, true, now() - %s::interval)
"""
_TICKET = """
INSERT INTO stream_tickets (ticket_hash, user_id, role, token_expires_at, expires_at)
VALUES (%s, %s, 'user', now() + interval '1 hour', now() - %s::interval)
"""
_BROADCAST = "INSERT INTO broadcasts (id, message, created_at) VALUES (%s, %s, now() - %s::interval)"
_ENDPOINT = "INSERT INTO webhook_endpoints (id, owner_id, url, secret) VALUES (%s, %s, 'https://example.com', 'whsec_')"
_DELIVERY = """
INSERT INTO webhook_deliveries
    (id, endpoint_id, event_id, event, subject_id, version, url, body, state, created_at)
VALUES (%(id)s, %(endpoint)s, %(id)s, %(event)s, %(id)s, 1, 'https://example.com', '{}', %(state)s,
        now() - %(age)s::interval)
"""


def purge(yard: Yard, **options: object) -> dict[str, Any]:
    row = yard.run("records.purge", options)
    assert row["state"] == "succeeded"
    return row["result"]


def left(yard: Yard, statement: bytes) -> list[Any]:
    return [row[0] for row in yard.database.execute(statement)]


def add_keys(yard: Yard) -> None:
    for key, status, age, lease in (
        ("old", 202, "25 hours", None),
        ("old, its upload lost", None, "25 hours", "-1 second"),
        ("old, being uploaded", None, "25 hours", "1 minute"),
        ("young", 202, "23 hours", None),
        ("young, its upload lost", None, "23 hours", "-1 second"),
    ):
        yard.database.execute(_KEY, (yard.owner.id, key, status, age, lease))


def add_tokens(yard: Yard) -> None:
    for name, age in (("long over", "25 hours"), ("just over", "23 hours"), ("live", "-1 hour")):
        yard.database.execute(_TOKEN, (name.encode(), new_id(), yard.owner.id, age))


def add_workers(yard: Yard) -> None:
    for name, age in (("lost", "25 hours"), ("silent", "23 hours"), ("well", "0")):
        yard.database.execute(_WORKER, (new_id(), name, age))


def add_tickets(yard: Yard) -> None:
    for name, age in (("expired", "1 second"), ("live", "-20 seconds")):
        yard.database.execute(_TICKET, (name.encode(), yard.owner.id, age))


def add_broadcasts(yard: Yard) -> None:
    for message, age in (("yesterday's", "25 hours"), ("today's", "23 hours")):
        yard.database.execute(_BROADCAST, (new_id(), message, age))


def add_deliveries(yard: Yard) -> None:
    endpoint = new_id()
    yard.database.execute(_ENDPOINT, (endpoint, yard.owner.id))
    for event, state, age in (
        ("old and over", "failed", "31 days"),
        ("old and pending", "pending", "31 days"),
        ("young and over", "delivered", "29 days"),
    ):
        values = {"id": new_id(), "endpoint": endpoint, "event": event, "state": state, "age": age}
        yard.database.execute(_DELIVERY, values)


NOTHING = dict.fromkeys(
    ("idempotency_keys", "refresh_tokens", "workers", "stream_tickets", "broadcasts", "webhook_deliveries"), 0
)


def test_what_is_past_its_time_goes(yard: Yard) -> None:
    add_keys(yard)
    add_tokens(yard)
    add_workers(yard)
    add_tickets(yard)
    add_broadcasts(yard)
    add_deliveries(yard)

    assert purge(yard) == dict.fromkeys(NOTHING, 1) | {"idempotency_keys": 2}

    assert left(yard, b"SELECT key FROM idempotency_keys ORDER BY key") == [
        "old, being uploaded", "young", "young, its upload lost"
    ]  # fmt: skip
    assert left(yard, b"SELECT token_hash FROM refresh_tokens ORDER BY 1") == [b"just over", b"live"]
    assert left(yard, b"SELECT name FROM workers ORDER BY 1") == ["silent", "well"]
    assert left(yard, b"SELECT ticket_hash FROM stream_tickets") == [b"live"]
    assert left(yard, b"SELECT message FROM broadcasts") == ["today's"]
    assert left(yard, b"SELECT event FROM webhook_deliveries ORDER BY 1") == ["old and pending", "young and over"]
    assert purge(yard) == NOTHING


@pytest.mark.parametrize("batch_size", [1, 2, 5, 7])
def test_in_batches(yard: Yard, batch_size: int) -> None:
    for number in range(5):
        yard.database.execute(_KEY, (yard.owner.id, str(number), 200, "2 days", None))
        yard.database.execute(_TOKEN, (str(number).encode(), new_id(), yard.owner.id, "2 days"))
        yard.database.execute(_WORKER, (new_id(), str(number), "2 days"))
    assert purge(yard, batch_size=batch_size) == NOTHING | {"idempotency_keys": 5, "refresh_tokens": 5, "workers": 5}
    row = yard.read("jobs", left(yard, b"SELECT id FROM jobs")[0])
    assert (row["progress_completed"], row["progress_message"]) == (15, "15 records deleted")


def test_a_key_that_a_request_is_using_is_left_to_it(yard: Yard) -> None:
    add_keys(yard)
    with psycopg.connect(yard.settings.database_url) as request:
        request.execute("SELECT 1 FROM idempotency_keys WHERE key = 'old' FOR UPDATE")
        assert purge(yard)["idempotency_keys"] == 1
    assert purge(yard)["idempotency_keys"] == 1


@pytest.mark.parametrize("job_input", [{"batch_size": 0}, {"older": 3}])
def test_what_is_refused(kinds: dict[str, JobKind], job_input: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        kinds["records.purge"].input_model.model_validate(job_input)
