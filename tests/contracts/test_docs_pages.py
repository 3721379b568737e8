"""The pages of the documentation in a real browser: they show the API, and ask nobody but the server."""

import re
from collections.abc import Generator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect

from api.event_docs import SENT_EVENTS
from shared.settings import Settings
from tests.api_server import Server, running_server

pytestmark = pytest.mark.root_linux

PATIENCE_MS = 30_000


@pytest.fixture
def server(settings: Settings) -> Generator[Server]:
    with running_server(settings) as server:
        yield server


@pytest.mark.parametrize(("path", "operations"), [("/docs", ".opblock-summary-path"), ("/redoc", "h2")])
def test_a_page_shows_the_operations_and_asks_no_other_host(
    server: Server, browser: Browser, path: str, operations: str
) -> None:
    page = browser.new_page()
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda request: complaints.append(request.url))

    page.goto(f"http://{server.host}:{server.port}{path}", timeout=PATIENCE_MS)

    words = re.compile(r"/v1/jobs/.*job_id.*/cancel|Cancel Job")
    expect(page.locator(operations).filter(has_text=words).first).to_be_visible(timeout=PATIENCE_MS)
    page.wait_for_load_state("networkidle", timeout=PATIENCE_MS)
    own = f"{server.host}:{server.port}"
    assert f"http://{own}/openapi.json" in asked
    assert [url for url in asked if urlsplit(url).netloc != own and urlsplit(url).scheme not in {"data", "blob"}] == []
    assert complaints == []


def test_the_page_of_events_shows_each_with_its_example(server: Server, browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 800})
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)

    page.goto(f"http://{server.host}:{server.port}/docs/events", timeout=PATIENCE_MS)

    assert page.locator("h3").all_inner_texts() == list(SENT_EVENTS)
    event = page.locator("article", has=page.locator("[id='job.succeeded']"))
    event.get_by_text("Example").click()
    expect(event.locator("pre")).to_contain_text('"type": "job.succeeded"')
    page.locator("section", has=event).get_by_text("What data holds").click()
    expect(page.get_by_text("progress.percent")).to_be_visible()
    # It fits a narrow window: only what is inside an example scrolls.
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert complaints == []
