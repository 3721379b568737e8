"""A real browser for the tests of pages."""

from collections.abc import Generator

import pytest
from playwright.sync_api import Browser, sync_playwright

CHROMIUM = "/usr/bin/chromium"


@pytest.fixture
def browser() -> Generator[Browser]:
    """Run Chromium."""
    # In CI it runs as root, where Chromium's sandbox does not start; the proxy settings of a machine are not its own.
    switches = ["--no-sandbox", "--disable-dev-shm-usage", "--no-proxy-server"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=switches)
        try:
            yield browser
        finally:
            browser.close()
