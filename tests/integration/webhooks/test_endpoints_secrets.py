"""The secrets of webhooks over HTTP: shown to their owner, and changed without a gap."""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient

from tests.conftest import Owner
from tests.integration.webhooks.delivery_log import URL

DAY = 24 * 60 * 60
JSON = dict[str, Any]


@pytest.fixture(params=["registered", "of jobs"])
def webhook(request: pytest.FixtureRequest, client: TestClient, owner: Owner) -> JSON:
    if request.param == "of jobs":
        return client.get("/v1/webhooks/for-jobs", headers=owner.headers).json()
    made = client.post("/v1/webhooks", json={"url": URL}, headers=owner.headers).json()
    secret = made.pop("secret")
    assert secret_of(client, owner, made) == secret
    return made


def secret_of(client: TestClient, owner: Owner, webhook: JSON) -> str:
    answer = client.get(webhook["links"]["secret"], headers=owner.headers)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store"), answer.text
    return answer.json()["secret"]


def rotate(client: TestClient, owner: Owner, webhook: JSON, body: JSON | None = None, **headers: str) -> Any:
    return client.post(webhook["links"]["rotate_secret"], json=body, headers=owner.headers | headers)


def previous(database: psycopg.Connection, webhook: JSON) -> tuple[str | None, datetime | None]:
    row = database.execute(
        "SELECT previous_secret, previous_secret_until FROM webhook_endpoints WHERE id = %s", (webhook["id"],)
    ).fetchone()
    assert row is not None
    return row[0], row[1]


@pytest.mark.parametrize(("body", "seconds"), [(None, DAY), ({}, DAY), ({"overlap_seconds": 7 * DAY}, 7 * DAY)])
def test_the_secret_of_before_signs_for_a_while(
    client: TestClient, owner: Owner, database: psycopg.Connection, webhook: JSON, body: JSON | None, seconds: int
) -> None:
    old = secret_of(client, owner, webhook)
    rotated = rotate(client, owner, webhook, body)
    assert (rotated.status_code, rotated.headers["cache-control"]) == (200, "no-store"), rotated.text
    new = rotated.json()
    assert new["secret"] == secret_of(client, owner, webhook) != old
    kept, until = previous(database, webhook)
    assert (kept, until) == (old, datetime.fromisoformat(new["secret_rotates_until"]))
    assert abs(datetime.fromisoformat(new["secret_rotates_until"]) - datetime.now(UTC) - timedelta(seconds=seconds)) < (
        timedelta(minutes=1)
    )
    shown = client.get(webhook["links"]["self"], headers=owner.headers).json()
    assert shown == webhook | {"secret_rotates_until": new["secret_rotates_until"]}


def test_without_overlap_the_secret_of_before_is_worth_nothing(
    client: TestClient, owner: Owner, database: psycopg.Connection, webhook: JSON
) -> None:
    rotate(client, owner, webhook)
    assert rotate(client, owner, webhook, {"overlap_seconds": 0}).json()["secret_rotates_until"] is None
    assert previous(database, webhook) == (None, None)


def test_of_three_secrets_the_newest_two_sign(
    client: TestClient, owner: Owner, database: psycopg.Connection, webhook: JSON
) -> None:
    second = rotate(client, owner, webhook).json()["secret"]
    third = rotate(client, owner, webhook).json()["secret"]
    assert (previous(database, webhook)[0], secret_of(client, owner, webhook)) == (second, third)


def test_a_rotation_that_is_over_is_not_shown(
    client: TestClient, owner: Owner, database: psycopg.Connection, webhook: JSON
) -> None:
    rotate(client, owner, webhook)
    database.execute("UPDATE webhook_endpoints SET previous_secret_until = now() - interval '1 second'")
    assert client.get(webhook["links"]["self"], headers=owner.headers).json() == webhook


def test_a_key_rotates_once(client: TestClient, owner: Owner, webhook: JSON) -> None:
    first, again = (rotate(client, owner, webhook, {}, **{"Idempotency-Key": "one"}) for _ in range(2))
    assert (again.json(), again.headers["idempotency-replayed"]) == (first.json(), "true")
    assert secret_of(client, owner, webhook) == first.json()["secret"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"overlap_seconds": -1}, "greater_than_equal"),
        ({"overlap_seconds": 7 * DAY + 1}, "less_than_equal"),
        ({"overlap_seconds": "60"}, "int_type"),
        ({"overlap_seconds": None}, "int_type"),
        ({"secret": "whsec_mine"}, "extra_forbidden"),
    ],
)
def test_a_wrong_overlap_rotates_nothing(
    client: TestClient, owner: Owner, webhook: JSON, body: JSON, code: str
) -> None:
    old = secret_of(client, owner, webhook)
    answer = rotate(client, owner, webhook, body)
    assert (answer.status_code, [each["code"] for each in answer.json()["errors"]]) == (422, [code])
    assert secret_of(client, owner, webhook) == old
