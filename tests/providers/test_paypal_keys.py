"""PayPal keeps the key of a call to an order for six hours, and that of one to a payment for 45 days.

What is repeated later than that is another request. So whatever was taken up, or given back, is looked for first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import count
from threading import Barrier, Lock
from typing import Any
from uuid import uuid4

import httpx
import pytest

from checkout_service.payments.status import PaymentStatus, RefundStatus
from checkout_service.providers.adapters.paypal.provider import PayPalProvider
from checkout_service.providers.base import Opening, ProviderRefundEvent, ProviderUnavailableError, Reference
from tests.crowd import at_once
from tests.providers.kits.kit import AMOUNT, CURRENCY, PAYMENT_ID, REFUND_ID
from tests.providers.kits.paypal import KIT, PayPalBank, reference_of
from tests.providers.test_paypal_calls import calls, statuses

TAKEN_UP = {"auto": ("capture", PaymentStatus.PAID), "manual": ("authorize", PaymentStatus.AUTHORIZED)}


class Line:
    """The way to PayPal, on which answers get lost: what was requested is done all the same."""

    def __init__(self, bank: PayPalBank) -> None:
        self.bank = bank
        self.losing: Callable[[httpx.Request], bool] = lambda request: False
        self._lock = Lock()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        with self._lock:
            answer = self.bank(request)
        if self.losing(request):
            raise httpx.ReadTimeout("the answer got lost", request=request)
        return answer


def at(bank: PayPalBank, capture: str = "auto") -> tuple[PayPalProvider, Reference, Line]:
    line = Line(bank)
    provider = KIT.provider(answer=line, capture=capture, clock=lambda: bank.now)
    made = provider.open(Opening(payment_id=PAYMENT_ID, amount=AMOUNT, currency=CURRENCY))
    return provider, reference_of(PAYMENT_ID, payment_token=made.payment_token), line


def taken_up(bank: PayPalBank) -> int:
    return len(bank.captured) + len(bank.authorized)


@pytest.mark.parametrize("hours", [1, 5.9, 6.1, 14, 24 * 46])
@pytest.mark.parametrize("capture", TAKEN_UP)
def test_an_order_whose_answer_got_lost_is_taken_up_once_however_late_the_retry(capture: str, hours: float) -> None:
    bank = PayPalBank()
    provider, reference, line = at(bank, capture)
    bank.approve(reference.provider_ref)
    step, status = TAKEN_UP[capture]
    line.losing = lambda request: request.url.path.endswith(step)
    with pytest.raises(ProviderUnavailableError):
        provider.look_up(reference)
    assert taken_up(bank) == 1
    line.losing = lambda request: False
    bank.trusting = True
    bank.later(hours=hours)
    made_before = len(bank.requests)

    events = provider.look_up(reference)

    assert statuses(events) == [status]
    assert taken_up(bank) == 1
    assert {call.method for call in bank.requests[made_before:] if call.url.path != "/v1/oauth2/token"} == {"GET"}


@pytest.mark.parametrize("capture", TAKEN_UP)
def test_an_approval_of_the_evening_that_never_reached_paypal_is_taken_up_the_next_morning(capture: str) -> None:
    bank = PayPalBank()
    provider, reference, _ = at(bank, capture)
    bank.approve(reference.provider_ref)
    bank.later(hours=14)
    assert statuses(provider.look_up(reference)) == [TAKEN_UP[capture][1]]
    assert taken_up(bank) == 1


@pytest.mark.parametrize("capture", TAKEN_UP)
def test_workers_that_look_at_once_with_a_key_that_is_forgotten_take_an_order_up_once(
    capture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PayPal itself takes an order up once; who is second learns of it from the order."""
    bank = PayPalBank()
    provider, reference, line = at(bank, capture)
    bank.approve(reference.provider_ref)
    monkeypatch.setattr(PayPalBank, "ORDERS", timedelta(0))
    both_have_looked, looks = Barrier(2), count()

    def meet(request: httpx.Request) -> bool:
        if request.method == "GET" and next(looks) < 2:
            both_have_looked.wait(timeout=20)
        return False

    line.losing = meet

    answers = at_once([lambda: provider.look_up(reference)] * 2)

    assert taken_up(bank) == 1
    assert [statuses(events) for events in answers] == [[TAKEN_UP[capture][1]]] * 2


@pytest.mark.parametrize("status", ["PENDING", "COMPLETED", "PARTIALLY_REFUNDED", "A_WORD_OF_NEXT_YEAR"])
def test_an_order_that_reads_approved_and_has_a_capture_is_not_captured_again(status: str) -> None:
    bank = PayPalBank()
    provider, reference, _ = at(bank)
    bank.pay(reference.provider_ref)
    bank.trusting = True
    bank.payments[reference.provider_ref]["status"] = "APPROVED"
    bank.movements(reference.provider_ref, "captures")[0]["status"] = status

    provider.look_up(reference)

    assert not [call for call in calls(bank) if call.endswith("/capture")]


def declined(provider: PayPalProvider, reference: Reference) -> Reference:
    """The payment as it is known once its refusal was recorded."""
    events = provider.look_up(reference)
    assert PaymentStatus.FAILED in statuses(events)
    failed = [event.event_id for event in events if event.status is PaymentStatus.FAILED]
    return replace(reference, failed_events=(*reference.failed_events, *failed))


@pytest.mark.parametrize("changed", [False, True], ids=["as it was", "and was changed by the refusal"])
@pytest.mark.parametrize("capture", TAKEN_UP)
def test_an_approval_that_was_declined_is_not_taken_up_the_next_morning_but_a_newer_one_is(
    capture: str, changed: bool
) -> None:
    bank = PayPalBank()
    provider, reference, _ = at(bank, capture)
    bank.approve(reference.provider_ref)
    bank.declines, bank.stays_approved = 1, True
    bank.changed_at = "2026-11-25T12:30:00Z" if changed else None
    known = declined(provider, reference)
    for hours in (1, 6):
        bank.later(hours=hours)
        assert statuses(provider.look_up(known)) == []
    assert taken_up(bank) == 0

    bank.approve(reference.provider_ref)
    bank.payments[reference.provider_ref]["update_time"] = "2026-11-26T08:00:00Z"
    assert statuses(provider.look_up(known)) == [TAKEN_UP[capture][1]]
    assert taken_up(bank) == 1


def test_a_capture_that_was_refused_leaves_its_order_to_another_method() -> None:
    bank = PayPalBank()
    provider, reference, _ = at(bank)
    bank.pay(reference.provider_ref)
    bank.captured.clear()
    bank.payments[reference.provider_ref]["status"] = "APPROVED"
    bank.movements(reference.provider_ref, "captures")[0]["status"] = "DECLINED"

    assert PaymentStatus.PAID in statuses(provider.look_up(reference))
    assert len(bank.captured) == 1


@pytest.mark.parametrize(("status", "authorized"), [("DENIED", 1), ("VOIDED", 0), ("CREATED", 0), ("OF_NEXT_YEAR", 0)])
def test_an_authorization_that_was_denied_leaves_its_order_to_another_method_and_no_other_does(
    status: str, authorized: int
) -> None:
    bank = PayPalBank()
    provider, reference, _ = at(bank, "manual")
    bank.pay(reference.provider_ref)
    bank.authorized.clear()
    bank.movements(reference.provider_ref, "authorizations")[0]["status"] = status
    bank.approve(reference.provider_ref)

    events = provider.look_up(reference)

    assert len(bank.authorized) == authorized
    assert (PaymentStatus.AUTHORIZED in statuses(events)) == (status in {"DENIED", "CREATED"})


@pytest.mark.parametrize("capture", TAKEN_UP)
def test_a_movement_that_is_refused_at_once_refuses_that_approval(
    capture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank = PayPalBank()
    provider, reference, _ = at(bank, capture)
    bank.approve(reference.provider_ref)
    take_up = PayPalBank._take_up

    def refuse(self: PayPalBank, order: dict[str, Any]) -> None:
        take_up(self, order)
        order["status"] = "APPROVED"
        for made in (*order["purchase_units"][0]["payments"].values(),):
            made[0]["status"] = "DECLINED" if capture == "auto" else "DENIED"

    monkeypatch.setattr(PayPalBank, "_take_up", refuse)
    known = declined(provider, reference)
    assert taken_up(bank) == 1

    bank.later(hours=7)
    provider.look_up(known)

    assert taken_up(bank) == 1

    # The next method is refused without a movement, while the order has the one that was refused before.
    bank.approve(reference.provider_ref)
    bank.payments[reference.provider_ref]["update_time"] = "2026-11-25T20:00:00Z"
    bank.declines, bank.stays_approved = 1, True
    known = declined(provider, known)
    assert taken_up(bank) == 1

    bank.later(hours=7)
    provider.look_up(known)

    assert taken_up(bank) == 1


def test_a_decline_that_names_no_moment_bars_no_later_approval() -> None:
    """As the release before recorded them."""
    bank = PayPalBank()
    provider, reference, _ = at(bank)
    known = replace(reference, failed_events=(f"lookup:{reference.provider_ref}:failed:declined",))
    bank.approve(reference.provider_ref)

    assert statuses(provider.look_up(known)) == [PaymentStatus.PAID]
    assert taken_up(bank) == 1


def test_an_order_that_was_opened_twice_makes_money_of_the_one_that_its_customer_has() -> None:
    """To open has no order to look at: the first one's id was in the answer that got lost, so nobody can approve it."""
    bank = PayPalBank()
    provider, reference, _ = at(bank)
    opening = Opening(payment_id=PAYMENT_ID, amount=AMOUNT, currency=CURRENCY)
    assert provider.open(opening).payment_token == reference.payment_token, "within six hours it is the same"
    bank.later(hours=7)

    second = provider.open(opening)

    assert second.payment_token != reference.payment_token
    known = replace(reference, payment_token=second.payment_token)
    assert statuses(provider.look_up(known)) == []
    bank.approve(reference.provider_ref)
    assert statuses(provider.look_up(known)) == [PaymentStatus.PAID]
    assert bank.captured == [second.payment_token]


def paid(bank: PayPalBank) -> tuple[PayPalProvider, Reference, Line]:
    provider, reference, line = at(bank)
    bank.pay(reference.provider_ref)
    return provider, reference, line


def test_a_refund_of_46_days_ago_is_found_by_its_order_and_its_key_is_forgotten() -> None:
    """So the worker, which asks again for some hours alone, looks for it, and is told."""
    bank = PayPalBank()
    provider, reference, line = paid(bank)
    ask: dict[str, Any] = {"refund_id": REFUND_ID, "amount": AMOUNT / 4, "reason": None}
    line.losing = lambda request: request.url.path.endswith("/refund")
    with pytest.raises(ProviderUnavailableError):
        provider.refund(reference, **ask)
    line.losing = lambda request: False
    bank.later(days=44)
    provider.refund(reference, **ask)
    assert len(bank.refunds) == 1, "the key brings the answer back"
    bank.later(days=2)

    (seen,) = [event for event in provider.look_up(reference) if isinstance(event, ProviderRefundEvent)]

    assert (seen.refund_id, seen.status) == (REFUND_ID, RefundStatus.PROCESSING)
    provider.refund(reference, **ask)
    assert len(bank.refunds) == 2, "who does not look pays twice"


def test_a_capture_request_is_found_by_its_order_however_late() -> None:
    bank = PayPalBank()
    provider, reference, line = at(bank, "manual")
    bank.approve(reference.provider_ref)
    (event, *_) = provider.look_up(reference)
    known = replace(reference, attempt_ref=event.entries[0].ref)
    request_id = uuid4()
    line.losing = lambda request: request.url.path.endswith("/capture")
    with pytest.raises(ProviderUnavailableError):
        provider.capture(known, request_id=request_id, amount=AMOUNT, final=True)
    line.losing = lambda request: False
    bank.later(days=46)

    events = provider.look_up(known)

    assert str(request_id) in {getattr(entry, "request_id", None) for event in events for entry in event.entries}
    assert len(bank.captured) == 1
