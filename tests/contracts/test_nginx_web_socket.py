"""A WebSocket to the real service through deploy/nginx.conf in a real nginx."""

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.app_server import DEADLINE_SECONDS, serving
from tests.conftest import Owner
from tests.contracts.nginx_server import Nginx, running_nginx

pytestmark = pytest.mark.root_linux


@pytest.fixture
def nginx(app: FastAPI) -> Iterator[Nginx]:
    with serving(app) as server, running_nginx(server.port) as nginx:
        yield nginx


def open_socket(nginx: Nginx, query: str = "", **more: Any) -> ClientConnection:
    url = f"{nginx.url.replace('https', 'wss')}/v1/ws{query}"
    return connect(url, ssl=nginx.tls_context(), proxy=None, open_timeout=DEADLINE_SECONDS, **more)


def receive(connection: ClientConnection) -> dict[str, Any]:
    return json.loads(connection.recv(timeout=DEADLINE_SECONDS))


def test_a_page_of_the_service_follows_a_job_by_a_ticket(nginx: Nginx, owner: Owner) -> None:
    with httpx2.Client(
        base_url=nginx.url, verify=nginx.tls_context(), trust_env=False, headers=owner.headers
    ) as client:
        job = client.post("/v1/jobs", json={"kind": "test.echo", "input": {}}).json()
        ticket = client.post("/v1/stream-tickets").json()["ticket"]
        with open_socket(nginx, f"?ticket={ticket}", origin=nginx.url) as connection:
            assert receive(connection)["event"] == "ready"
            connection.send(json.dumps({"action": "subscribe", "jobs": [job["id"]]}))
            assert receive(connection)["event"] == "subscribed"
            assert receive(connection) == {"event": "job", "data": job}
            cancelled = client.post(job["links"]["cancel"]).json()
            assert receive(connection) == {"event": "job", "data": cancelled}


@pytest.mark.parametrize("origin", ["https://evil.example", "https://127.0.0.1", "null"])
def test_pages_of_other_origins_are_refused_with_a_problem(nginx: Nginx, owner: Owner, origin: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        open_socket(nginx, origin=origin, additional_headers=owner.headers)

    response = refused.value.response
    assert (response.status_code, response.headers["content-type"]) == (403, "application/problem+json")
    assert json.loads(response.body)["code"] == "origin_not_allowed"


def test_a_bad_ticket_is_refused_with_a_problem(nginx: Nginx) -> None:
    with pytest.raises(InvalidStatus) as refused:
        open_socket(nginx, "?ticket=none")

    assert refused.value.response.status_code == 401
    assert json.loads(refused.value.response.body)["code"] == "unauthorized"
