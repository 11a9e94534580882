"""The shop as a stranger meets it: a web process, a worker and the mock provider's own site, and a customer in it."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Page, expect

from checkout_service.local.mock_server import MockServer
from checkout_service.local.processes import Processes
from tests.conftest import MOCK_SECRET, Servers
from tests.flower_pages import stack as station
from tests.flower_pages.browser import PAGE_WITHIN

LATE_AFTER = 1.5
"""Seconds; the provider's own patience would make the tests wait."""


@dataclass(frozen=True, kw_only=True)
class House:
    """Where everything is."""

    url: str
    provider: str
    settings: Mapping[str, str]
    processes: Processes

    def start_web(self) -> None:
        self.processes.launch(self.processes.named("web"))
        station.await_page(self.processes, f"{self.url}/livez")

    def stop_web(self) -> None:
        self.processes.end(self.processes.named("web"))


@contextmanager
def open_house(
    servers: Servers, logs: Path, *names: str, late_after: float = LATE_AFTER, **given: str
) -> Iterator[House]:
    """Web, and other lines of the Procfile, with the mock provider beside them; ``given`` are more settings."""
    with MockServer() as provider:
        settings = station.environment(servers, MOCK_API_BASE=provider.url, PAGES="on", WEB_THREADS="4", **given)
        url = f"http://127.0.0.1:{settings['PORT']}"
        provider.open_page(shop=url, secret=MOCK_SECRET, late_after=late_after)
        threading.Thread(target=provider.serve_forever, args=(0.05,), daemon=True).start()
        with station.run(logs, settings, "web", *names) as processes:
            yield House(url=url, provider=provider.url, settings=settings, processes=processes)
        provider.shutdown()


class Customer:
    """Somebody with a browser of their own, which tells of every error on a page."""

    def __init__(self, browser: Browser, house: House, *, javascript: bool = True) -> None:
        self.house = house
        self.context: BrowserContext = browser.new_context(
            viewport={"width": 1280, "height": 800},
            java_script_enabled=javascript,
            reduced_motion="reduce",  # painting it costs the processor more than all else
        )
        self.context.set_default_timeout(PAGE_WITHIN)
        self.complaints: list[str] = []
        self.page = self.new_page()

    def new_page(self) -> Page:
        page = self.context.new_page()
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda message: self.complaints.append(message.text) if message.type == "error" else None)
        return page

    def fill_cart(self, *, newest: bool = False) -> None:
        """Put the oldest listing of the first page into the cart, or the newest, with a form that the shop showed."""
        shelf = self._get("/")
        fields = re.findall(r'name="(csrf|listing)" value="([^"]+)"', shelf)
        self.post("/cart/items", dict(fields[:2] if newest else fields[-2:]) | {"qty": "2"})

    def checkout_form(self) -> dict[str, str]:
        """The fields of the cart's form."""
        form = self._get("/cart").split('action="/checkout"')[1]
        return dict(re.findall(r'name="(csrf|key|cart|total)" value="([^"]+)"', form)[:4])

    def post(self, path: str, fields: Mapping[str, str]) -> str:
        """Send a form; the address that it leads to."""
        answer = self.context.request.post(self.house.url + path, form=dict(fields), max_redirects=0)
        assert answer.status == 303, answer.text()
        return answer.headers["location"]

    def check_out(self) -> str:
        """A cart filled and a session opened; the payment's path. No page was looked at."""
        self.fill_cart()
        return self.post("/checkout", self.checkout_form()).removesuffix("/leave")

    def go_to_provider(self, payment: str) -> None:
        """By way of the shop, as the form leads there."""
        self.page.goto(f"{self.house.url}{payment}/leave")
        self.page.wait_for_url(f"{self.house.provider}/**")

    def press(self, action: str) -> None:
        """A button of the provider's page; it leads back to the shop."""
        self.page.locator(f"button[value={action}]").click()
        self.page.wait_for_url(f"{self.house.url}/**")

    def sees(self, title: str, page: Page | None = None) -> None:
        """The payment's headline, once it says so without any help."""
        expect((page or self.page).get_by_role("heading", level=1)).to_have_text(title)

    def close(self) -> None:
        self.context.close()

    def _get(self, path: str) -> str:
        answer = self.context.request.get(self.house.url + path)
        assert answer.ok, answer.text()
        return answer.text()
