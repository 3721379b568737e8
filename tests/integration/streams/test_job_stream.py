"""`GET /v1/jobs/{id}/events`: one job's frames, from the newest to the last."""

from contextlib import ExitStack
from typing import Any
from uuid import UUID

import httpx2
import psycopg
import pytest
from fastapi import FastAPI

from api.refresh_tokens import hash_token
from api.resources import LEDGER_CONNECTIONS
from shared.ids import new_id
from shared.job_kind import JobKind
from shared.settings import Settings
from tests import factories
from tests.app_server import AppServer
from tests.conftest import Owner
from tests.event_reader import Stream, StreamEvent, follow
from tests.integration.streams.conftest import change

JSON = dict[str, Any]
BODY = {"kind": "test.echo", "input": {"text": "hello\nworld"}, "tags": ["a"]}


@pytest.fixture
def job(http: httpx2.Client, owner: Owner) -> JSON:
    return http.post("/v1/jobs", json=BODY, headers=owner.headers).raise_for_status().json()


@pytest.fixture
def path(job: JSON) -> str:
    return f"/v1/jobs/{job['id']}/events"


def run(database: psycopg.Connection, settings: Settings, kinds: dict[str, JobKind], job: JSON) -> None:
    with factories.open_runner(settings, kinds) as runner:
        assert factories.run_job(runner, database, kinds["test.echo"], UUID(job["id"])) == "succeeded"


@pytest.mark.usefixtures("never_looking")
def test_the_newest_frame_comes_first_and_the_last_one_ends_the_stream(
    http: httpx2.Client, owner: Owner, database: psycopg.Connection, settings: Settings, kinds: dict[str, JobKind],
    job: JSON, path: str,
) -> None:  # fmt: skip
    with follow(http, path, owner.headers) as stream:
        assert stream.response.headers["content-type"] == "text/event-stream"
        assert stream.response.headers["cache-control"] == "no-store"
        assert stream.response.headers["x-accel-buffering"] == "no"
        assert stream.next() == StreamEvent("job", job["version"], job)
        run(database, settings, kinds, job)
        events = [event for event in stream.rest() if event.name]
    last = http.get(f"/v1/jobs/{job['id']}", headers=owner.headers).json()
    assert (last["state"], events[-1]) == ("succeeded", StreamEvent("job", last["version"], last))
    ids = [event.id or 0 for event in events]
    assert ids == sorted(set(ids))


def test_a_client_that_comes_back_is_told_only_what_is_newer(
    http: httpx2.Client, owner: Owner, database: psycopg.Connection, job: JSON, path: str
) -> None:
    with follow(http, path, owner.headers, job["version"]) as stream:
        change(database, job["id"], state="running")
        assert stream.next().id == job["version"] + 1
    with follow(http, path, owner.headers, job["version"]) as stream:
        assert stream.next_job()["state"] == "running"


def test_a_last_event_id_that_the_job_never_had_is_ignored(
    http: httpx2.Client, owner: Owner, job: JSON, path: str
) -> None:
    for last in ("", "soon", "-1", "1.5", "9" * 30, "\u0661", "10000"):
        headers: Any = owner.headers | {"Last-Event-ID": last.encode()}
        with follow(http, path, headers) as stream:
            assert stream.next_job() == job


def test_who_knows_the_end_is_told_that_there_is_no_more(
    http: httpx2.Client, owner: Owner, job: JSON, path: str
) -> None:
    ended = http.post(job["links"]["cancel"], headers=owner.headers).json()
    with follow(http, path, owner.headers, job["version"]) as stream:
        assert stream.rest() == [StreamEvent("job", ended["version"], ended)]
    answer = http.get(path, headers=owner.headers | {"Last-Event-ID": str(ended["version"])})
    assert (answer.status_code, answer.content) == (204, b"")


def test_a_change_that_no_message_tells_of_is_found_in_the_ledger(
    http: httpx2.Client, owner: Owner, database: psycopg.Connection, job: JSON, path: str
) -> None:
    with follow(http, path, owner.headers) as stream:
        assert stream.next_job()["state"] == "queued"
        change(database, job["id"], state="running")
        assert stream.next_job()["state"] == "running"
        change(database, job["id"], progress_completed=1, progress_total=2)
        assert stream.next_job()["progress"]["percent"] == 50
        change(database, job["id"], state="queued")
        assert stream.next_job()["state"] == "queued"


def test_a_job_that_is_deleted_ends_its_stream(
    http: httpx2.Client, owner: Owner, database: psycopg.Connection, path: str
) -> None:
    with follow(http, path, owner.headers) as stream:
        stream.next_job()
        database.execute("DELETE FROM jobs")
        assert stream.rest()[-1] == StreamEvent("end", None, {"reason": "gone"})
    assert http.get(path, headers=owner.headers).status_code == 404


def test_a_stream_that_cannot_begin_is_a_problem(http: httpx2.Client, owner: Owner, stranger: Owner, path: str) -> None:
    for at, headers, status in (
        (path, {}, 401),
        (path, {"Authorization": "Bearer none"}, 401),
        (f"{path}?ticket=none", {}, 401),
        (path, stranger.headers, 404),
        (f"/v1/jobs/{new_id()}/events", owner.headers, 404),
        ("/v1/jobs/none/events", owner.headers, 422),
    ):
        answer = http.get(at, headers=headers)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


def test_a_stream_ends_with_its_token(
    http: httpx2.Client, owner: Owner, database: psycopg.Connection, path: str
) -> None:
    database.execute(
        "INSERT INTO stream_tickets (ticket_hash, user_id, role, token_expires_at, expires_at) "
        "VALUES (%s, %s, 'user', clock_timestamp() + interval '0.5 seconds', clock_timestamp() + interval '1 minute')",
        (hash_token("a-ticket"), owner.id),
    )
    with follow(http, f"{path}?ticket=a-ticket", {}) as stream:
        assert stream.next_job()["state"] == "queued"
        assert stream.rest()[-1] == StreamEvent("end", None, {"reason": "token_expired"})
    assert http.get(f"{path}?ticket=a-ticket").status_code == 401


def test_a_server_that_stops_ends_its_streams(server: AppServer, http: httpx2.Client, owner: Owner, path: str) -> None:
    with follow(http, path, owner.headers) as one, follow(http, "/v1/events", owner.headers) as all_:
        one.next_job()
        all_.next_job()
        server.stop()
        for stream in (one, all_):
            assert stream.rest()[-1] == StreamEvent("end", None, {"reason": "stopping"})


def test_streams_hold_no_database_connection(http: httpx2.Client, owner: Owner, path: str) -> None:
    with ExitStack() as open_streams:
        for _ in range(LEDGER_CONNECTIONS * 2):
            stream: Stream = open_streams.enter_context(follow(http, path, owner.headers))
            stream.next_job()
        assert http.get("/v1/jobs", headers=owner.headers).status_code == 200


class TestAQuickPulse:
    """Streams that show signs of life often, of which an owner may have two."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"stream_heartbeat_seconds": 0.1, "streams_per_owner": 2})

    def test_signs_of_life_have_no_id(self, http: httpx2.Client, owner: Owner, path: str) -> None:
        with follow(http, path, owner.headers) as stream:
            lines = stream.response.iter_lines()
            assert [next(lines), next(lines)] == ["retry: 1000", ""]
            assert [next(lines)[:5] for _ in range(4)] == ["event", "id: 1", "data:", ""]
            assert [next(lines) for _ in range(4)] == [":", "", ":", ""]

    def test_an_owner_has_so_many_streams_and_no_more(
        self, app: FastAPI, http: httpx2.Client, owner: Owner, stranger: Owner, path: str
    ) -> None:
        with follow(http, path, owner.headers), follow(http, "/v1/events", stranger.headers):
            with follow(http, "/v1/events", owner.headers):
                for at in (path, "/v1/events"):
                    answer = http.get(at, headers=owner.headers)
                    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_streams")
                    assert int(answer.headers["retry-after"]) > 0
            # The server learns of the client's going a moment later.
            while app.state.resources.stream_places.count(owner.id) == 2:
                http.get("/health/live")
            with follow(http, "/v1/events", owner.headers):
                pass
