"""The browser's examples of docs/streams.md in a real browser: each sees a job to its end, by a ticket."""

import re
from collections.abc import Generator
from typing import Any

import psycopg
import pytest
from fastapi import FastAPI
from playwright.sync_api import Browser, Page

from ops.paths import ROOT
from tests.app_server import AppServer, serving
from tests.conftest import Owner

pytestmark = pytest.mark.root_linux

SCRIPTS = re.findall(r"```js\n(.*?)```", (ROOT / "docs/streams.md").read_text(), re.DOTALL)


@pytest.fixture
def server(app: FastAPI) -> Generator[AppServer]:
    with serving(app) as server:
        yield server


def begin(page: Page, server: AppServer, call: str) -> None:
    """Open a page of the service's own and call an example in it; what it shows is kept in `shown`."""
    page.goto(f"http://127.0.0.1:{server.port}/health/live")
    page.evaluate(f"() => {{ {SCRIPTS[0]} {SCRIPTS[1]} window.shown = []; window.ended = {call}.then(() => true); }}")


def states(page: Page, count: int) -> list[Any]:
    page.wait_for_function(f"window.shown.length >= {count}")
    return page.evaluate("window.shown.map((job) => job.state)")


@pytest.mark.parametrize("call", ["followJob('{token}', '{id}', show)", "followJobs('{token}', ['{id}'], show)"])
def test_an_example_follows_a_job_to_its_end_through_a_lost_connection(
    server: AppServer, browser: Browser, owner: Owner, database: psycopg.Connection, call: str
) -> None:
    token = owner.headers["Authorization"].removeprefix("Bearer ")
    with server.client() as client:
        job = client.post("/v1/jobs", json={"kind": "test.echo", "input": {}}, headers=owner.headers).json()
    page = browser.new_page()
    filled = call.format(token=token, id=job["id"]).replace("show)", "(job) => window.shown.push(job))")
    begin(page, server, filled)
    assert states(page, 1) == ["queued"]
    database.execute("UPDATE jobs SET state = 'running', version = version + 1")
    assert states(page, 2) == ["queued", "running"]
    # Nobody runs it: only one that waits is cancelled at once.
    database.execute("UPDATE jobs SET state = 'queued', version = version + 1")
    for connection in list(server.server.server_state.connections):
        connection.loop.call_soon_threadsafe(connection.transport.abort)
    with server.client() as client:
        assert client.post(job["links"]["cancel"], headers=owner.headers).status_code == 200
    assert page.evaluate("window.ended") is True
    assert states(page, 3)[-1] == "cancelled"
