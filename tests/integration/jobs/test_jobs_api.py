from uuid import UUID

import psycopg
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from shared.ids import new_id
from shared.job_kind import JobKind
from shared.settings import Settings
from tests import factories
from tests.conftest import Owner
from tests.integration.jobs.conftest import JSON, Post, echo


def test_accepted_means_committed(post: Post, database: psycopg.Connection) -> None:
    answer = post(echo(tags=["a", "b"], priority=7, max_attempts=9))
    assert answer.status_code == 202
    job = answer.json()
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}"
    assert answer.headers["etag"] == '"1"'
    assert answer.headers["retry-after"] == "1"
    row = database.execute("SELECT state, priority, tags, max_attempts FROM jobs WHERE id = %s", (job["id"],))
    assert row.fetchone() == ("queued", 7, ["a", "b"], 9)


def test_the_first_answer_is_what_the_ledger_holds(client: TestClient, post: Post, owner: Owner) -> None:
    for options in ({}, {"run_at": "2026-12-31T00:00:00+02:00", "ttl_seconds": 1.5, "tags": ["t"], "unique_key": "u"}):
        answer = post(echo(priority=-3, **options))
        assert answer.json() == client.get(answer.headers["location"], headers=owner.headers).json()


def test_the_frame_has_every_field_of_the_model(post: Post, app: FastAPI) -> None:
    frame = post(echo()).json()
    model = app.openapi()["components"]["schemas"]["Job"]
    assert set(frame) == set(model["properties"])
    assert set(frame) == set(model["required"])
    assert UUID(frame["id"]).version == 7
    assert (frame["state"], frame["done"], frame["result"], frame["error"]) == ("queued", False, None, None)


@pytest.mark.parametrize(
    ("change", "pointer", "code"),
    [
        ({"kind": "no.such"}, "", "union_tag_invalid"),
        ({"kind": "test.internal"}, "", "union_tag_invalid"),
        ({"kind": None}, "", "union_tag_invalid"),
        ({"surprise": 1}, "/surprise", "extra_forbidden"),
        ({"input": {"text": "x", "colour": "red"}}, "/input/colour", "extra_forbidden"),
        ({"input": {"text": 7}}, "/input/text", "string_type"),
        ({"input": None}, "/input", "model_type"),
        ({"priority": 101}, "/priority", "less_than_equal"),
        ({"priority": 1.5}, "/priority", "int_type"),
        ({"tags": ["x"] * 21}, "/tags", "too_long"),
        ({"tags": ["a b"]}, "/tags/0", "string_pattern_mismatch"),
        ({"run_at": "tomorrow"}, "/run_at", "datetime_parsing"),
        ({"run_at": "2026-01-01T00:00:00"}, "/run_at", "timezone_aware"),
        ({"run_at": "2999-01-01T00:00:00Z"}, "/run_at", "value_error"),
        ({"ttl_seconds": 0}, "/ttl_seconds", "greater_than"),
        ({"ttl_seconds": 1e300}, "/ttl_seconds", "less_than_equal"),
        ({"max_attempts": 0}, "/max_attempts", "greater_than_equal"),
        ({"unique_key": ""}, "/unique_key", "string_too_short"),
    ],
)
def test_bad_bodies_are_refused_by_name(post: Post, change: JSON, pointer: str, code: str) -> None:
    answer = post(echo() | change)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["code"] == "invalid_input"
    assert (pointer, code) in [(error["pointer"], error["code"]) for error in problem["errors"]]


def test_text_that_cannot_be_stored_is_refused(client: TestClient, owner: Owner) -> None:
    for text in ("\\u0000", "\\ud800"):
        body = '{"kind": "test.echo", "input": {"text": "' + text + '"}}'
        answer = client.post("/v1/jobs", content=body, headers=owner.headers | {"Content-Type": "application/json"})
        assert answer.status_code == 422, text


@pytest.mark.parametrize(
    ("body", "statuses"),
    [
        (b'{"kind": "test.echo", "input": {"text": "\xff"}}', {400, 422}),
        (b"{", {422}),
        (b"", {422}),
        (b"[]", {422}),
        (b"NaN", {422}),
        (b'{"kind": "test.echo", "input": {}, "ttl_seconds": NaN}', {422}),
        (b"[" * 100_000, {400, 422}),
    ],
)
def test_bodies_that_are_no_json_of_ours(client: TestClient, owner: Owner, body: bytes, statuses: set[int]) -> None:
    answer = client.post("/v1/jobs", content=body, headers=owner.headers | {"Content-Type": "application/json"})
    assert answer.status_code in statuses
    assert answer.headers["content-type"] == "application/problem+json"


def test_five_megabytes_of_json_are_refused(client: TestClient, owner: Owner) -> None:
    body = b'{"kind": "test.echo", "input": {"text": "' + b"x" * 5_000_000 + b'"}}'
    headers = owner.headers | {"Content-Type": "application/json"}
    assert client.post("/v1/jobs", content=body, headers=headers).status_code == 413
    chunks = (body[start : start + 65536] for start in range(0, len(body), 65536))
    answer = client.post("/v1/jobs", content=chunks, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


def test_huge_headers_are_refused(client: TestClient, owner: Owner) -> None:
    answer = client.get("/v1/jobs", headers=owner.headers | {"X-Large": "x" * 100_000})
    assert (answer.status_code, answer.json()["code"]) == (431, "headers_too_large")


def test_without_credentials(client: TestClient) -> None:
    for method, path in (("GET", "/v1/jobs"), ("POST", "/v1/jobs"), ("GET", f"/v1/jobs/{new_id()}")):
        answer = client.request(method, path)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"


def test_unknown_and_foreign_jobs_look_the_same(client: TestClient, post: Post, stranger: Owner) -> None:
    job_id = post(echo()).json()["id"]
    for target in (job_id, str(new_id())):
        for method, suffix in (
            ("GET", ""),
            ("POST", "/cancel"),
            ("POST", "/retry"),
            ("GET", "/attempts"),
            ("DELETE", ""),
        ):
            answer = client.request(method, f"/v1/jobs/{target}{suffix}", headers=stranger.headers)
            assert (answer.status_code, answer.json()["code"]) == (404, "job_not_found")
    assert client.get("/v1/jobs/nonsense", headers=stranger.headers).status_code == 422
    assert client.get("/v1/jobs", headers=stranger.headers).json() == {"items": [], "next_cursor": None}


def test_etag(client: TestClient, post: Post, owner: Owner) -> None:
    answer = post(echo())
    path, etag = answer.headers["location"], answer.headers["etag"]
    unchanged = client.get(path, headers=owner.headers | {"If-None-Match": f'"x", W/{etag}'})
    assert (unchanged.status_code, unchanged.content, unchanged.headers["etag"]) == (304, b"", etag)
    client.post(f"{path}/cancel", headers=owner.headers)
    changed = client.get(path, headers=owner.headers | {"If-None-Match": etag})
    assert changed.status_code == 200
    assert changed.headers["etag"] == '"2"'
    assert "retry-after" not in changed.headers


def test_a_unique_key_gives_the_live_job_again(post: Post) -> None:
    first = post(echo(unique_key="k"))
    second = post(echo(unique_key="k", input={"text": "other"}))
    assert (first.status_code, second.status_code) == (202, 200)
    assert second.headers["jobyard-existing"] == "true"
    assert second.headers["location"] == first.headers["location"]


def test_cancel_is_idempotent_until_the_job_ended_otherwise(
    client: TestClient, post: Post, owner: Owner, database: psycopg.Connection
) -> None:
    path = post(echo()).headers["location"]
    for _ in range(2):
        answer = client.post(f"{path}/cancel", headers=owner.headers)
        assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
        assert answer.json()["error"]["code"] == "cancelled"
    path = post(echo()).headers["location"]
    database.execute("UPDATE jobs SET state = 'running' WHERE id = %s", (path.rpartition("/")[2],))
    for _ in range(2):
        answer = client.post(f"{path}/cancel", headers=owner.headers)
        job = answer.json()
        assert (answer.status_code, job["state"], job["cancel_requested"]) == (200, "running", True)
    database.execute("UPDATE jobs SET state = 'succeeded' WHERE id = %s", (path.rpartition("/")[2],))
    answer = client.post(f"{path}/cancel", headers=owner.headers)
    assert (answer.status_code, answer.json()["code"]) == (409, "illegal_transition")


def test_retry_makes_a_new_job(client: TestClient, post: Post, owner: Owner) -> None:
    old = post(echo(tags=["t"], priority=3))
    path = old.headers["location"]
    assert client.post(f"{path}/retry", headers=owner.headers).status_code == 409
    client.post(f"{path}/cancel", headers=owner.headers)
    answer = client.post(f"{path}/retry", headers=owner.headers)
    job = answer.json()
    assert answer.status_code == 202
    assert job["retried_from"] == old.json()["id"]
    assert job["id"] != old.json()["id"]
    assert (job["input"], job["tags"], job["priority"], job["state"]) == (old.json()["input"], ["t"], 3, "queued")


def test_a_job_whose_kind_has_changed_is_not_retried(
    client: TestClient, post: Post, owner: Owner, database: psycopg.Connection
) -> None:
    path = post(echo()).headers["location"]
    client.post(f"{path}/cancel", headers=owner.headers)
    database.execute("""UPDATE jobs SET input = '{"colour": "red"}'""")
    answer = client.post(f"{path}/retry", headers=owner.headers)
    assert (answer.status_code, answer.json()["code"]) == (409, "illegal_transition")


def test_delete_is_for_jobs_that_are_done(client: TestClient, post: Post, owner: Owner) -> None:
    path = post(echo()).headers["location"]
    assert client.delete(path, headers=owner.headers).status_code == 409
    client.post(f"{path}/cancel", headers=owner.headers)
    assert client.delete(path, headers=owner.headers).status_code == 204
    assert client.get(path, headers=owner.headers).status_code == 404


def test_attempts_are_listed(
    client: TestClient, post: Post, owner: Owner, database: psycopg.Connection, settings: Settings,
    kinds: dict[str, JobKind],
) -> None:  # fmt: skip
    job = post(echo(input={"text": "x", "ending": "retry_once"})).json()
    with factories.open_runner(settings, kinds) as runner:
        states = [factories.run_job(runner, database, kinds["test.echo"], UUID(job["id"])) for _ in range(2)]
    assert states == ["retrying", "succeeded"]
    attempts = client.get(f"/v1/jobs/{job['id']}/attempts", headers=owner.headers).json()
    assert [(attempt["fence"], attempt["outcome"], attempt["error_code"]) for attempt in attempts] == [
        (1, "errored", "retry"),
        (2, "succeeded", None),
    ]


def test_unknown_routes_and_methods_are_problems_too(client: TestClient, owner: Owner) -> None:
    for method, path, status in (("GET", "/v1/nothing", 404), ("PUT", "/v1/jobs", 405)):
        answer = client.request(method, path, headers=owner.headers)
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == status


def test_every_answer_names_its_request(client: TestClient) -> None:
    assert client.get("/health/live", headers={"X-Request-ID": "abc123"}).headers["x-request-id"] == "abc123"
    odd = client.get("/health/live", headers=[(b"x-request-id", b"a\tb\xe9")])
    assert UUID(odd.headers["x-request-id"]).version == 7


def test_a_token_that_outlives_its_user_is_no_credential(
    client: TestClient, owner: Owner, database: psycopg.Connection
) -> None:
    database.execute("DELETE FROM users WHERE id = %s", (owner.id,))
    requests: list[tuple[str, JSON]] = [
        ("/v1/jobs", {"json": echo()}),
        ("/v1/files", {"content": b"some text"}),
        ("/v1/emails", {"json": {"to": ["a@example.com"], "subject": "s", "text": "t"}}),
    ]
    for path, request in requests:
        answer = client.post(path, headers=owner.headers, **request)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized"), path
