"""Streams of the real service through deploy/nginx.conf in a real nginx: each event arrives when it happens."""

from collections.abc import Iterator

import httpx2
import psycopg
import pytest
from fastapi import FastAPI

from tests.app_server import DEADLINE_SECONDS, serving
from tests.conftest import Owner
from tests.contracts.nginx_server import Nginx, running_nginx
from tests.event_reader import StreamEvent, follow

pytestmark = pytest.mark.root_linux


@pytest.fixture
def nginx(app: FastAPI) -> Iterator[Nginx]:
    """Run nginx in front of the test's application."""
    with serving(app) as server, running_nginx(server.port) as nginx:
        yield nginx


@pytest.fixture
def client(nginx: Nginx) -> Iterator[httpx2.Client]:
    """Open a client that takes compressed answers."""
    compressed = {"Accept-Encoding": "gzip"}
    with httpx2.Client(
        base_url=nginx.url, verify=nginx.tls_context(), timeout=DEADLINE_SECONDS, trust_env=False, headers=compressed
    ) as client:
        yield client


def test_each_event_arrives_before_the_next_one_happens(
    client: httpx2.Client, owner: Owner, database: psycopg.Connection
) -> None:
    job = client.post("/v1/jobs", json={"kind": "test.echo", "input": {}}, headers=owner.headers).json()
    path = f"/v1/jobs/{job['id']}/events"
    with follow(client, path, owner.headers) as one:
        with follow(client, "/v1/events", owner.headers) as all_:
            for stream in (one, all_):
                assert "content-encoding" not in stream.response.headers
            assert one.next_job() == all_.next_job() == job
            database.execute("UPDATE jobs SET state = 'running', version = version + 1")
            assert one.next_job()["state"] == all_.next_job()["state"] == "running"
            database.execute("UPDATE jobs SET state = 'queued', version = version + 1")
            assert one.next_job()["state"] == all_.next_job()["state"] == "queued"
            cancelled = client.post(job["links"]["cancel"], headers=owner.headers).json()
            assert all_.next_job() == cancelled
        assert one.rest() == [StreamEvent("job", cancelled["version"], cancelled)]
    assert client.get(path, headers=owner.headers | {"Last-Event-ID": str(cancelled["version"])}).status_code == 204


def test_the_service_learns_that_a_client_behind_nginx_has_gone(
    app: FastAPI, client: httpx2.Client, owner: Owner
) -> None:
    with follow(client, "/v1/events", owner.headers):
        assert app.state.resources.stream_places.count(owner.id) == 1
    while app.state.resources.stream_places.count(owner.id):
        client.get("/health/live")
