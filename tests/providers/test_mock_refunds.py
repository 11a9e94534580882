"""Refunds at the mock provider: asked for, looked up and told by webhook; and its server, which makes one for a key."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from checkout_service.local.mock_server import MockServer
from checkout_service.payments.status import PaymentStatus, RefundStatus
from checkout_service.providers.adapters.mock.provider import MockProvider, sign
from checkout_service.providers.base import (
    ProviderEvent,
    ProviderRefundEvent,
    ProviderRefusedError,
    ProviderUnavailableError,
    Reference,
    UnreadableError,
)
from checkout_service.providers.raw_webhook import RawWebhook
from checkout_service.settings.provider_accounts import Account
from checkout_service.settings.secret import Secret

SECRET = "the secret of this test"
REFERENCE = "mock_pi_6a1f0c3f5f0e5d7c9f3b1d2e4c5a6b7d"
HELD = Reference(provider_ref=REFERENCE, payment_id=uuid4(), amount=Decimal("100.00"), currency="USD")
OURS = UUID("01a206b6-2617-7632-98bf-296e992e5f9b")
DETAILS = {"refund_ref": "mock_re_1", "refund_id": str(OURS), "amount": "40.00", "currency": "USD", "event_id": "evt_1"}


@pytest.fixture(scope="module")
def server() -> Iterator[MockServer]:
    with MockServer() as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def http(server: MockServer) -> Iterator[httpx.Client]:
    """The server, with one payment of 100.00 that is paid."""
    with httpx.Client(base_url=server.url, timeout=60) as http:
        http.put("/_behaviour", json={})
        http.delete("/_payments")
        http.put(f"/_payments/{REFERENCE}", json={"status": "paid", "amount": "100.00", "currency": "USD"})
        yield http


@pytest.fixture
def provider(server: MockServer) -> Iterator[MockProvider]:
    provider = MockProvider(Account(options={"api_base": Secret(server.url)}))
    yield provider
    if provider._api and provider._api._client:
        provider._api._client.close()


def ask(provider: MockProvider, refund_id: UUID = OURS, amount: str = "40.00") -> ProviderRefundEvent:
    (event,) = provider.refund(HELD, refund_id=refund_id, amount=Decimal(amount), reason="returned")
    assert isinstance(event, ProviderRefundEvent)
    return event


def read(webhook: dict[str, Any]) -> list[Any]:
    body = json.dumps(sign(webhook, SECRET)).encode()
    raw_webhook = RawWebhook(provider="mock", headers={}, body=body, received_at=datetime.now(UTC))
    return list(MockProvider(Account(secrets=[Secret(SECRET)])).verify_and_parse(raw_webhook).events)


def made(http: httpx.Client) -> list[dict[str, Any]]:
    return http.get("/_payments").json()["refunds"]


@pytest.mark.parametrize("status", [each.value for each in RefundStatus])
def test_a_webhook_with_a_refund_in_it_is_about_that(status: str) -> None:
    webhook = {"provider_ref": REFERENCE, "status": status, "raw_data": DETAILS}

    assert read(webhook) == [
        ProviderRefundEvent(
            provider="mock",
            provider_ref=REFERENCE,
            refund_ref="mock_re_1",
            event_id="evt_1",
            status=RefundStatus(status),
            amount=Decimal("40.00"),
            currency="USD",
            refund_id=OURS,
            payment_id=UUID("6a1f0c3f-5f0e-5d7c-9f3b-1d2e4c5a6b7d"),
            raw=webhook,
        )
    ]


@pytest.mark.parametrize(("status", "details"), [("paid", DETAILS), ("failed", {"amount": "40.00"})])
def test_every_other_webhook_is_about_the_payment_as_before(status: str, details: dict[str, str]) -> None:
    (event,) = read({"provider_ref": REFERENCE, "status": status, "raw_data": details})

    assert isinstance(event, ProviderEvent)
    assert event.status is PaymentStatus(status)


@pytest.mark.parametrize(
    "change",
    [{"refund_ref": ""}, {"refund_ref": 7}, {"refund_id": "nonsense"}, {"amount": 40}, {"currency": "DOLLARS"}],
)
def test_a_webhook_that_says_it_wrongly_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(UnreadableError):
        read({"provider_ref": REFERENCE, "status": "succeeded", "raw_data": DETAILS | change})


def test_without_a_server_a_refund_succeeds_with_a_name_of_its_own() -> None:
    event = ask(MockProvider(Account()))

    assert (event.status, event.refund_ref, event.refund_id) == (RefundStatus.SUCCEEDED, f"mock_re_{OURS.hex}", OURS)
    assert (event.amount, event.currency, event.payment_id) == (Decimal("40.00"), "USD", HELD.payment_id)


def test_one_key_makes_one_refund_whatever_comes_the_second_time(provider: MockProvider, http: httpx.Client) -> None:
    first, second = ask(provider), ask(provider, amount="1.00")

    assert first == second
    assert first.amount == Decimal("40.00")
    assert [refund["refund_id"] for refund in made(http)] == [str(OURS)]


def test_no_more_is_given_than_was_paid(provider: MockProvider, http: httpx.Client) -> None:
    ask(provider, uuid4(), "60.00")
    with pytest.raises(ProviderRefusedError):
        ask(provider, uuid4(), "40.01")
    assert len(made(http)) == 1

    http.put(f"/_payments/{REFERENCE}/refunds/{made(http)[0]['refund_ref']}", json={"status": "failed"})
    assert ask(provider, uuid4(), "100.00").status is RefundStatus.SUCCEEDED


@pytest.mark.parametrize("status", ["pending", "failed", "canceled", "reversed"])
def test_nothing_is_given_of_what_is_not_there(provider: MockProvider, http: httpx.Client, status: str) -> None:
    http.put(f"/_payments/{REFERENCE}", json={"status": status})
    with pytest.raises(ProviderRefusedError):
        ask(provider)
    assert made(http) == []


@pytest.mark.parametrize("status", ["processing", "succeeded", "failed"])
def test_a_refund_begins_as_it_was_ordered(provider: MockProvider, http: httpx.Client, status: str) -> None:
    http.put("/_behaviour", json={"refunds": status})
    assert ask(provider).status is RefundStatus(status)
    assert http.put("/_behaviour", json={"refunds": "unknown"}).status_code == 400


@pytest.mark.parametrize(
    ("behaviour", "left"), [({"before": "error"}, 0), ({"after": "error"}, 1), ({"after": "drop"}, 1)]
)
def test_a_failure_before_makes_nothing_and_one_after_makes_it(
    provider: MockProvider, http: httpx.Client, behaviour: dict[str, str], left: int
) -> None:
    http.put("/_behaviour", json=behaviour | {"times": 1})
    with pytest.raises(ProviderUnavailableError):
        ask(provider)

    assert len(made(http)) == left
    ask(provider)
    assert len(made(http)) == 1


def test_a_concurrent_retry_is_recognized(provider: MockProvider, http: httpx.Client) -> None:
    http.put("/_behaviour", json={"in_progress": "always", "times": 1})
    with pytest.raises(ProviderUnavailableError) as caught:
        ask(provider)
    assert caught.value.in_progress


def test_a_look_up_tells_of_every_refund_the_dashboards_too(provider: MockProvider, http: httpx.Client) -> None:
    ask(provider)
    dashboards = {"amount": "5.00", "status": "processing"}
    http.put(f"/_payments/{REFERENCE}/refunds/mock_re_dashboard", json=dashboards)

    payment, ours, other = provider.look_up(HELD)

    assert isinstance(payment, ProviderEvent)
    assert payment.status is PaymentStatus.PAID
    assert isinstance(ours, ProviderRefundEvent)
    assert isinstance(other, ProviderRefundEvent)
    assert (ours.refund_id, ours.status) == (OURS, RefundStatus.SUCCEEDED)
    assert (other.refund_id, other.refund_ref, other.amount) == (None, "mock_re_dashboard", Decimal("5.00"))
    assert other.status is RefundStatus.PROCESSING
    assert provider.look_up(HELD)[1].event_id == ours.event_id, "seeing it again is no news"


@pytest.mark.parametrize("refunds", [7, {}, [7], [{}], [{"refund_ref": "r", "status": "paid"}], [{"status": "failed"}]])
def test_a_look_up_that_says_it_wrongly_is_not_understood(refunds: Any) -> None:
    provider = MockProvider(Account(options={"api_base": Secret("http://provider.test")}))
    held = {"provider_ref": REFERENCE, "status": "paid", "refunds": refunds}
    answer = httpx.MockTransport(lambda _: httpx.Response(200, json=held))
    assert provider._api
    provider._api._client = httpx.Client(transport=answer)
    with pytest.raises(UnreadableError):
        provider.look_up(HELD)


def test_a_refund_goes_to_its_own_payment() -> None:
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(404, json={})

    provider = MockProvider(Account(options={"api_base": Secret("http://provider.test")}))
    assert provider._api
    provider._api._client = httpx.Client(transport=httpx.MockTransport(answer))
    with pytest.raises(ProviderRefusedError):
        provider.refund(replace(HELD, provider_ref="../a?b"), refund_id=OURS, amount=Decimal("40.00"), reason=None)

    (request,) = requests
    assert request.url.raw_path == b"/payments/..%2Fa%3Fb/refunds"
    assert request.headers["Idempotency-Key"] == str(OURS)
    assert json.loads(request.content) == {"refund_id": str(OURS), "amount": "40.00", "currency": "USD"}
