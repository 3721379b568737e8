"""`GET /v1/events`: all of an owner's jobs, those to come included, from whatever process they come."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import httpx2
import psycopg
import pytest
from fastapi import FastAPI

from api.app import create_app
from api.job_snapshots import LIVE_AT_ONCE
from shared.job_kind import JobKind
from shared.settings import Settings
from tests import factories
from tests.app_server import serving
from tests.conftest import Owner
from tests.event_reader import Stream, StreamEvent, follow
from tests.integration.streams.conftest import change

JSON = dict[str, Any]


def post(http: httpx2.Client, owner: Owner, *tags: str, kind: str = "test.echo") -> JSON:
    body = {"kind": kind, "input": {}, "tags": tags}
    return http.post("/v1/jobs", json=body, headers=owner.headers).raise_for_status().json()


def insert(database: psycopg.Connection, kinds: dict[str, JobKind], owner: Owner, **options: Any) -> str:
    """Enqueue a job and tell nobody."""
    return str(factories.enqueue(database, factories.new_job(kinds["test.echo"], owner.id, **options)))


def take_ids(stream: Stream, number: int) -> list[str]:
    return [stream.next_job()["id"] for _ in range(number)]


@pytest.fixture
def other(settings: Settings) -> FastAPI:
    """Make a second web process's application."""
    return create_app(settings)


@pytest.fixture
def other_http(other: FastAPI) -> Iterator[httpx2.Client]:
    """Serve the second application, with a client."""
    with serving(other) as server, server.client() as client:
        yield client


def test_it_begins_with_the_live_jobs_newest_first_and_without_ids(
    http: httpx2.Client, owner: Owner, stranger: Owner
) -> None:
    old, ended, new = (post(http, owner) for _ in range(3))
    http.post(ended["links"]["cancel"], headers=owner.headers).raise_for_status()
    post(http, stranger)
    with follow(http, "/v1/events", owner.headers) as stream:
        assert [stream.next(), stream.next()] == [StreamEvent("job", None, new), StreamEvent("job", None, old)]
        post(http, stranger)
        job = post(http, owner)
        assert stream.next_job() == job


def test_many_live_jobs_are_read_a_page_at_a_time(
    http: httpx2.Client, owner: Owner, database: psycopg.Connection, kinds: dict[str, JobKind]
) -> None:
    ids = [insert(database, kinds, owner) for _ in range(2 * LIVE_AT_ONCE + 1)]
    with follow(http, "/v1/events", owner.headers) as stream:
        assert take_ids(stream, len(ids)) == ids[::-1]


@pytest.mark.usefixtures("never_looking")
def test_messages_alone_tell_of_what_is_accepted_here_and_cancelled(http: httpx2.Client, owner: Owner) -> None:
    with follow(http, "/v1/events", owner.headers) as stream:
        job = post(http, owner)
        assert stream.next_job() == job
        cancelled = http.post(job["links"]["cancel"], headers=owner.headers).json()
        assert stream.next_job() == cancelled


@pytest.mark.usefixtures("never_looking")
def test_messages_alone_tell_of_what_another_process_accepts(
    http: httpx2.Client, other: FastAPI, other_http: httpx2.Client, owner: Owner
) -> None:
    with follow(http, "/v1/events", owner.headers) as stream:
        # The other process has to have heard that somebody watches here.
        while owner.id not in other.state.resources.changes._channel._interest:
            http.get("/health/live")
        job = post(other_http, owner)
        assert stream.next_job() == job


def test_what_no_message_tells_of_is_found_in_the_ledger(
    http: httpx2.Client, owner: Owner, database: psycopg.Connection, kinds: dict[str, JobKind]
) -> None:
    with follow(http, "/v1/events", owner.headers) as stream:
        job_id = insert(database, kinds, owner)
        assert stream.next_job()["state"] == "queued"
        change(database, job_id, state="running")
        assert stream.next_job()["state"] == "running"
        change(database, job_id, progress_completed=1, progress_total=4)
        assert stream.next_job()["progress"]["percent"] == 25
        change(database, job_id, cancel_requested=True)
        assert stream.next_job()["cancel_requested"] is True


def test_a_change_that_is_committed_late_is_found(
    http: httpx2.Client, owner: Owner, database: psycopg.Connection, database_url: str, kinds: dict[str, JobKind]
) -> None:
    early = insert(database, kinds, owner)
    with follow(http, "/v1/events", owner.headers) as stream, psycopg.connect(database_url) as slow:
        assert take_ids(stream, 1) == [early]
        change(slow, early, state="running")
        # Each of these is found by a look that begins after the one before, while the change above is not committed.
        for _ in range(2):
            later = insert(database, kinds, owner)
            assert take_ids(stream, 1) == [later]
        slow.commit()
        job = stream.next_job()
        assert (job["id"], job["state"]) == (early, "running")


def test_rows_of_a_restored_ledger_are_neither_told_nor_in_the_way(
    http: httpx2.Client, owner: Owner, database: psycopg.Connection, kinds: dict[str, JobKind]
) -> None:
    restored = insert(database, kinds, owner)
    database.execute("UPDATE jobs SET changed_xid = changed_xid + 1000000, state = 'cancelled', finished_at = now()")
    database.execute("UPDATE jobs SET changed_xid = changed_xid + 1000000")
    with follow(http, "/v1/events", owner.headers) as stream:
        for _ in range(2):
            job_id = insert(database, kinds, owner)
            assert take_ids(stream, 1) == [job_id] != [restored]


def test_kinds_are_any_and_tags_are_all(http: httpx2.Client, owner: Owner) -> None:
    query = "kind=test.echo&kind=demo.countdown&tag=a&tag=b"
    live = post(http, owner, "b", "a")
    post(http, owner, "a")
    with follow(http, f"/v1/events?{query}", owner.headers) as stream:
        assert stream.next_job() == live
        post(http, owner, "a")
        wanted = post(http, owner, "a", "b", "c", kind="demo.countdown")
        assert stream.next_job() == wanted


def test_silent_jobs_are_told_only_to_those_who_name_them(
    http: httpx2.Client, owner: Owner, database: psycopg.Connection, kinds: dict[str, JobKind]
) -> None:
    silent = insert(database, kinds, owner, silent=True)
    with (
        follow(http, "/v1/events", owner.headers) as all_,
        follow(http, "/v1/events?kind=test.echo", owner.headers) as kind,
        follow(http, f"/v1/jobs/{silent}/events", owner.headers) as one,
    ):
        assert take_ids(kind, 1) == take_ids(one, 1) == [silent]
        change(database, silent, state="running")
        assert kind.next_job()["state"] == one.next_job()["state"] == "running"
        loud = insert(database, kinds, owner)
        assert take_ids(all_, 1) == take_ids(kind, 1) == [loud]


@pytest.mark.parametrize("query", ["tag=%00", "tag=" + "x" * 200, "&".join(["kind=x"] * 51)])
def test_filters_that_cannot_be_are_refused(http: httpx2.Client, owner: Owner, query: str) -> None:
    answer = http.get(f"/v1/events?{query}", headers=owner.headers)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")


@pytest.mark.usefixtures("never_looking")
def test_a_bulk_job_tells_of_what_it_has_done(
    http: httpx2.Client, owner: Owner, database: psycopg.Connection, settings: Settings, kinds: dict[str, JobKind]
) -> None:  # fmt: skip
    job = post(http, owner, "many")
    with (
        follow(http, "/v1/events?tag=many", owner.headers) as all_,
        follow(http, f"/v1/jobs/{job['id']}/events", owner.headers) as one,
    ):
        assert all_.next_job() == one.next_job() == job
        body = {"action": "cancel", "filter": {"tag": ["many"]}}
        bulk = http.post("/v1/jobs/bulk", json=body, headers=owner.headers).json()
        with factories.open_runner(settings, kinds) as runner:
            assert factories.run_job(runner, database, kinds["jobs.bulk"], UUID(bulk["id"])) == "succeeded"
        assert all_.next_job()["state"] == one.next_job()["state"] == "cancelled"
