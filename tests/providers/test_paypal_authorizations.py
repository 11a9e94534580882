"""Orders that are authorized first: look-ups, captures and voids that we ask for, and the honor period."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import httpx
import pytest

from checkout_service.payments.status import (
    AttemptStatus,
    CaptureStatus,
    PaymentStatus,
)
from checkout_service.providers.adapters.paypal.provider import PayPalProvider
from checkout_service.providers.base import (
    Decline,
    Opening,
    ProviderEvent,
    ProviderRefusedError,
    Reference,
    UnreadableError,
)
from checkout_service.providers.entries import (
    AttemptEntry,
    CaptureEntry,
    ClosedEntry,
    NoneUnderWayEntry,
)
from tests.providers.kits.kit import AMOUNT, CURRENCY, NOW, PAYMENT_ID, REFUND_ID
from tests.providers.kits.paypal import KIT, PayPalBank, reference_of
from tests.providers.kits.paypal_resources import (
    PAYMENT_REF,
)

REQUEST_ID = UUID("7b1d5b8e-6a54-4b1c-9d31-3f8f0b5f2c10")


def open_attempt(ref: str, **fields: Any) -> AttemptEntry:
    return AttemptEntry(ref=ref, currency=CURRENCY, **fields)


def named(status: CaptureStatus, value: str, **fields: Any) -> CaptureEntry:
    return CaptureEntry(status=status, amount=Decimal(value), currency=CURRENCY, **fields)


def at(bank: PayPalBank, clock: Any = None, **options: str) -> tuple[PayPalProvider, Reference]:
    """The provider, and a payment that its customer has approved."""
    provider = KIT.provider(answer=bank, clock=clock, **options)
    made = provider.open(Opening(payment_id=PAYMENT_ID, amount=AMOUNT, currency=CURRENCY))
    bank.approve(PAYMENT_REF)
    return provider, reference_of(PAYMENT_ID, payment_token=made.payment_token)


def all_entries(events: Any) -> list[Any]:
    return [entry for event in events if isinstance(event, ProviderEvent) for entry in event.entries]


def authorized(bank: PayPalBank, clock: Any = None) -> tuple[PayPalProvider, Reference]:
    """The provider, and a payment that is authorized."""
    provider, reference = at(bank, clock, capture="manual")
    (attempt, _) = all_entries(provider.look_up(reference))
    return provider, reference_of(PAYMENT_ID, payment_token=reference.payment_token, attempt_ref=attempt.ref)


def calls(bank: PayPalBank) -> list[str]:
    return [
        f"{call.method} {call.url.path.split('/', 3)[3]}" for call in bank.requests if "oauth2" not in call.url.path
    ]


def test_an_approved_order_is_authorized_where_capture_is_manual() -> None:
    bank = PayPalBank()
    provider, reference = at(bank, capture="manual")

    first, again = provider.look_up(reference), provider.look_up(reference)

    (attempt,) = bank.movements(PAYMENT_REF, "authorizations")
    expires_at = NOW + timedelta(days=29)
    assert all_entries(first) == [
        open_attempt(attempt["id"], status=AttemptStatus.AUTHORIZED, authorized=AMOUNT, expires_at=expires_at),
        NoneUnderWayEntry(at=NOW),
    ]
    assert [event.event_id for event in first] == [event.event_id for event in again]
    assert first[0].status is PaymentStatus.AUTHORIZED
    assert (len(bank.authorized), bank.captured) == (1, [])
    keys = [call.headers["PayPal-Request-Id"] for call in bank.requests if call.url.path.endswith("/authorize")]
    assert len(keys) == 1
    assert keys[0].startswith(f"authorize-{PAYMENT_ID}-")


def test_an_order_is_taken_up_as_it_was_opened_whatever_the_setting_is_now() -> None:
    bank = PayPalBank()
    _, reference = at(bank, capture="manual")
    KIT.provider(answer=bank).look_up(reference)
    assert (len(bank.authorized), bank.captured) == (1, [])


def test_an_order_that_was_authorized_is_not_authorized_again_the_next_morning() -> None:
    """PayPal keeps a key for six hours only."""
    bank = PayPalBank()
    provider, reference = authorized(bank)
    bank._answers.clear()
    for status in ("COMPLETED", "APPROVED"):
        bank.payments[PAYMENT_REF]["status"] = status
        provider.look_up(reference)
    assert len(bank.authorized) == 1
    assert len([call for call in calls(bank) if call.endswith("/authorize")]) == 1


def test_a_retry_that_authorized_with_another_key_is_learned_of_from_the_order() -> None:
    bank = PayPalBank()
    _, reference = at(bank, capture="manual")

    def overtaken(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/authorize") and not bank.authorized:
            bank.pay(PAYMENT_REF)
        return bank(request)

    found = KIT.provider(answer=overtaken).look_up(reference)
    assert found[0].status is PaymentStatus.AUTHORIZED
    assert len(bank.authorized) == 1


def test_a_payment_that_we_have_closed_is_not_authorized() -> None:
    bank = PayPalBank()
    provider, reference = at(bank, capture="manual")
    closed = reference_of(PAYMENT_ID, payment_token=reference.payment_token, closed=True)
    assert all_entries(provider.look_up(closed)) == [NoneUnderWayEntry(at=NOW)]
    assert bank.authorized == []


def test_what_is_authorized_is_not_canceled_with_the_order() -> None:
    provider, reference = authorized(PayPalBank())
    assert ClosedEntry(status=PaymentStatus.CANCELED) not in all_entries(provider.cancel(reference))


def test_a_look_up_tells_captures_refunds_and_that_nothing_is_under_way() -> None:
    bank = PayPalBank()
    provider, reference = authorized(bank)
    made = bank.capture(reference.attempt_ref or "", {"amount": {"currency_code": CURRENCY, "value": "200.00"}})
    assert isinstance(made, dict)
    bank.refund(PAYMENT_REF, "R9", "200.00")
    made["status"] = "PARTIALLY_REFUNDED"

    seen, refund, over = provider.look_up(reference)

    assert seen.status is PaymentStatus.PAID
    assert seen.amount == Decimal("200.00")
    assert [entry for entry in seen.entries if isinstance(entry, CaptureEntry)] == [
        named(CaptureStatus.SUCCEEDED, "200.00", ref=made["id"], attempt_ref=reference.attempt_ref)
    ]
    assert refund.capture_ref == made["id"], "it can be of no other"
    assert over.entries == [NoneUnderWayEntry(at=NOW)]


def test_a_capture_under_review_is_under_way() -> None:
    bank = PayPalBank()
    provider, reference = at(bank)
    bank.pay(PAYMENT_REF)
    (held,) = bank.movements(PAYMENT_REF, "captures")
    held["status"] = "PENDING"

    (pending,) = provider.look_up(reference)
    held["status"] = "COMPLETED"
    came, _ = provider.look_up(reference)

    assert pending.status is PaymentStatus.PROCESSING
    assert pending.entries[0].status is AttemptStatus.UNDER_WAY
    assert pending.event_id != came.event_id


def test_a_long_order_has_an_event_id_of_bounded_length() -> None:
    bank = PayPalBank()
    provider, reference = authorized(bank)
    for _ in range(12):
        bank.capture(reference.attempt_ref or "", {"amount": {"currency_code": CURRENCY, "value": "20.00"}})
    first, *_ = provider.look_up(reference)
    assert len(first.event_id) < 200
    bank.movements(PAYMENT_REF, "captures")[-1]["status"] = "PENDING"
    other, *_ = provider.look_up(reference)
    assert other.event_id != first.event_id


# Captures and voids that we ask for.


def ask_capture(provider: PayPalProvider, reference: Reference, value: str = "200.00", **options: Any) -> Any:
    order = {"request_id": REQUEST_ID, "amount": Decimal(value), "final": True} | options
    return provider.capture(reference, **order)


def test_a_capture_is_requested_of_the_authorization_with_our_request_as_the_key() -> None:
    bank = PayPalBank()
    provider, reference = authorized(bank)

    first, again = ask_capture(provider, reference), ask_capture(provider, reference)

    call = bank.requests[-1]
    assert call.url.path == f"/v2/payments/authorizations/{reference.attempt_ref}/capture"
    assert call.headers["PayPal-Request-Id"] == str(REQUEST_ID)
    assert call.headers["Prefer"] == "return=representation"
    assert json.loads(call.content) == {
        "amount": {"currency_code": CURRENCY, "value": "200.00"},
        "final_capture": True,
        "invoice_id": f"{PAYMENT_REF}_{REQUEST_ID.hex}",
    }
    (made,) = bank.movements(PAYMENT_REF, "captures")
    assert (
        all_entries(first)
        == all_entries(again)
        == [
            open_attempt(reference.attempt_ref or "", status=AttemptStatus.AUTHORIZED, rest_released=True),
            named(
                CaptureStatus.SUCCEEDED,
                "200.00",
                ref=made["id"],
                attempt_ref=reference.attempt_ref,
                request_id=str(REQUEST_ID),
            ),
        ]
    )
    assert bank.movements(PAYMENT_REF, "captures") == [made]
    (_, seen, _) = all_entries(provider.look_up(reference))[1:]
    assert seen.request_id == str(REQUEST_ID), "a look-up knows it too, where the answer was lost"


def test_a_capture_that_is_not_the_last_leaves_the_rest_open() -> None:
    bank = PayPalBank()
    provider, reference = authorized(bank)
    attempt, _ = all_entries(ask_capture(provider, reference, "100.00", final=False))
    assert not attempt.rest_released
    other = UUID(int=7)
    attempt, made = all_entries(ask_capture(provider, reference, "140.00", request_id=other))
    assert attempt.rest_released
    assert (made.amount, made.request_id) == (Decimal("140.00"), str(other))


@pytest.mark.parametrize(
    ("status", "proven"),
    [
        ("PENDING", CaptureStatus.PENDING),
        ("DECLINED", CaptureStatus.REFUSED),
        ("A_WORD_OF_NEXT_YEAR", CaptureStatus.PENDING),
    ],
)
def test_the_answer_to_a_capture_may_be_that_it_waits_or_was_refused(status: str, proven: CaptureStatus) -> None:
    bank = PayPalBank()
    _, reference = authorized(bank)

    def answer(request: httpx.Request) -> httpx.Response:
        response = bank(request)
        if request.url.path.endswith("/capture"):
            return httpx.Response(201, json=json.loads(response.content) | {"status": status})
        return response

    _, made = all_entries(ask_capture(KIT.provider(answer=answer), reference))
    assert made.status is proven


@pytest.mark.parametrize(
    ("state", "value", "reason"),
    [
        ("CREATED", "300.00", Decline.AMOUNT_REFUSED),
        ("VOIDED", "200.00", Decline.NOT_IN_THIS_STATE),
        ("CAPTURED", "1.00", Decline.NOT_IN_THIS_STATE),
    ],
)
def test_a_capture_that_paypal_refuses_has_a_reason(state: str, value: str, reason: Decline) -> None:
    bank = PayPalBank()
    provider, reference = authorized(bank)
    bank.movements(PAYMENT_REF, "authorizations")[0]["status"] = state

    with pytest.raises(ProviderRefusedError) as caught:
        ask_capture(provider, reference, value)
    assert caught.value.reason is reason
    assert bank.captured == []


def test_up_to_115_percent_may_be_captured() -> None:
    bank = PayPalBank()
    provider, reference = authorized(bank)
    _, made = all_entries(ask_capture(provider, reference, "276.00"))
    assert made.amount == Decimal("276.00")


def test_a_capture_without_an_authorization_is_refused_before_any_call() -> None:
    bank = PayPalBank()
    provider, reference = at(bank)
    before = len(bank.requests)
    for ask in (lambda: ask_capture(provider, reference), lambda: provider.void(reference, void_id=REQUEST_ID)):
        with pytest.raises(ProviderRefusedError) as caught:
            ask()
        assert caught.value.reason is Decline.NOT_IN_THIS_STATE
    assert not [call for call in bank.requests[before:] if call.method == "POST"]


def test_after_the_honor_period_the_order_is_authorized_anew_and_that_is_captured() -> None:
    bank, now = PayPalBank(), [NOW]
    provider, reference = authorized(bank, lambda: now[0])
    now[0] = bank.made_at = NOW + timedelta(days=4)

    first = ask_capture(provider, reference)

    old, new = bank.movements(PAYMENT_REF, "authorizations")
    renewed, attempt, made = all_entries(first)
    assert (renewed.ref, renewed.replaces, renewed.authorized) == (new["id"], old["id"], AMOUNT)
    assert attempt.ref == made.attempt_ref == new["id"]
    assert bank.requests[-1].url.path == f"/v2/payments/authorizations/{new['id']}/capture"
    assert [call.split("/")[-1] for call in calls(bank)[-3:]] == [reference.payment_token, "reauthorize", "capture"]

    bank.movements(PAYMENT_REF, "authorizations")[1]["status"] = "CREATED"
    assert all_entries(ask_capture(provider, reference))[-1] == made, "a retry finds what was made"
    assert len(bank.movements(PAYMENT_REF, "captures")) == 1
    assert len(bank.movements(PAYMENT_REF, "authorizations")) == 2

    looked_up = all_entries(provider.look_up(reference))
    assert [entry.replaces for entry in looked_up if isinstance(entry, AttemptEntry)][:2] == [None, old["id"]]


@pytest.mark.parametrize("days", [0, 3])
def test_within_the_honor_period_nothing_is_authorized_anew(days: int) -> None:
    bank, now = PayPalBank(), [NOW]
    provider, reference = authorized(bank, lambda: now[0])
    now[0] = NOW + timedelta(days=days)
    ask_capture(provider, reference)
    assert len(bank.movements(PAYMENT_REF, "authorizations")) == 1


def test_where_paypal_does_not_authorize_anew_the_old_one_is_captured() -> None:
    bank, now = PayPalBank(), [NOW]
    _, reference = authorized(bank)
    now[0] = NOW + timedelta(days=9)

    def refusing(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/reauthorize"):
            return httpx.Response(422, json={"details": [{"issue": "REAUTHORIZATION_NOT_SUPPORTED"}]})
        return bank(request)

    provider = KIT.provider(answer=refusing, clock=lambda: now[0])
    _, made = all_entries(ask_capture(provider, reference))
    assert made.attempt_ref == reference.attempt_ref


def test_an_authorization_is_captured_even_where_its_order_is_forgotten() -> None:
    bank = PayPalBank()
    _, reference = authorized(bank)

    def forgetful(request: httpx.Request) -> httpx.Response:
        return bank(request) if request.method == "POST" else httpx.Response(404, json={})

    _, made = all_entries(ask_capture(KIT.provider(answer=forgetful), reference))
    assert made.attempt_ref == reference.attempt_ref


def test_a_void_ends_the_first_authorization_and_all_that_stand_in_its_place() -> None:
    bank, now = PayPalBank(), [NOW]
    provider, reference = authorized(bank, lambda: now[0])
    bank.made_at = NOW + timedelta(days=4)
    path = f"/v2/payments/authorizations/{reference.attempt_ref}/reauthorize"
    provider._call("POST", path, json={}, key="dashboard")
    old, new = (held["id"] for held in bank.movements(PAYMENT_REF, "authorizations"))
    newest = reference_of(PAYMENT_ID, payment_token=reference.payment_token, attempt_ref=new)

    (voided,) = provider.void(newest, void_id=REQUEST_ID)

    assert bank.requests[-1].url.path == f"/v2/payments/authorizations/{old}/void"
    assert bank.requests[-1].headers["PayPal-Request-Id"] == str(REQUEST_ID)
    assert isinstance(voided, ProviderEvent)
    assert list(voided.entries) == [AttemptEntry(ref=ref, status=AttemptStatus.CANCELED) for ref in (old, new)]


def test_an_answer_without_content_is_a_void_too() -> None:
    bank = PayPalBank()
    _, reference = authorized(bank)

    def silent(request: httpx.Request) -> httpx.Response:
        answer = bank(request)
        return httpx.Response(204) if request.url.path.endswith("/void") else answer

    (voided,) = KIT.provider(answer=silent).void(reference, void_id=REQUEST_ID)
    assert voided.status is PaymentStatus.CANCELED


def test_what_was_voided_before_is_learned_of_from_the_order() -> None:
    bank = PayPalBank()
    provider, reference = authorized(bank)
    bank.void(reference.attempt_ref or "")
    attempt, _ = all_entries(provider.void(reference, void_id=REQUEST_ID))
    assert (attempt.ref, attempt.status) == (reference.attempt_ref, AttemptStatus.CANCELED)


def test_what_was_captured_for_the_last_time_is_learned_of_from_the_order_too() -> None:
    bank = PayPalBank()
    provider, reference = authorized(bank)
    bank.capture(
        reference.attempt_ref or "", {"amount": {"currency_code": CURRENCY, "value": "9"}, "final_capture": True}
    )
    attempt, *_ = all_entries(provider.void(reference, void_id=REQUEST_ID))
    assert attempt.rest_released


def test_an_order_of_another_payment_is_neither_captured_nor_voided() -> None:
    bank = PayPalBank()
    provider, reference = authorized(bank)
    other = Reference(
        provider_ref="paypal_" + "0" * 32,
        payment_id=UUID(int=0),
        amount=AMOUNT,
        currency=CURRENCY,
        payment_token=reference.payment_token,
        attempt_ref=reference.attempt_ref,
    )
    for ask in (lambda: ask_capture(provider, other), lambda: provider.void(other, void_id=REQUEST_ID)):
        with pytest.raises(UnreadableError, match="another payment"):
            ask()
    assert bank.captured == []


def test_a_refund_is_of_the_capture_that_it_names() -> None:
    bank = PayPalBank()
    provider, reference = authorized(bank)
    for number, value in enumerate(("100.00", "140.00")):
        ask_capture(provider, reference, value, request_id=UUID(int=number), final=bool(number))
    second = bank.movements(PAYMENT_REF, "captures")[1]["id"]
    known = reference_of(PAYMENT_ID, payment_token=reference.payment_token, capture_ref=second)

    (refund,) = provider.refund(known, refund_id=REFUND_ID, amount=Decimal("140.00"), reason=None)

    assert bank.requests[-1].url.path == f"/v2/payments/captures/{second}/refund"
    assert (refund.capture_ref, refund.refund_id) == (second, REFUND_ID)
