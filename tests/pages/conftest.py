"""A headless Chromium for the tests of the pages, and pages that may not use the network."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
MISSING = "needs a Chromium: on Debian, apt-get install chromium"


@pytest.fixture(scope="session")
def browser():
    """The browser; without one the tests that need it are skipped, or fail where CI is set."""
    if CHROMIUM is None:
        if os.environ.get("CI"):
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture
def opened(browser):
    """opened(path, **context): the page of a file; it fails for a request, an error or a line on the console."""

    @contextmanager
    def open_page(path, **context):
        pages = browser.new_context(**context)
        page, found = pages.new_page(), []
        page.on("request", lambda request: found.append(request.url))
        page.on("console", lambda message: found.append(message.text))
        page.on("pageerror", lambda error: found.append(str(error)))
        page.goto(path.as_uri())
        yield page
        assert found == [path.as_uri()]
        pages.close()

    return open_page
