"""Calls to Adyen, faked at their HTTP transport: payment links, their end, captures, voids and refunds."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from checkout_service.payments.status import AttemptStatus, CaptureStatus, PaymentStatus, RefundStatus
from checkout_service.providers.adapters.adyen.provider import AdyenProvider
from checkout_service.providers.base import (
    Decline,
    Opened,
    Opening,
    ProviderRefusedError,
    ProviderUnavailableError,
    UnreadableError,
)
from checkout_service.providers.entries import AttemptEntry, CaptureEntry, ClosedEntry
from tests.providers.kits.adyen import KIT, MERCHANT, PAYMENT_REF, REFUND_REF, AdyenBank, reference_of
from tests.providers.kits.kit import AMOUNT, CURRENCY, PAYMENT_ID, REFUND_ID

HELD = KIT.reference()


def opened(bank: Any, currency: str = CURRENCY, amount: Decimal = AMOUNT) -> Opened:
    return KIT.provider(answer=bank).open(Opening(payment_id=PAYMENT_ID, amount=amount, currency=currency))


def at(bank: AdyenBank) -> tuple[AdyenProvider, Any]:
    """The provider with one open link, and the payment that it is for."""
    token = opened(bank).payment_token
    return KIT.provider(answer=bank), reference_of(PAYMENT_ID, payment_token=token)


def test_a_payment_is_a_link_for_one_use_with_our_id_as_the_key() -> None:
    bank = AdyenBank()

    made = opened(bank)

    (call,) = bank.requests
    assert str(call.url) == "https://checkout-test.adyen.com/v72/paymentLinks"
    assert call.headers["Idempotency-Key"] == str(PAYMENT_ID)
    assert json.loads(call.content) == {
        "merchantAccount": MERCHANT,
        "reference": PAYMENT_REF,
        "amount": {"value": 24000, "currency": "USD"},
        "reusable": False,
        "metadata": {"payment_id": str(PAYMENT_ID)},
        "returnUrl": "https://shop.test/paid",
    }
    assert (made.provider_ref, made.amount, made.currency) == (PAYMENT_REF, AMOUNT, CURRENCY)
    assert made.payment_token == bank.payments[PAYMENT_REF]["url"]
    assert opened(bank) == made
    assert len(bank.payments) == 1


def test_an_amount_that_the_currency_cannot_express_is_refused_before_any_call() -> None:
    bank = AdyenBank()

    with pytest.raises(ProviderRefusedError) as caught:
        opened(bank, "JPY", Decimal("240.50"))

    assert caught.value.reason is Decline.AMOUNT_REFUSED
    assert bank.requests == []
    assert opened(bank, "JPY", Decimal("240.00")).amount == Decimal("240.00")
    assert json.loads(bank.requests[0].content)["amount"] == {"value": 240, "currency": "JPY"}


def test_a_link_whose_address_does_not_tell_its_id_keeps_it_behind_a_hash() -> None:
    bank = AdyenBank()
    bank.payments[PAYMENT_REF] = {}
    link = {"id": "PL7", "url": "https://pay.shop.test/x", "amount": {"value": 24000, "currency": "USD"}}

    made = opened(lambda _: httpx.Response(201, json=link))

    assert made.payment_token == "https://pay.shop.test/x#PL7"
    requests: list[str] = []

    def note(request: httpx.Request) -> httpx.Response:
        requests.append(request.url.path)
        return httpx.Response(200, json=link | {"reference": PAYMENT_REF, "status": "active"})

    KIT.provider(answer=note).look_up(replace(HELD, payment_token=made.payment_token))
    assert requests == ["/v72/paymentLinks/PL7"]


@pytest.mark.parametrize(
    ("held", "status"),
    [
        ("active", None),
        ("paymentPending", PaymentStatus.PROCESSING),
        ("completed", PaymentStatus.PROCESSING),
        ("paid", PaymentStatus.PROCESSING),
        ("expired", PaymentStatus.EXPIRED),
        ("a word of next year", None),
    ],
)
def test_a_link_proves_no_money(held: str, status: PaymentStatus | None) -> None:
    bank = AdyenBank()
    provider, reference = at(bank)
    bank.payments[PAYMENT_REF]["status"] = held

    events = provider.look_up(reference)

    assert [event.status for event in events] == ([status] if status else [])
    assert [event.event_id for event in provider.look_up(reference)] == [event.event_id for event in events]


@pytest.mark.parametrize(
    ("held", "lasts"),
    [("paymentPending", timedelta(days=14)), ("completed", timedelta(days=1)), ("paid", timedelta(days=1))],
)
def test_what_a_link_says_is_under_way_counts_for_a_time_and_ends_nothing(held: str, lasts: timedelta) -> None:
    """It names no attempt, so no event of an attempt ends it; and it cannot say that none is under way."""
    bank = AdyenBank()
    provider, reference = at(bank)
    bank.payments[PAYMENT_REF]["status"] = held

    (event,) = provider.look_up(reference)

    (entry,) = event.entries
    assert isinstance(entry, AttemptEntry)
    assert (entry.ref, entry.status) == ("", AttemptStatus.UNDER_WAY)
    assert entry.at is not None
    assert entry.times_out_at == entry.at + lasts


def test_a_link_that_ended_ends_the_payment() -> None:
    bank = AdyenBank()
    provider, reference = at(bank)
    (canceled,) = provider.cancel(reference)
    (expired,) = provider.look_up(reference)

    assert list(canceled.entries) == [ClosedEntry(status=PaymentStatus.CANCELED)]
    assert list(expired.entries) == [ClosedEntry(status=PaymentStatus.EXPIRED)]


def test_a_canceled_payment_can_no_longer_be_paid() -> None:
    bank = AdyenBank()
    provider, reference = at(bank)

    (event,) = provider.cancel(reference)

    assert event.status is PaymentStatus.CANCELED
    assert bank.payments[PAYMENT_REF]["status"] == "expired"
    assert (bank.requests[-1].method, json.loads(bank.requests[-1].content)) == ("PATCH", {"status": "expired"})


def test_canceling_what_was_paid_says_so_instead() -> None:
    bank = AdyenBank()
    provider, reference = at(bank)
    bank.pay(PAYMENT_REF)

    (event,) = provider.cancel(reference)

    assert event.status is PaymentStatus.PROCESSING
    assert bank.payments[PAYMENT_REF]["status"] == "completed"


def test_a_refund_is_made_of_the_authorisation_with_a_reference_that_names_the_payment() -> None:
    bank = AdyenBank()
    provider, reference = at(bank)
    known = replace(reference, attempt_ref="NC6HT9CRT65ZGN82", capture_ref="C7")

    (event,) = provider.refund(known, refund_id=REFUND_ID, amount=Decimal("40.00"), reason="too small")
    (again,) = provider.refund(known, refund_id=REFUND_ID, amount=Decimal("40.00"), reason="too small")

    call = bank.requests[-1]
    assert call.url.path == "/v72/payments/NC6HT9CRT65ZGN82/refunds"
    assert call.headers["Idempotency-Key"] == str(REFUND_ID)
    sent = {"merchantAccount": MERCHANT, "amount": {"value": 4000, "currency": "USD"}, "reference": REFUND_REF}
    assert json.loads(call.content) == sent
    assert len(REFUND_REF) <= 80
    assert (event.status, event.refund_id, event.amount) == (RefundStatus.PROCESSING, REFUND_ID, Decimal("40.00"))
    assert (event.refund_ref, event.provider_ref) == (again.refund_ref, PAYMENT_REF)
    assert event.attempt_ref == "NC6HT9CRT65ZGN82"
    assert len(bank.refunds) == 1


def test_without_the_authorisations_name_a_refund_waits() -> None:
    bank = AdyenBank()
    provider, reference = at(bank)

    for unknown in (reference, replace(reference, capture_ref="C7")):
        with pytest.raises(ProviderUnavailableError, match="not known yet"):
            provider.refund(unknown, refund_id=REFUND_ID, amount=AMOUNT, reason=None)

    assert bank.refunds == {}


def test_where_captures_are_made_one_by_one_the_link_says_so() -> None:
    bank = AdyenBank()

    KIT.provider(answer=bank, capture="manual").open(Opening(payment_id=PAYMENT_ID, amount=AMOUNT, currency=CURRENCY))

    assert json.loads(bank.requests[0].content)["manualCapture"] is True


def test_a_capture_is_of_the_authorisation_once_and_a_webhook_tells_how_it_ended() -> None:
    bank = AdyenBank()
    provider, reference = at(bank)
    known = replace(reference, attempt_ref="NC6HT9CRT65ZGN82")

    (event,), (again,) = (
        provider.capture(known, request_id=REFUND_ID, amount=Decimal("200.00"), final=True) for _ in range(2)
    )

    call = bank.requests[-1]
    assert (call.method, call.url.path) == ("POST", "/v72/payments/NC6HT9CRT65ZGN82/captures")
    assert call.headers["Idempotency-Key"] == str(REFUND_ID)
    assert json.loads(call.content) == {
        "merchantAccount": MERCHANT,
        "amount": {"value": 20000, "currency": "USD"},
        "reference": REFUND_REF,
    }
    (capture_ref,) = bank.captures
    assert list(event.entries) == [
        CaptureEntry(
            ref=capture_ref,
            status=CaptureStatus.PENDING,
            amount=Decimal("200.00"),
            currency="USD",
            attempt_ref="NC6HT9CRT65ZGN82",
            request_id=str(REFUND_ID),
        )
    ]
    assert (event, event.event_id) == (again, f"capture:{capture_ref}:received")


def test_a_capture_that_is_not_the_last_needs_an_account_that_has_several() -> None:
    bank = AdyenBank()
    known = replace(HELD, attempt_ref="NC6HT9CRT65ZGN82")

    with pytest.raises(ProviderRefusedError) as caught:
        KIT.provider(answer=bank).capture(known, request_id=REFUND_ID, amount=AMOUNT, final=False)
    assert caught.value.reason is Decline.NOT_IN_THIS_STATE
    assert bank.requests == []

    several = KIT.provider(answer=bank, multicapture="on")
    several.capture(known, request_id=REFUND_ID, amount=AMOUNT, final=False)
    assert len(bank.captures) == 1


def test_a_void_is_of_the_authorisation_once_and_proves_nothing_yet() -> None:
    bank = AdyenBank()
    provider, reference = at(bank)
    known = replace(reference, attempt_ref="NC6HT9CRT65ZGN82")

    assert [provider.void(known, void_id=REFUND_ID) for _ in range(2)] == [[], []]

    call = bank.requests[-1]
    assert (call.method, call.url.path) == ("POST", "/v72/payments/NC6HT9CRT65ZGN82/cancels")
    assert call.headers["Idempotency-Key"] == str(REFUND_ID)
    assert json.loads(call.content) == {"merchantAccount": MERCHANT, "reference": REFUND_REF}
    assert len(bank.cancels) == 1


def test_without_the_authorisations_name_nothing_is_captured_or_voided() -> None:
    provider = KIT.provider()  # whose server fails the test when it is called
    unknown = replace(HELD, attempt_ref=None, capture_ref=None)

    with pytest.raises(ProviderUnavailableError, match="not known yet"):
        provider.capture(unknown, request_id=REFUND_ID, amount=AMOUNT, final=True)
    with pytest.raises(ProviderUnavailableError, match="not known yet"):
        provider.void(unknown, void_id=REFUND_ID)


ANSWERS: dict[str, tuple[httpx.Response, type[Exception], object]] = {
    "a wrong key": (httpx.Response(401, json={"errorType": "security"}), ProviderRefusedError, Decline.CREDENTIALS),
    "no permission": (httpx.Response(403, json={"errorType": "security"}), ProviderRefusedError, Decline.CREDENTIALS),
    "a retry": (httpx.Response(422, json={"errorCode": "704"}), ProviderUnavailableError, None),
    "refused": (httpx.Response(422, json={"errorType": "validation"}), ProviderRefusedError, Decline.OTHER),
    "of an unknown kind": (
        httpx.Response(422, json={"errorType": ["validation"]}),
        ProviderRefusedError,
        Decline.OTHER,
    ),
    "no JSON": (httpx.Response(201, text="<html>"), UnreadableError, None),
    "nothing in it": (httpx.Response(201, json={}), UnreadableError, None),
    "of another kind": (httpx.Response(201, json={"id": 7, "amount": [], "url": {}}), UnreadableError, None),
    "no safe address": (
        httpx.Response(
            201, json={"id": "PL7", "url": "javascript:x//PL7", "amount": {"value": 24000, "currency": "USD"}}
        ),
        UnreadableError,
        None,
    ),
}


@pytest.mark.parametrize(("answer", "error", "reason"), ANSWERS.values(), ids=ANSWERS.keys())
def test_an_answer_that_is_no_use_is_one_of_three_errors(
    answer: httpx.Response, error: type[Exception], reason: object
) -> None:
    with pytest.raises(error) as caught:
        opened(lambda _: answer)

    assert getattr(caught.value, "reason", None) is reason
    assert "html" not in str(caught.value)


def test_a_look_up_answered_about_another_payment_is_refused() -> None:
    link = {"id": "PL7", "reference": "adyen_7", "status": "expired", "amount": {"value": 1, "currency": "USD"}}

    with pytest.raises(UnreadableError, match="another payment"):
        KIT.provider(answer=lambda _: httpx.Response(200, json=link)).look_up(HELD)


def test_nobody_is_called_about_a_payment_without_a_link() -> None:
    with pytest.raises(ProviderRefusedError) as caught:
        KIT.provider().look_up(replace(HELD, payment_token=None))
    assert caught.value.reason is Decline.UNKNOWN_REFERENCE
