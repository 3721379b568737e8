"""`POST /v1/jobs/bulk`: what is accepted, and that it is frozen when it is."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from fastapi.testclient import TestClient

from shared.ids import new_id
from shared.job_kind import JobKind
from shared.settings import Settings
from tests import factories
from tests.conftest import Owner
from tests.integration.jobs.conftest import JSON, Post, echo

Database = psycopg.Connection


def send(client: TestClient, owner: Owner, action: str, **criteria: Any) -> Any:
    return client.post("/v1/jobs/bulk", json={"action": action, "filter": criteria}, headers=owner.headers)


def run(settings: Settings, database: Database, kinds: dict[str, JobKind], job: JSON) -> str:
    with factories.open_runner(settings, kinds) as runner:
        return factories.run_job(runner, database, kinds["jobs.bulk"], UUID(job["id"]))


def test_it_is_a_job_like_any(
    client: TestClient, post: Post, owner: Owner, stranger: Owner, settings: Settings, database: Database,
    kinds: dict[str, JobKind],
) -> None:  # fmt: skip
    mine = [post(echo(tags=["t"])).json()["id"] for _ in range(3)]
    foreign = client.post("/v1/jobs", json=echo(tags=["t"]), headers=stranger.headers).json()["id"]
    answer = send(client, owner, "cancel", tag=["t"])
    assert answer.status_code == 202
    job = answer.json()
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}"
    assert (job["kind"], job["queue"], job["state"]) == ("jobs.bulk", "maintenance", "queued")

    assert run(settings, database, kinds, job) == "succeeded"

    done = client.get(answer.headers["location"], headers=owner.headers).json()
    assert done["result"] == {"action": "cancel", "matched": 3, "changed": 3, "skipped": 0}
    assert done["progress"] == {"completed": 3, "total": 3, "percent": 100.0, "message": "3 jobs changed"}
    listed = client.get("/v1/jobs", params={"state": "cancelled"}, headers=owner.headers).json()["items"]
    assert {item["id"] for item in listed} == set(mine)
    assert factories.read_state(database, UUID(foreign)) == "queued"


def test_it_can_be_cancelled(client: TestClient, owner: Owner) -> None:
    path = send(client, owner, "cancel", kind=["test.echo"]).headers["location"]
    assert client.post(f"{path}/cancel", headers=owner.headers).json()["state"] == "cancelled"
    assert client.post(f"{path}/retry", headers=owner.headers).status_code == 409


def test_what_comes_after_its_acceptance_is_not_touched(
    client: TestClient, post: Post, owner: Owner, settings: Settings, database: Database, kinds: dict[str, JobKind]
) -> None:
    far = (datetime.now(UTC) + timedelta(days=300)).isoformat()
    before = post(echo()).json()
    bulk = send(client, owner, "cancel", created_before=far).json()
    after = post(echo()).json()
    assert bulk["input"]["filter"]["created_before"] == bulk["created_at"]

    # Itself matches in all but its time.
    assert run(settings, database, kinds, bulk) == "succeeded"

    assert [factories.read_state(database, UUID(job["id"])) for job in (before, after)] == ["cancelled", "queued"]


def test_relative_times_are_frozen_on_the_clock_of_the_database(client: TestClient, owner: Owner) -> None:
    def frozen(**criteria: Any) -> timedelta:
        job = send(client, owner, "purge", **criteria).json()
        before = datetime.fromisoformat(job["input"]["filter"]["created_before"])
        return datetime.fromisoformat(job["created_at"]) - before

    hours = (datetime.now(UTC) - timedelta(hours=2)).isoformat()
    assert frozen(older_than_seconds=3600) == timedelta(hours=1)
    assert frozen(older_than_seconds=0) == timedelta(0)
    assert frozen(older_than_seconds=86400, created_before=hours) == timedelta(days=1)
    assert timedelta(hours=2) <= frozen(older_than_seconds=3600, created_before=hours) < timedelta(hours=3)


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-11-24T00:00:00Z"])
def test_times_at_the_ends_of_time(
    client: TestClient, owner: Owner, settings: Settings, database: Database, kinds: dict[str, JobKind], moment: str
) -> None:
    for name in ("created_before", "created_after"):
        answer = send(client, owner, "cancel", **{name: moment})
        assert answer.status_code == 202
        assert run(settings, database, kinds, answer.json()) == "succeeded"


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({"action": "cancel"}, "/filter", "missing"),
        ({"filter": {"kind": ["test.echo"]}}, "/action", "missing"),
        ({"action": "explode", "filter": {"kind": ["x"]}}, "/action", "literal_error"),
        ({"action": "cancel", "filter": {}}, "/filter", "missing_criterion"),
        ({"action": "cancel", "filter": {"created_after": None}}, "/filter", "missing_criterion"),
        ({"action": "cancel", "filter": {"state": []}}, "/filter/state", "too_short"),
        ({"action": "cancel", "filter": {"state": ["gone"]}}, "/filter/state/0", "enum"),
        ({"action": "cancel", "filter": {"kind": [""]}}, "/filter/kind/0", "string_too_short"),
        ({"action": "cancel", "filter": {"tag": ["a b"]}}, "/filter/tag/0", "string_pattern_mismatch"),
        ({"action": "cancel", "filter": {"id": ["7"]}}, "/filter/id/0", "uuid_parsing"),
        ({"action": "cancel", "filter": {"id": [str(new_id())] * 1001}}, "/filter/id", "too_long"),
        ({"action": "cancel", "filter": {"created_after": 0}}, "/filter/created_after", "datetime_parsing"),
        ({"action": "cancel", "filter": {"created_before": "2026-01-01T00:00:00"}}, "/filter/created_before",
         "timezone_aware"),
        ({"action": "cancel", "filter": {"older_than_seconds": -1}}, "/filter/older_than_seconds",
         "greater_than_equal"),
        ({"action": "cancel", "filter": {"older_than_seconds": 1e300}}, "/filter/older_than_seconds",
         "less_than_equal"),
        ({"action": "cancel", "filter": {"older_than_seconds": "9"}}, "/filter/older_than_seconds", "float_type"),
        ({"action": "cancel", "filter": {"kind": ["x"], "colour": "red"}}, "/filter/colour", "extra_forbidden"),
        ({"action": "cancel", "filter": {"kind": ["x"]}, "batch_size": 1}, "/batch_size", "extra_forbidden"),
        ({"action": "cancel", "filter": {"state": ["failed"]}}, "/filter/state", "state_out_of_reach"),
        ({"action": "cancel", "filter": {"state": ["queued", "expired"]}}, "/filter/state", "state_out_of_reach"),
        ({"action": "retry", "filter": {"state": ["succeeded"]}}, "/filter/state", "state_out_of_reach"),
        ({"action": "purge", "filter": {"state": ["retrying"]}}, "/filter/state", "state_out_of_reach"),
    ],
)  # fmt: skip
def test_bad_bodies_are_refused_by_name(
    client: TestClient, owner: Owner, database: Database, body: JSON, pointer: str, code: str
) -> None:
    answer = client.post("/v1/jobs/bulk", json=body, headers=owner.headers)
    assert answer.status_code == 422
    assert (pointer, code) in [(error["pointer"], error["code"]) for error in answer.json()["errors"]]
    assert database.execute("SELECT count(*) FROM jobs").fetchone() == (0,)


def test_text_that_cannot_be_stored_is_refused(client: TestClient, owner: Owner) -> None:
    for kind in ("\\u0000", "\\ud800"):
        body = '{"action": "cancel", "filter": {"kind": ["' + kind + '"]}}'
        headers = owner.headers | {"Content-Type": "application/json"}
        assert client.post("/v1/jobs/bulk", content=body, headers=headers).status_code == 422, kind


def test_without_credentials(client: TestClient) -> None:
    assert client.post("/v1/jobs/bulk", json={"action": "cancel", "filter": {"kind": ["x"]}}).status_code == 401


def test_the_place_is_no_job(client: TestClient, owner: Owner) -> None:
    assert client.get("/v1/jobs/bulk", headers=owner.headers).status_code == 422


def test_other_jobs_can_be_read_while_it_waits(client: TestClient, post: Post, owner: Owner) -> None:
    job = post(echo()).json()
    answer = client.post(
        "/v1/jobs/bulk",
        json={"action": "cancel", "filter": {"id": [job["id"]]}},
        headers=owner.headers | {"Prefer": "wait=0"},
    )
    assert (answer.status_code, answer.headers["preference-applied"]) == (202, "wait=0")
