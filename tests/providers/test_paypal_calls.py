"""Calls to PayPal, faked at their HTTP transport: orders, their one capture, refunds, and the token that lets us in."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from threading import Barrier
from typing import Any

import httpx
import pytest

from checkout_service.payments.status import AttemptStatus, PaymentStatus, RefundStatus
from checkout_service.providers.adapters.paypal import access_token as paypal_access
from checkout_service.providers.adapters.paypal.provider import PayPalProvider
from checkout_service.providers.base import (
    Decline,
    Opening,
    ProviderError,
    ProviderEvent,
    ProviderRefusedError,
    ProviderUnavailableError,
    Reference,
    UnreadableError,
)
from checkout_service.providers.entries import AttemptEntry, NoneUnderWayEntry
from tests.providers.kits.kit import AMOUNT, CURRENCY, NOW, PAYMENT_ID, REFUND_ID
from tests.providers.kits.paypal import KIT, OPTIONS, PAYMENT_REF, PayPalBank, reference_of

HELD = KIT.reference()
TOKEN = httpx.Response(200, json={"access_token": "A21AA", "expires_in": 32_400})


def at(bank: PayPalBank, **options: str) -> tuple[PayPalProvider, Reference]:
    """The provider with one open order, and the payment that it is for."""
    provider = KIT.provider(answer=bank, **options)
    made = provider.open(Opening(payment_id=PAYMENT_ID, amount=AMOUNT, currency=CURRENCY))
    return provider, reference_of(PAYMENT_ID, payment_token=made.payment_token)


def calls(bank: PayPalBank) -> list[str]:
    """What was asked of the API, without tokens."""
    return [f"{call.method} {call.url.path}" for call in bank.requests if call.url.path != "/v1/oauth2/token"]


def recorded(events: Any) -> list[Any]:
    """The events that are news: one without an id only tells that no attempt is under way."""
    return [event for event in events if not isinstance(event, ProviderEvent) or event.event_id]


def statuses(events: Any) -> list[Any]:
    return [event.status for event in recorded(events)]


def ends_what_was_under_way(events: Any) -> bool:
    """Whether the answer tells that no attempt is under way, in an event that is not recorded."""
    entries = [entry for event in events if isinstance(event, ProviderEvent) for entry in event.entries]
    return NoneUnderWayEntry(at=NOW) in entries


def test_a_payment_is_an_order_with_our_id_as_the_key() -> None:
    bank = PayPalBank()
    urls = {"return_url": "https://shop.test/paid", "cancel_url": "https://shop.test/cart"}
    provider = KIT.provider(answer=bank, **urls)

    made = provider.open(Opening(payment_id=PAYMENT_ID, amount=AMOUNT, currency=CURRENCY))

    token, call = bank.requests
    assert str(token.url) == "https://api-m.paypal.com/v1/oauth2/token"
    assert token.content == b"grant_type=client_credentials"
    password = b64encode(f"{OPTIONS['client_id']}:{OPTIONS['client_secret']}".encode()).decode()
    assert token.headers["Authorization"] == f"Basic {password}"
    assert str(call.url) == "https://api-m.paypal.com/v2/checkout/orders"
    assert call.headers["PayPal-Request-Id"] == str(PAYMENT_ID)
    assert call.headers["Prefer"] == "return=representation"
    assert json.loads(call.content) == {
        "intent": "CAPTURE",
        "purchase_units": [
            {
                "amount": {"currency_code": "USD", "value": "240.00"},
                "custom_id": PAYMENT_REF,
                "invoice_id": PAYMENT_REF,
            }
        ],
        "payment_source": {"paypal": {"experience_context": {**urls, "user_action": "PAY_NOW"}}},
    }
    assert (made.provider_ref, made.amount, made.currency) == (PAYMENT_REF, AMOUNT, CURRENCY)
    assert made.payment_token == bank.payments[PAYMENT_REF]["id"]
    assert provider.open(Opening(payment_id=PAYMENT_ID, amount=AMOUNT, currency=CURRENCY)) == made
    assert len(bank.payments) == 1


@pytest.mark.parametrize("currency", ["JPY", "HUF", "TWD"])
def test_currencies_without_decimals_are_written_so_and_never_rounded(currency: str) -> None:
    bank = PayPalBank()
    provider = KIT.provider(answer=bank)

    with pytest.raises(ProviderRefusedError) as caught:
        provider.open(Opening(payment_id=PAYMENT_ID, amount=Decimal("240.50"), currency=currency))
    assert caught.value.reason is Decline.AMOUNT_REFUSED
    assert bank.requests == []

    made = provider.open(Opening(payment_id=PAYMENT_ID, amount=Decimal("240.00"), currency=currency))
    assert made.amount == Decimal("240.00")
    sent = json.loads(bank.requests[-1].content)["purchase_units"][0]["amount"]
    assert sent == {"currency_code": currency, "value": "240"}


def test_an_order_that_waits_for_its_customer_says_nothing() -> None:
    bank = PayPalBank()
    provider, reference = at(bank)

    found = provider.look_up(reference)
    assert recorded(found) == []
    assert ends_what_was_under_way(found)
    assert bank.captured == []


def test_an_approved_order_is_captured_by_the_look_up() -> None:
    bank = PayPalBank()
    provider, reference = at(bank)
    bank.approve(PAYMENT_REF)

    (event,) = recorded(provider.look_up(reference))

    assert isinstance(event, ProviderEvent)
    assert (event.status, event.amount, event.currency) == (PaymentStatus.PAID, AMOUNT, CURRENCY)
    capture = bank.payments[PAYMENT_REF]["purchase_units"][0]["payments"]["captures"][0]
    assert event.capture_ref == capture["id"]
    assert "customer@example.test" not in json.dumps(event.raw)
    call = bank.requests[-1]
    assert (call.method, call.url.path) == ("POST", f"/v2/checkout/orders/{reference.payment_token}/capture")
    assert call.headers["PayPal-Request-Id"].startswith(f"capture-{PAYMENT_ID}")

    (again,) = recorded(provider.look_up(reference))
    assert again.event_id == event.event_id
    assert len(bank.captured) == 1


def test_a_payment_that_we_have_closed_is_not_captured_however_late_its_customer_approves() -> None:
    bank = PayPalBank()
    provider, reference = at(bank)
    bank.approve(PAYMENT_REF)

    assert recorded(provider.look_up(replace(reference, closed=True))) == []

    assert bank.captured == []
    assert not [call for call in calls(bank) if call.endswith("/capture")]


def test_what_was_captured_before_we_closed_it_is_an_event_all_the_same() -> None:
    bank = PayPalBank()
    provider, reference = at(bank)
    bank.pay(PAYMENT_REF)
    assert statuses(provider.look_up(replace(reference, closed=True))) == [PaymentStatus.PAID]


def test_an_order_over_another_amount_is_not_captured() -> None:
    bank = PayPalBank()
    provider, reference = at(bank)
    bank.approve(PAYMENT_REF)

    for other in (replace(reference, amount=Decimal("239.00")), replace(reference, currency="EUR")):
        with pytest.raises(UnreadableError, match="another amount"):
            provider.look_up(other)
    assert bank.captured == []


def test_two_workers_capture_once_and_both_learn_of_it() -> None:
    bank = PayPalBank()
    _, reference = at(bank)
    bank.approve(PAYMENT_REF)
    begin = Barrier(2)

    def meeting(request: httpx.Request) -> httpx.Response:
        """Both have seen that it is approved before either captures."""
        if request.url.path.endswith("/capture"):
            begin.wait(30)
        return bank(request)

    bank.tokens = 1
    with ThreadPoolExecutor(2) as pool:
        workers = [KIT.provider(answer=meeting) for _ in range(2)]
        for worker in workers:
            worker._access._headers, worker._access._until = {"Authorization": "Bearer A21AA1"}, float("inf")
        found = list(pool.map(lambda worker: worker.look_up(reference), workers))

    assert [statuses(events) for events in found] == [[PaymentStatus.PAID]] * 2
    assert len(bank.captured) == 1


def test_a_retry_that_captured_with_another_key_is_learned_of_from_the_order() -> None:
    """PayPal keeps a key for six hours and refuses a second capture for ever."""
    bank = PayPalBank()
    _, reference = at(bank)
    bank.approve(PAYMENT_REF)

    def overtaken(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/capture") and not bank.captured:
            bank.pay(PAYMENT_REF)
        return bank(request)

    provider = KIT.provider(answer=overtaken)
    assert statuses(provider.look_up(reference)) == [PaymentStatus.PAID]
    assert len(bank.captured) == 1
    assert calls(bank)[-2:] == [
        f"POST /v2/checkout/orders/{reference.payment_token}/capture",
        f"GET /v2/checkout/orders/{reference.payment_token}",
    ]


def test_an_answer_that_got_lost_is_fetched_again_with_the_same_key() -> None:
    bank = PayPalBank()
    _, reference = at(bank)
    bank.approve(PAYMENT_REF)
    lost: list[str] = []

    def losing(request: httpx.Request) -> httpx.Response:
        answer = bank(request)
        if request.url.path.endswith("/capture") and not lost:
            lost.append(request.headers["PayPal-Request-Id"])
            raise httpx.ReadTimeout("no")
        return answer

    assert statuses(KIT.provider(answer=losing).look_up(reference)) == [PaymentStatus.PAID]
    assert len(bank.captured) == 1
    assert bank.requests[-1].headers["PayPal-Request-Id"] == lost[0]


def test_a_declined_method_is_a_failure_after_which_another_can_be_approved() -> None:
    bank = PayPalBank()
    provider, reference = at(bank)
    bank.approve(PAYMENT_REF)
    bank.declines = 1

    (failed,) = recorded(provider.look_up(reference))
    assert (failed.status, failed.amount) == (PaymentStatus.FAILED, None)
    assert list(failed.entries) == [AttemptEntry(status=AttemptStatus.FAILED, decline="declined")]
    assert recorded(provider.look_up(reference)) == [], "it waits for its customer again"

    bank.approve(PAYMENT_REF)
    assert statuses(provider.look_up(reference)) == [PaymentStatus.PAID]
    assert len(bank.captured) == 1


def test_canceling_an_order_needs_no_call_but_to_see_that_nothing_came() -> None:
    bank = PayPalBank()
    provider, reference = at(bank)
    for approve in (False, True):
        if approve:
            bank.approve(PAYMENT_REF)
        assert statuses(provider.cancel(reference)) == [PaymentStatus.CANCELED]
    assert bank.captured == []
    assert {call.split()[0] for call in calls(bank)[1:]} == {"GET"}

    bank.pay(PAYMENT_REF)
    assert statuses(provider.cancel(reference)) == [PaymentStatus.PAID]


def test_an_order_that_paypal_has_forgotten_is_over_too() -> None:
    bank = PayPalBank()
    provider, reference = at(bank)
    bank.payments.clear()

    assert statuses(provider.cancel(reference)) == [PaymentStatus.CANCELED]
    with pytest.raises(ProviderRefusedError) as caught:
        provider.look_up(reference)
    assert caught.value.reason is Decline.UNKNOWN_REFERENCE


def test_canceling_says_nothing_while_a_capture_is_pending() -> None:
    bank = PayPalBank()
    provider, reference = at(bank)
    bank.pay(PAYMENT_REF)
    bank.payments[PAYMENT_REF]["purchase_units"][0]["payments"]["captures"][0]["status"] = "PENDING"
    found = provider.cancel(reference)
    assert statuses(found) == [PaymentStatus.PROCESSING]
    assert not ends_what_was_under_way(found)


@pytest.mark.parametrize(
    ("held", "status"),
    [
        ("COMPLETED", PaymentStatus.PAID),
        ("PARTIALLY_REFUNDED", PaymentStatus.PAID),
        ("REFUNDED", PaymentStatus.PAID),
        ("PENDING", PaymentStatus.PROCESSING),
        ("DECLINED", PaymentStatus.FAILED),
        ("FAILED", PaymentStatus.FAILED),
        ("A_WORD_OF_NEXT_YEAR", None),
    ],
)
def test_a_capture_proves_its_status(held: str, status: PaymentStatus | None) -> None:
    bank = PayPalBank()
    provider, reference = at(bank)
    bank.pay(PAYMENT_REF)
    bank.payments[PAYMENT_REF]["purchase_units"][0]["payments"]["captures"][0]["status"] = held
    assert statuses(provider.look_up(reference)) == ([status] if status else [])


def test_a_refund_is_made_of_the_capture_and_seen_by_the_next_look_up() -> None:
    bank = PayPalBank()
    provider, reference = at(bank)
    bank.pay(PAYMENT_REF)
    (paid,) = recorded(provider.look_up(reference))
    known = replace(reference, capture_ref=paid.capture_ref)

    for _ in range(2):
        (made,) = provider.refund(known, refund_id=REFUND_ID, amount=Decimal("40.00"), reason="too small" * 99)

    call = bank.requests[-1]
    assert call.url.path == f"/v2/payments/captures/{paid.capture_ref}/refund"
    assert call.headers["PayPal-Request-Id"] == str(REFUND_ID)
    assert json.loads(call.content) == {
        "amount": {"currency_code": "USD", "value": "40.00"},
        "custom_id": f"{PAYMENT_REF}_{REFUND_ID.hex}",
        "note_to_payer": ("too small" * 99)[:255],
    }
    assert (made.status, made.refund_id, made.amount) == (RefundStatus.PROCESSING, REFUND_ID, Decimal("40.00"))
    assert len(bank.refunds) == 1

    bank.refund(PAYMENT_REF, "R9", "10.00")
    _, ours, dashboard = recorded(provider.look_up(reference))
    assert (ours.refund_ref, ours.refund_id, ours.event_id) == (made.refund_ref, REFUND_ID, made.event_id)
    assert (dashboard.refund_ref, dashboard.refund_id, dashboard.status) == ("R9", None, RefundStatus.SUCCEEDED)
    assert dashboard.amount == Decimal("10.00")


def test_a_refund_finds_the_capture_that_no_webhook_has_named_yet() -> None:
    bank = PayPalBank()
    provider, reference = at(bank)
    with pytest.raises(ProviderUnavailableError, match="not known yet"):
        provider.refund(reference, refund_id=REFUND_ID, amount=AMOUNT, reason=None)
    assert bank.refunds == {}

    bank.pay(PAYMENT_REF)
    (made,) = provider.refund(reference, refund_id=REFUND_ID, amount=AMOUNT, reason=None)
    assert list(bank.refunds) == [made.refund_ref]


def test_a_token_is_shared_by_calls_and_renewed_before_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000.0
    monkeypatch.setattr(paypal_access, "monotonic", lambda: now)
    bank = PayPalBank()
    provider, reference = at(bank)
    for _ in range(3):
        provider.look_up(reference)
    assert bank.tokens == 1

    now += 32_400 - paypal_access.RENEWED_BEFORE + 1
    provider.look_up(reference)
    assert bank.tokens == 2


def test_a_token_that_was_withdrawn_is_replaced_once() -> None:
    bank = PayPalBank()
    provider, reference = at(bank)
    bank.tokens = 7  # another process has fetched tokens, and the one that we hold is no longer good

    assert recorded(provider.look_up(reference)) == []
    assert bank.tokens == 8


def test_credentials_that_are_refused_are_refused_after_two_tries() -> None:
    requests: list[str] = []

    def refuse(request: httpx.Request) -> httpx.Response:
        requests.append(request.url.path)
        return TOKEN if request.url.path == "/v1/oauth2/token" else httpx.Response(401, json={})

    with pytest.raises(ProviderRefusedError) as caught:
        KIT.provider(answer=refuse).look_up(HELD)

    assert caught.value.reason is Decline.CREDENTIALS
    assert len(requests) == 4
    with pytest.raises(ProviderRefusedError) as caught:
        KIT.provider(answer=lambda _: httpx.Response(401, json={"error": "invalid_client"})).look_up(HELD)
    assert caught.value.reason is Decline.CREDENTIALS


@pytest.mark.parametrize(
    "answer",
    [{}, {"access_token": "A21AA"}, {"access_token": 7, "expires_in": 9}, {"access_token": "A\n", "expires_in": 9}]
    + [{"access_token": "A21AA", "expires_in": seconds} for seconds in (0, -1, True, "9", 10**9)],
)
def test_an_answer_without_a_useful_token_is_unreadable(answer: dict[str, Any]) -> None:
    with pytest.raises(UnreadableError):
        KIT.provider(answer=lambda _: httpx.Response(200, json=answer)).look_up(HELD)


def issue(name: str, status: int = 422) -> httpx.Response:
    return httpx.Response(status, json={"name": "UNPROCESSABLE_ENTITY", "details": [{"issue": name}]})


REFUSALS = {
    "REFUND_AMOUNT_EXCEEDED": Decline.AMOUNT_REFUSED,
    "CAPTURE_FULLY_REFUNDED": Decline.NOT_IN_THIS_STATE,
    "REFUND_FAILED_INSUFFICIENT_FUNDS": Decline.INSUFFICIENT_FUNDS,
    "CURRENCY_NOT_SUPPORTED": Decline.CURRENCY_REFUSED,
    "DUPLICATE_INVOICE_ID": Decline.KEY_REUSED,
    "TRANSACTION_REFUSED": Decline.SUSPECTED_FRAUD,
    "A_WORD_OF_NEXT_YEAR": Decline.OTHER,
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_has_one_of_the_shared_words(name: str) -> None:
    with pytest.raises(ProviderRefusedError) as caught:
        refund(lambda _: issue(name))
    assert caught.value.reason is REFUSALS[name]


ANSWERS: dict[str, tuple[httpx.Response, type[ProviderError]]] = {
    "a retry at work": (issue("PREVIOUS_REQUEST_IN_PROGRESS"), ProviderUnavailableError),
    "details of another kind": (httpx.Response(422, json={"details": [7, {"issue": []}]}), ProviderRefusedError),
    "no JSON": (httpx.Response(201, text="<html>hunter2"), UnreadableError),
    "nothing in it": (httpx.Response(201, json={}), UnreadableError),
    "of another kind": (httpx.Response(201, json={"id": 7, "status": []}), UnreadableError),
}


@pytest.mark.parametrize(("answer", "error"), ANSWERS.values(), ids=ANSWERS.keys())
def test_an_answer_that_is_no_use_is_one_of_three_errors(answer: httpx.Response, error: type[ProviderError]) -> None:
    with pytest.raises(error) as caught:
        refund(lambda _: answer)
    assert "hunter2" not in str(caught.value)


def test_an_order_of_another_payment_is_refused() -> None:
    bank = PayPalBank()
    provider, reference = at(bank)
    bank.pay(PAYMENT_REF)
    other = replace(reference, provider_ref="paypal_" + "0" * 32)

    for call in (provider.look_up, provider.cancel):
        with pytest.raises(UnreadableError, match="another payment"):
            call(other)


def test_nobody_is_called_about_a_payment_without_an_order() -> None:
    for call in (KIT.provider().look_up, KIT.provider().cancel):
        with pytest.raises(ProviderRefusedError) as caught:
            call(replace(HELD, payment_token=None))
        assert caught.value.reason is Decline.UNKNOWN_REFERENCE


def refund(answer: Callable[[httpx.Request], httpx.Response]) -> Any:
    """Ask for a refund at a server that lets us in and answers so."""

    def admitted(request: httpx.Request) -> httpx.Response:
        return TOKEN if request.url.path == "/v1/oauth2/token" else answer(request)

    return KIT.provider(answer=admitted).refund(HELD, refund_id=REFUND_ID, amount=AMOUNT, reason=None)
