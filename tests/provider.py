"""The mock provider's server, and an app that opens its payments there: fixtures of every room.

A room that imported them would have a server and an app of its own, up to the end of the run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest
from flask import Flask

from checkout_service.app import create_app
from checkout_service.local.mock_server import MockServer
from checkout_service.settings.provider_accounts import Account
from checkout_service.settings.secret import Secret
from checkout_service.settings.values import WebSettings
from tests.apps import close_app
from tests.conftest import MOCK_SECRET, Customer


@dataclass(frozen=True, kw_only=True)
class MockProvider:
    """A server that holds payments and misbehaves when told to; see local/mock_bank.py."""

    url: str
    http: httpx.Client

    @property
    def account(self) -> Account:
        """What web and worker need to know of it."""
        return Account(options={"api_base": Secret(self.url)}, secrets=[Secret(MOCK_SECRET)])

    def behave(self, **behaviour: Any) -> None:
        """Answer so from now on; without arguments, honestly."""
        self.http.put("/_behaviour", json=behaviour).raise_for_status()

    def put(self, reference: str, **changes: str) -> None:
        """Set status, amount or currency of a payment, as if a customer or a bank had acted."""
        self.http.put(f"/_payments/{reference}", json=changes).raise_for_status()

    @property
    def payments(self) -> list[dict[str, str]]:
        return self.http.get("/_payments").raise_for_status().json()["payments"]

    def put_refund(self, reference: str, refund_ref: str, **changes: str) -> None:
        """Make a refund as a dashboard does, or set what became of one."""
        self.http.put(f"/_payments/{reference}/refunds/{refund_ref}", json=changes).raise_for_status()

    @property
    def refunds(self) -> list[dict[str, str]]:
        return self.http.get("/_payments").raise_for_status().json()["refunds"]

    @property
    def calls(self) -> dict[str, int]:
        """How many calls of each kind came."""
        return self.http.get("/_payments").raise_for_status().json()["calls"]


@pytest.fixture(scope="session")
def _provider_server() -> Iterator[MockProvider]:
    with MockServer() as server, httpx.Client(base_url=server.url, timeout=60) as http:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield MockProvider(url=server.url, http=http)
        server.shutdown()


@pytest.fixture
def mock_provider(_provider_server: MockProvider) -> MockProvider:
    """Honest, and without a payment."""
    _provider_server.behave()
    _provider_server.http.delete("/_payments").raise_for_status()
    return _provider_server


@pytest.fixture(scope="session")
def provider_app(settings: WebSettings, _provider_server: MockProvider) -> Iterator[Flask]:
    """The web tier with MOCK_API_BASE."""
    # Room for the races: a pool that is too small would answer 503 in place of what a test looks for.
    app = create_app(replace(settings, accounts={"mock": _provider_server.account}, web_threads=16))
    yield app
    close_app(app)


@pytest.fixture
def make_shopper(provider_app: Flask, make_customer: Callable[[], Customer]) -> Callable[[], Customer]:
    """A new customer of ``provider_app`` each time."""
    return lambda: replace(make_customer(), client=provider_app.test_client())


@pytest.fixture
def shopper(make_shopper: Callable[[], Customer]) -> Customer:
    return make_shopper()
