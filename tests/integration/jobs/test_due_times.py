from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from fastapi.testclient import TestClient

from tests.conftest import Owner


@pytest.mark.parametrize("run_at", ["0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00Z", "1970-01-01t00:00:00-12:00"])
def test_a_time_that_has_passed_means_now(
    client: TestClient, owner: Owner, database: psycopg.Connection, run_at: str
) -> None:
    before = datetime.now(UTC)
    body = {"kind": "test.echo", "input": {}, "run_at": run_at, "ttl_seconds": 60}

    answer = client.post("/v1/jobs", json=body, headers=owner.headers)

    assert answer.status_code == 202
    row = database.execute("SELECT state, run_at, ttl_at FROM jobs WHERE id = %s", (answer.json()["id"],)).fetchone()
    assert row is not None
    assert row[0] == "queued"
    assert before <= row[1] <= datetime.now(UTC)
    assert row[2] == row[1] + timedelta(seconds=60)


@pytest.mark.parametrize(
    "run_at",
    [
        "9999-12-31T23:59:59-14:00", "9999-12-31T23:59:59.999999+14:00", "2100-01-01T00:00:00", "2026-02-30T00:00:00Z",
        "2026-11-24", "now", "0", "-1.5", 0, 1e300, True,
    ],
)  # fmt: skip
def test_what_is_no_time_within_a_year_is_refused(client: TestClient, owner: Owner, run_at: str | float) -> None:
    body = {"kind": "test.echo", "input": {}, "run_at": run_at}

    answer = client.post("/v1/jobs", json=body, headers=owner.headers)

    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/run_at"]
