"""The mock provider's own page: what its buttons send, that it delivers again, and sends nobody anywhere else."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest

from checkout_service.local.mock_actions import ACTIONS, webhooks
from checkout_service.local.mock_server import MockServer
from checkout_service.local.mock_state import Bank
from checkout_service.payments.status import PaymentStatus
from checkout_service.providers.adapters.mock.provider import MockProvider
from checkout_service.providers.base import ProviderEvent, ProviderRefundEvent, UnverifiedError
from checkout_service.providers.raw_webhook import RawWebhook
from checkout_service.settings.provider_accounts import Account
from checkout_service.settings.secret import Secret
from tests.flower_pages.stack import eventually

SECRET = "known to the provider and to the worker"
PAYMENT = {"provider_ref": "mock_pi_1", "status": "pending", "amount": "47.25", "currency": "USD"}
BACK = "http://127.0.0.1:8000/pay/1"


class Receiver(HTTPServer):
    """Stands in for the shop: answers as told, and keeps what it takes."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.refusals = 0
        super().__init__(("127.0.0.1", 0), _Take)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Take(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.refusals:
            self.server.refusals -= 1
            self.send_response(503)
        else:
            self.server.taken.append(body)
            self.send_response(202 if self.path == "/api/payments/webhook" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def provider(receiver: Receiver) -> Iterator[httpx.Client]:
    with MockServer() as server:
        server.open_page(shop=receiver.url, secret=SECRET, late_after=0.5)
        server.bank.put("mock_pi_1", PAYMENT)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        with httpx.Client(base_url=server.url, timeout=60) as client:
            yield client
        server.shutdown()


def read_event(body: bytes) -> ProviderEvent | ProviderRefundEvent:
    raw_webhook = RawWebhook(provider="mock", headers={}, body=body, received_at=datetime.now(UTC))
    (event,) = MockProvider(Account(secrets=[Secret(SECRET)])).verify_and_parse(raw_webhook).events
    assert isinstance(event, ProviderEvent | ProviderRefundEvent)
    return event


def read(body: bytes) -> tuple[PaymentStatus | None, str, str] | None:
    """What our own provider adapter reads in a webhook: status, amount and event; None if it is unverified."""
    try:
        event = read_event(body)
    except UnverifiedError:
        return None
    assert isinstance(event, ProviderEvent)
    return event.status, str(event.amount), event.event_id


def test_each_action_says_what_its_button_says() -> None:
    reports = {
        action.name: [read(webhook.body) for webhook in webhooks(action, PAYMENT, secret=SECRET)]
        for action in ACTIONS
        if action.moves is None
    }
    statuses = {name: [found and found[0] and found[0].value for found in reads] for name, reads in reports.items()}
    assert statuses == {
        "pay": ["paid"],
        "decline": ["failed"],
        "late": ["processing", "paid"],
        "cancel": ["canceled"],
        "twice": ["paid", "paid"],
        "disorder": ["paid", "processing", "failed"],
        "wrong_amount": ["paid"],
        "unverified": [None],
        "silent": [],
        "reverse": ["reversed"],
    }
    amounts = {found[1] for reads in reports.values() for found in reads if found}
    assert amounts == {"47.25", "48.25"}
    assert [found[1] for found in reports["wrong_amount"] if found] == ["48.25"]
    first, second = reports["twice"]
    assert first == second, "the very same event"
    events = [found[2] for name, reads in reports.items() if name != "twice" for found in reads if found]
    assert len(set(events)) == len(events)


def test_a_button_writes_to_the_shop_and_leads_back(provider: httpx.Client, receiver: Receiver) -> None:
    page = provider.get("/pay/mock_pi_1", params={"return_to": BACK})
    assert page.status_code == 200
    assert "47.25" in page.text
    assert SECRET not in page.text
    assert "form-action 'self' http://127.0.0.1:8000;" in page.headers["Content-Security-Policy"]
    assert provider.get("/page.css").status_code == 200

    answer = provider.post("/pay/mock_pi_1", data={"action": "late", "return_to": BACK})

    assert (answer.status_code, answer.headers["Location"]) == (303, BACK)
    eventually(lambda: len(receiver.taken) == 2, within=60)
    assert [read(body)[0].value for body in receiver.taken] == ["processing", "paid"]  # type: ignore[index]
    assert provider.get("/payments/mock_pi_1").json()["status"] == "paid", "asked, it says what it knows"


def test_without_an_address_the_page_leads_back_to_what_the_payment_was_opened_with(
    provider: httpx.Client, receiver: Receiver
) -> None:
    provider.put("/_payments/mock_pi_1", json={"return_url": BACK})

    assert f'value="{BACK}"' in provider.get("/pay/mock_pi_1").text
    answer = provider.post("/pay/mock_pi_1", data={"action": "pay"})

    assert (answer.status_code, answer.headers["Location"]) == (303, BACK)
    eventually(lambda: len(receiver.taken) == 1, within=60)


def test_where_nothing_names_a_way_back_the_page_leads_to_itself(provider: httpx.Client, receiver: Receiver) -> None:
    shown = provider.get("/pay/mock_pi_1")
    assert (shown.status_code, 'value="/pay/mock_pi_1"' in shown.text) == (200, True)

    for back in ({}, {"return_to": ""}, {"return_to": "/pay/mock_pi_1"}):
        answer = provider.post("/pay/mock_pi_1", data={"action": "silent", **back})
        assert (answer.status_code, answer.headers["Location"]) == (303, "/pay/mock_pi_1")


def test_a_webhook_that_nobody_takes_is_delivered_again(provider: httpx.Client, receiver: Receiver) -> None:
    receiver.refusals = 2
    provider.post("/pay/mock_pi_1", data={"action": "pay", "return_to": BACK})
    eventually(lambda: len(receiver.taken) == 1, within=60)
    assert receiver.refusals == 0


@pytest.mark.parametrize(
    "back",
    ["https://evil.test/", "//evil.test", "javascript:alert(1)", "http://127.0.0.1@evil.test/", "/pay/1",
     "http://127.0.0.1:8000/\r\nSet-Cookie: a=b", "http://evil.test\\@127.0.0.1:8000/pay",
     "http://x;script-src *;@localhost/"],
)  # fmt: skip
def test_nobody_is_sent_anywhere_else(provider: httpx.Client, receiver: Receiver, back: str) -> None:
    assert provider.get("/pay/mock_pi_1", params={"return_to": back}).status_code == 400
    assert provider.post("/pay/mock_pi_1", data={"action": "pay", "return_to": back}).status_code == 400
    time.sleep(0.1)
    assert receiver.taken == []
    assert provider.get("/payments/mock_pi_1").json()["status"] == "pending"


def test_what_is_not_there_is_not_found(provider: httpx.Client, receiver: Receiver) -> None:
    assert provider.get("/pay/mock_pi_2", params={"return_to": BACK}).status_code == 404
    assert provider.post("/pay/mock_pi_2", data={"action": "pay", "return_to": BACK}).status_code == 404
    assert provider.post("/pay/mock_pi_1", data={"action": "steal", "return_to": BACK}).status_code == 400
    assert provider.post("/pay/mock_pi_1", content=b"\xff\xfe").status_code == 400
    assert receiver.taken == []


def test_a_server_without_a_shop_has_no_page() -> None:
    with MockServer() as server:
        server.bank.put("mock_pi_1", PAYMENT)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        with httpx.Client(base_url=server.url, timeout=60) as client:
            assert client.get("/pay/mock_pi_1", params={"return_to": BACK}).status_code == 404
        server.shutdown()


def test_a_restarted_bank_remembers_its_payments(tmp_path: Path) -> None:
    books = tmp_path / "books.jsonl"
    key = "6a1f0c3f-5f0e-4d7c-8f3b-1d2e4c5a6b7d"
    order = {"payment_id": key, "amount": "47.25", "currency": "USD"}
    first = Bank(books)
    held = first.open(key, order)
    first.put(held["provider_ref"], {"status": "paid"})
    with books.open("a") as torn:
        torn.write('\n{"provider_ref": "mock_pi_to')

    again = Bank(books)

    assert again.look_up(held["provider_ref"])["status"] == "paid"
    assert again.open(key, order | {"amount": "99.00"})["amount"] == "47.25", "the first amount stands"
    again.put(held["provider_ref"], {"status": "reversed"})
    assert Bank(books).look_up(held["provider_ref"])["status"] == "reversed"
