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


@contextmanager
def open_page(*, user: str, password: str) -> Iterator[Page]:
    """A page signed in with basic auth. Skips the test, and says so, where there is no Chromium."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("NO BROWSER: install Debian's chromium to have Flower's pages tested")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(QUIET))
        context = browser.new_context(
            http_credentials={"username": user, "password": password}, viewport={"width": 1280, "height": 720}
        )
        try:
            yield context.new_page()
        finally:
            context.close()
            browser.close()
