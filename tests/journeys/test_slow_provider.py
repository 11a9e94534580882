"""A provider that takes its time holds up the purchases at it, and nobody else."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import httpx
import pytest

from checkout_service.local.purchase import customer_token
from tests.journeys.conftest import CATALOGUE, Town, eventually
from tests.journeys.test_web_process import Web
from tests.provider import MockProvider


@pytest.fixture
def web_at_provider(town: Town, mock_provider: MockProvider) -> Iterator[Web]:
    web = Web({**town.environment, "MOCK_API_BASE": mock_provider.url, "WEB_THREADS": "2"})
    try:
        eventually(web.is_alive)
        yield web
    finally:
        os.killpg(web.process.pid, signal.SIGTERM)
        web.process.communicate()


def test_webhooks_are_taken_while_every_purchase_waits_for_the_provider(
    town: Town, web_at_provider: Web, mock_provider: MockProvider
) -> None:
    base = f"http://127.0.0.1:{web_at_provider.port}"
    with CATALOGUE.open(encoding="utf-8") as lines:
        listing = httpx.Response(200, text=lines.readline()).json()["id"]
    # Each of another customer: one alone may not have as many at the provider.
    callers = [{"Authorization": f"Bearer {customer_token(uuid4(), town.environment)}"} for _ in range(6)]
    for caller in callers:
        item = {"listing": listing, "qty": 1}
        httpx.post(f"{base}/api/cart/items", json=item, headers=caller, timeout=60).raise_for_status()
    mock_provider.behave(seconds=6)

    def purchase(caller: dict[str, str]) -> httpx.Response:
        cart = httpx.get(f"{base}/api/cart", headers=caller, timeout=60).json()["id"]
        return httpx.post(
            f"{base}/api/checkout/session",
            json={"cart_id": cart},
            headers={**caller, "Idempotency-Key": "purchase"},
            timeout=60,
        )

    with ThreadPoolExecutor(6) as crowd:
        purchases = [crowd.submit(purchase, caller) for caller in callers]
        eventually(lambda: mock_provider.calls.get("open", 0) >= 6)
        webhook = httpx.post(f"{base}/api/payments/webhook", json={"signature": "none"}, timeout=60)
        waiting = [future for future in purchases if not future.done()]

        assert webhook.status_code == 202
        assert len(waiting) == 6
        assert [future.result().status_code for future in purchases] == [201] * 6
