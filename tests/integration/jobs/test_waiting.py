"""`Prefer: wait` on a real server, with hints and without; order comes from events, never from time."""

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any
from uuid import UUID

import psycopg
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api.resources import LEDGER_CONNECTIONS, Resources
from ops.redis import LocalRedis
from shared.job_kind import JobKind
from shared.settings import Settings
from tests import factories
from tests.conftest import Owner

BODY = {"kind": "test.echo", "input": {"text": "hello"}}


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(32) as pool:
        yield pool


class Watched:
    """Tells when so many requests are waiting inside the app."""

    def __init__(self, app: FastAPI) -> None:
        self._changes = (app.state.resources).changes
        self._more = threading.Condition()
        self._original = self._changes.watch
        self._changes.watch = self._watch
        self._count = 0

    def _watch(self, owner_id: UUID, job_id: UUID) -> Any:
        with self._more:
            self._count += 1
            self._more.notify_all()
        return self._original(owner_id, job_id)

    def wait_for(self, count: int) -> None:
        with self._more:
            assert self._more.wait_for(lambda: self._count >= count, 20)


def run(database: psycopg.Connection, settings: Settings, kinds: dict[str, JobKind], job_id: str) -> None:
    with factories.open_runner(settings, kinds) as runner:
        assert factories.run_job(runner, database, kinds["test.echo"], UUID(job_id)) == "succeeded"


def first_job(database: psycopg.Connection) -> str | None:
    row = database.execute("SELECT id FROM jobs").fetchone()
    return str(row[0]) if row else None


def test_a_post_waits_for_the_end(
    app: FastAPI, client: TestClient, owner: Owner, database: psycopg.Connection, settings: Settings,
    kinds: dict[str, JobKind], pool: ThreadPoolExecutor,
) -> None:  # fmt: skip
    watched = Watched(app)
    headers = owner.headers | {"Prefer": "respond-async, wait=20"}
    pending: Future[Any] = pool.submit(client.post, "/v1/jobs", json=BODY, headers=headers)
    watched.wait_for(1)
    job_id = first_job(database)
    assert job_id is not None
    run(database, settings, kinds, job_id)
    answer = pending.result()
    assert (answer.status_code, answer.json()["state"]) == (200, "succeeded")
    assert answer.headers["preference-applied"] == "wait=20"
    assert answer.headers["location"] == f"/v1/jobs/{job_id}"


def test_time_runs_out(client: TestClient, owner: Owner) -> None:
    answer = client.post("/v1/jobs", json=BODY, headers=owner.headers | {"Prefer": "wait=1"})
    assert (answer.status_code, answer.headers["preference-applied"]) == (202, "wait=1")
    path = answer.headers["location"]
    answer = client.get(path, headers=owner.headers | {"Prefer": "wait=0", "If-None-Match": answer.headers["etag"]})
    assert answer.status_code == 304
    assert client.get(path, headers=owner.headers | {"Prefer": "wait=0"}).json()["state"] == "queued"


def test_a_preference_that_cannot_be_read_is_ignored(client: TestClient, owner: Owner) -> None:
    for prefer in ("wait=soon", "wait", "waiter=5", "wait=-1", ""):
        answer = client.post("/v1/jobs", json=BODY, headers=owner.headers | {"Prefer": prefer})
        assert answer.status_code == 202
        assert "preference-applied" not in answer.headers


def test_waiting_holds_no_connection(app: FastAPI, client: TestClient, owner: Owner, pool: ThreadPoolExecutor) -> None:
    resources: Resources = app.state.resources
    watched = Watched(app)
    path = client.post("/v1/jobs", json=BODY, headers=owner.headers).headers["location"]
    clients = LEDGER_CONNECTIONS * 2
    waiting = [pool.submit(client.get, path, headers=owner.headers | {"Prefer": "wait=20"}) for _ in range(clients)]
    watched.wait_for(clients)
    # With more waiters than connections, this answers only if waiters hold none.
    assert client.get(path, headers=owner.headers).status_code == 200
    assert resources.ledger.get_stats().get("requests_errors", 0) == 0
    client.post(f"{path}/cancel", headers=owner.headers)
    assert {future.result().json()["state"] for future in waiting} == {"cancelled"}


def test_the_first_other_version_ends_a_wait_with_an_etag(
    app: FastAPI, client: TestClient, owner: Owner, pool: ThreadPoolExecutor, database: psycopg.Connection
) -> None:
    watched = Watched(app)
    answer = client.post("/v1/jobs", json=BODY, headers=owner.headers)
    path, etag = answer.headers["location"], answer.headers["etag"]
    headers = owner.headers | {"Prefer": "wait=20", "If-None-Match": etag}
    pending = pool.submit(client.get, path, headers=headers)
    watched.wait_for(1)
    # No hint is sent for this change: the once-a-second look must find it.
    database.execute("UPDATE jobs SET state = 'running', version = version + 1")
    changed = pending.result()
    assert (changed.status_code, changed.json()["state"], changed.json()["version"]) == (200, "running", 2)


def test_with_redis_frozen_jobs_are_accepted_read_waited_for_and_cancelled(
    app: FastAPI, client: TestClient, owner: Owner, pool: ThreadPoolExecutor, redis_server: LocalRedis
) -> None:  # fmt: skip
    watched = Watched(app)
    os.kill(redis_server.pid, signal.SIGSTOP)
    try:
        answer = client.post("/v1/jobs", json=BODY, headers=owner.headers)
        assert answer.status_code == 202
        path = answer.headers["location"]
        pending = pool.submit(client.get, path, headers=owner.headers | {"Prefer": "wait=20"})
        watched.wait_for(1)
        assert client.post(f"{path}/cancel", headers=owner.headers).json()["state"] == "cancelled"
        assert pending.result().json()["state"] == "cancelled"
    finally:
        os.kill(redis_server.pid, signal.SIGCONT)
