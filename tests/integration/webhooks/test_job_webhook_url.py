"""`webhook_url` of single jobs: kept with the job, and an endpoint without a URL to sign for it."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient

from tests.conftest import Owner
from tests.integration.files.bodies import PNG

PATH = "/v1/webhooks/for-jobs"
URL = "https://app.example.com/hooks?order=4711"
PRIVATE = "https://192.168.0.1/"
RIVALS = 6
JSON = dict[str, Any]
Send = Callable[[str | None], Any]


def endpoints(database: psycopg.Connection, owner: Owner) -> list[str]:
    rows = database.execute("SELECT secret FROM webhook_endpoints WHERE owner_id = %s AND url IS NULL", (owner.id,))
    return [secret for (secret,) in rows]


@pytest.fixture(params=["job", "keyed job", "stored picture", "sent picture", "file"])
def send(request: pytest.FixtureRequest, client: TestClient, owner: Owner) -> Send:
    """Give each way to make a job: with a `webhook_url`, or without."""

    def post(path: str, **given: Any) -> Any:
        headers = owner.headers | ({"Idempotency-Key": "one"} if request.param == "keyed job" else {})
        return client.post(path, headers=headers, **given)

    def send_one(url: str | None) -> Any:
        said = {} if url is None else {"webhook_url": url}
        if request.param == "file":
            return post("/v1/files", params={"process": "file.inspect"} | said, content=PNG)
        if request.param == "sent picture":
            return post("/v1/images", files={"file": ("a.png", PNG)}, data={"width": "8"} | said)
        if request.param == "stored picture":
            file_id = client.post("/v1/files", content=PNG, headers=owner.headers).json()["id"]
            return post("/v1/images", json={"file_id": file_id, "renditions": [{"width": 8}]} | said)
        return post("/v1/jobs", json={"kind": "test.echo", "input": {}} | said)

    return send_one


def job_in(answer: Any) -> JSON:
    assert answer.status_code == 202, answer.text
    body = answer.json()
    return body.get("job", body)


def test_a_job_shows_its_url(client: TestClient, owner: Owner, send: Send) -> None:
    job = job_in(send(URL))
    assert job["webhook_url"] == URL
    assert client.get(job["links"]["self"], headers=owner.headers).json()["webhook_url"] == URL


def test_a_job_without_one_shows_none(send: Send) -> None:
    assert job_in(send(None))["webhook_url"] is None


def test_a_private_url_is_refused_and_nothing_is_kept(client: TestClient, owner: Owner, send: Send) -> None:
    answer = send(PRIVATE)
    assert answer.status_code == 422, answer.text
    [error] = answer.json()["errors"]
    assert (error["pointer"], error["code"]) in {
        ("/webhook_url", "webhook_url_not_allowed"),
        ("query/webhook_url", "webhook_url_not_allowed"),
    }
    assert client.get("/v1/jobs", headers=owner.headers).json()["items"] == []


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("", "string_too_short"),
        (7, "string_type"),
        (["https://a.example.com/"], "string_type"),
        (f"https://a.example.com/{'x' * 2048}", "string_too_long"),
        ("https://a.example.com/\0", "webhook_url_not_allowed"),
        ("http://a.example.com/", "webhook_url_not_allowed"),
        ("https://a.example.com/#here", "webhook_url_not_allowed"),
        ("ftp://a.example.com/", "webhook_url_not_allowed"),
        ("https://me@a.example.com/", "webhook_url_not_allowed"),
    ],
)
def test_a_wrong_url_is_named(client: TestClient, owner: Owner, url: object, code: str) -> None:
    jobs = client.post("/v1/jobs", json={"kind": "test.echo", "input": {}, "webhook_url": url}, headers=owner.headers)
    file_id = client.post("/v1/files", content=PNG, headers=owner.headers).json()["id"]
    order = {"file_id": file_id, "renditions": [{"width": 8}], "webhook_url": url}
    images = client.post("/v1/images", json=order, headers=owner.headers)
    for answer in (jobs, images):
        assert answer.status_code == 422, answer.text
        assert [(e["pointer"], e["code"]) for e in answer.json()["errors"]] == [("/webhook_url", code)]


def test_null_is_none(client: TestClient, owner: Owner) -> None:
    body = {"kind": "test.echo", "input": {}, "webhook_url": None}
    assert client.post("/v1/jobs", json=body, headers=owner.headers).json()["webhook_url"] is None


def test_an_upload_without_a_job_has_nothing_to_tell(client: TestClient, owner: Owner) -> None:
    answer = client.post("/v1/files", params={"webhook_url": URL}, content=PNG, headers=owner.headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "webhook_url_not_allowed")
    assert client.get("/v1/files", headers=owner.headers).json()["items"] == []


def test_a_retry_tells_the_same_url(client: TestClient, owner: Owner) -> None:
    job = client.post(
        "/v1/jobs", json={"kind": "test.echo", "input": {}, "webhook_url": URL}, headers=owner.headers
    ).json()
    client.post(job["links"]["cancel"], headers=owner.headers)
    again = client.post(job["links"]["retry"], headers=owner.headers)
    assert (again.status_code, again.json()["webhook_url"]) == (202, URL)


def test_only_the_end_of_the_job_is_told_there(client: TestClient, owner: Owner, database: psycopg.Connection) -> None:
    job = client.post(
        "/v1/jobs", json={"kind": "test.echo", "input": {}, "webhook_url": URL}, headers=owner.headers
    ).json()
    assert database.execute("SELECT name FROM events").fetchall() == []
    client.post(job["links"]["cancel"], headers=owner.headers)
    assert database.execute("SELECT name, webhook_url FROM events").fetchall() == [("job.cancelled", URL)]


def test_rivals_make_one_secret(client: TestClient, owner: Owner, database: psycopg.Connection) -> None:
    at_once = Barrier(RIVALS)

    def read(_: int) -> str:
        at_once.wait()
        return client.get(f"{PATH}/secret", headers=owner.headers).json()["secret"]

    with ThreadPoolExecutor(RIVALS) as threads:
        assert set(threads.map(read, range(RIVALS))) == set(endpoints(database, owner))
    assert len(endpoints(database, owner)) == 1


def test_the_webhook_of_jobs_is_there_before_the_first_job(
    client: TestClient, owner: Owner, stranger: Owner, database: psycopg.Connection
) -> None:
    shown = client.get(PATH, headers=owner.headers)
    assert shown.status_code == 200, shown.text
    first = shown.json()
    assert (first["url"], first["events"], first["links"]["test"]) == (None, [], None)
    assert (first["links"]["self"], first["links"]["deliveries"]) == (PATH, f"{PATH}/deliveries")
    assert client.get(f"/v1/webhooks/{first['id']}", headers=owner.headers).json() == first
    assert client.get("/v1/webhooks", headers=owner.headers).json()["items"] == []
    assert client.get(first["links"]["deliveries"], headers=owner.headers).json()["items"] == []
    assert client.get(PATH, headers=stranger.headers).json()["id"] != first["id"]
    assert len(endpoints(database, owner)) == 1


def test_the_webhook_of_jobs_is_disabled_but_not_moved_nor_deleted(client: TestClient, owner: Owner) -> None:
    for body in ({"url": URL}, {"events": ["*"]}):
        refused = client.patch(PATH, json=body, headers=owner.headers)
        assert (refused.status_code, refused.json()["code"]) == (409, "webhook_for_jobs")
    for method, path in (("DELETE", PATH), ("POST", f"{PATH}/test")):
        refused = client.request(method, path, headers=owner.headers)
        assert (refused.status_code, refused.json()["code"]) == (409, "webhook_for_jobs")
    off = client.patch(PATH, json={"disabled": True, "description": "mine"}, headers=owner.headers).json()
    assert (off["disabled_reason"], off["description"]) == ("manual", "mine")


def test_the_form_part_counts_for_the_key(client: TestClient, owner: Owner) -> None:
    def post(url: str) -> Any:
        headers = owner.headers | {"Idempotency-Key": "one"}
        data = {"renditions": json.dumps([{"width": 8}]), "webhook_url": url}
        return client.post("/v1/images", files={"file": ("a.png", PNG)}, data=data, headers=headers)

    first, again, other = post(URL), post(URL), post("https://other.example.com/")
    assert (first.status_code, again.json()["id"]) == (202, first.json()["id"])
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
