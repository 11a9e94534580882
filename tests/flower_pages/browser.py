"""A real browser: the system's Chromium, headless, that asks nobody outside for anything."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Page, sync_playwright

QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

START_WITHIN = 120_000
PAGE_WITHIN = 60_000
"""Milliseconds for the browser, and for a page, a click or an expectation: nothing here waits in vain."""


def find_browser() -> str:
    """Chromium's program; of its headless shell, where that is installed. Skips, and says so, where there is neither.

    The shell is the same engine without the windows, tabs and menus that Chromium makes even where nobody sees them:
    they take as much of the processor as the pages.
    """
    program = shutil.which("chromium-headless-shell") or shutil.which("chromium")
    if program is None:
        pytest.skip("NO BROWSER: install Debian's chromium-headless-shell to have the pages tested")
    return program


@contextmanager
def open_page(*, user: str, password: str) -> Iterator[Page]:
    """A page signed in with basic auth. Skips the test, and says so, where there is no Chromium."""
    program = find_browser()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(QUIET), timeout=START_WITHIN)
        context = browser.new_context(
            http_credentials={"username": user, "password": password}, viewport={"width": 1280, "height": 720}
        )
        context.set_default_timeout(PAGE_WITHIN)
        try:
            yield context.new_page()
        finally:
            context.close()
            browser.close()
