"""The whole service as the Procfile starts it, with servers of its own: nothing here is emptied between tests."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from sqlalchemy import make_url

from checkout_service.local.data_folder import free_ports, take_data_folder
from checkout_service.local.demo_catalog import CATALOGUE
from checkout_service.local.mock_cli import update_server
from checkout_service.local.purchase import customer_token
from checkout_service.local.screen import Screen
from checkout_service.local.session import Session, session
from checkout_service.providers.adapters.mock.provider import sign


class Town:
    """A service that runs, and what a customer, a provider and an operator do with it."""

    def __init__(self, running: Session) -> None:
        self.running = running
        self.environment = running.environment
        self.user_id = uuid4()
        token = customer_token(self.user_id, self.environment)
        self.customer = httpx.Client(
            base_url=running.base_url, headers={"Authorization": f"Bearer {token}"}, timeout=60
        )
        self.web = httpx.Client(base_url=running.base_url, timeout=60)
        user, _, password = self.environment["FLOWER_BASIC_AUTH"].partition(":")
        self.flower = httpx.Client(base_url=running.flower_url, auth=(user, password), timeout=60)

    def close(self) -> None:
        for client in (self.customer, self.web, self.flower):
            client.close()

    def open_session(self) -> dict[str, Any]:
        """One listing in the cart, and a checkout session for it."""
        with CATALOGUE.open(encoding="utf-8") as lines:
            listing = httpx.Response(200, text=lines.readline()).json()
        # Of the demo's pieces there are a dozen, for however many journeys.
        self.sql("UPDATE listings SET stock = 1000 WHERE id = %s", listing["id"])
        self.customer.post("/api/cart/items", json={"listing": listing["id"], "qty": 2}).raise_for_status()
        cart = self.customer.get("/api/cart").raise_for_status().json()
        answer = self.customer.post(
            "/api/checkout/session", json={"cart_id": cart["id"]}, headers={"Idempotency-Key": str(uuid4())}
        )
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def report(self, opened: dict[str, Any], status: str = "paid") -> str:
        """The mock provider reports; returns the webhook's id."""
        secret = self.environment["MOCK_WEBHOOK_SECRETS"]
        details = {"event_id": str(uuid4()), "amount": opened["amount"], "currency": opened["currency"]}
        webhook = {"provider_ref": opened["payment_token"], "status": status, "raw_data": details}
        update_server(self.environment.get("MOCK_API_BASE"), opened["payment_token"], status)
        answer = self.web.post("/api/payments/webhook", json=sign(webhook, secret))
        assert answer.status_code == 202, answer.text
        return str(answer.json()["delivery_id"])

    def status(self, opened: dict[str, Any]) -> str:
        return str(self.customer.get(f"/api/payments/{opened['payment_id']}").raise_for_status().json()["status"])

    def sql(self, query: str, *parameters: Any) -> list[Any]:
        """Run one statement as the superuser."""
        url = make_url(self.environment["MIGRATION_DATABASE_URL"]).set(drivername="postgresql")
        with psycopg.connect(url.render_as_string(hide_password=False), autocommit=True) as connection:
            cursor = connection.execute(query, parameters)
            return cursor.fetchall() if cursor.description else []


def eventually(check: Callable[[], Any], *, within: float = 60.0) -> Any:
    """What the check returns once it is true; fails when that takes longer than ``within`` seconds."""
    deadline = time.monotonic() + within
    while not (value := check()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
    return value


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    place = take_data_folder(tmp_path_factory.mktemp("journeys") / "data")
    # Two attempts, so that a webhook fails for good within seconds.
    given = {"PATH": os.environ["PATH"], "ENVIRONMENT": "test", "WEBHOOK_MAX_ATTEMPTS": "2"}
    # Of a provider that is nowhere, to see who is given what.
    given |= {"ACME_WEBHOOK_SECRETS": "a secret of ACME", "ACME_API_KEY": "a key of ACME"}
    with session(place, given, ports=free_ports(), kept=False, screen=Screen(colour=False)) as running:
        yield running


@pytest.fixture
def town(running: Session) -> Iterator[Town]:
    town = Town(running)
    yield town
    town.close()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder for temporary files; whatever a command leaves behind is found in it."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    return folder
