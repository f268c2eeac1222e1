"""A headless Chromium for the tests of the pages, and pages that may not use the network."""

from __future__ import annotations

import inspect
import os
import shutil
from contextlib import contextmanager

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
VIEWPORT = {"width": 1280, "height": 720}
OUTSIDE = (-1, -1)  # a place of the mouse that is on no element
MISSING = "needs a Chromium: on Debian, apt-get install chromium"


# Playwright asks for the source of the whole stack at each call. The frames of xdist's program have none, and Python
# would search all modules for it: a quarter of the time of these tests.
inspect.modulesbyfile["<string>"] = "__main__"


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


@pytest.fixture(scope="session")
def tab(browser):
    """A tab for one page after another: a tab of its own for each page would take three times as long."""
    return browser.new_page()


@pytest.fixture
def opened(browser, tab):
    """opened(path, viewport, color_scheme, locale): the page of a file.

    It fails for a request, an error, a dialog or a line on the console. Of the page before, nothing is left.
    """

    @contextmanager
    def open_page(path, viewport=VIEWPORT, color_scheme="light", locale=None):
        page = browser.new_page(locale=locale) if locale else tab
        page.set_viewport_size(viewport)
        page.emulate_media(color_scheme=color_scheme)
        found = []
        listeners = {
            "request": lambda request: found.append(request.url),
            "console": lambda message: found.append(message.text),
            "pageerror": lambda error: found.append(str(error)),
            "dialog": lambda dialog: (found.append(dialog.message), dialog.dismiss()),
        }
        for event, listener in listeners.items():
            page.on(event, listener)
        try:
            page.goto(path.as_uri())
            yield page
        finally:
            for event, listener in listeners.items():
                page.remove_listener(event, listener)
            if locale:
                page.close()
            else:
                page.mouse.move(*OUTSIDE)
                page.goto("about:blank")
        assert found == [path.as_uri()]

    return open_page
