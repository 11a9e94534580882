"""Mollie's captures, releases and chargebacks: what look-ups say of them, and what is asked for."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import httpx
import pytest

from checkout_service.payments.status import (
    AttemptStatus,
    CaptureStatus,
    DisputeStage,
    DisputeStatus,
    PaymentStatus,
    RefundStatus,
)
from checkout_service.providers.adapters.mollie.provider import MollieProvider
from checkout_service.providers.base import (
    Decline,
    Opening,
    ProviderRefundEvent,
    ProviderRefusedError,
    ProviderUnavailableError,
    Reference,
    UnreadableError,
)
from checkout_service.providers.entries import (
    AttemptEntry,
    CaptureEntry,
    ClosedEntry,
    DisputeEntry,
    DisputeReason,
    NoneUnderWayEntry,
)
from tests.providers.kits.kit import AMOUNT, CURRENCY, PAYMENT_ID
from tests.providers.kits.mollie import KIT, MollieBank
from tests.providers.test_mollie import at, entries, statuses

REQUEST_ID = uuid4()


def authorized(bank: MollieBank) -> tuple[MollieProvider, Reference]:
    """A payment of which the bank of the customer holds back all."""
    provider, reference = at(bank)
    bank.authorize(reference.provider_ref)
    return provider, replace(reference, attempt_ref=reference.provider_ref)


def attempt_of(events: Any) -> AttemptEntry:
    (found,) = entries(events, AttemptEntry)
    assert isinstance(found, AttemptEntry)
    return found


def captures_of(events: Any) -> list[tuple[str, CaptureStatus]]:
    return [(str(entry.amount), entry.status) for entry in entries(events, CaptureEntry)]


def posted(bank: MollieBank) -> list[str]:
    """What was asked for behind the payment, in order."""
    return [call.url.path.split("/")[4] for call in bank.requests if call.method == "POST" and "tr_" in call.url.path]


@pytest.mark.parametrize(
    ("held", "attempt", "closed"),
    [
        ("pending", AttemptStatus.UNDER_WAY, None),
        ("failed", AttemptStatus.FAILED, PaymentStatus.FAILED),
        ("expired", AttemptStatus.FAILED, PaymentStatus.EXPIRED),
        ("canceled", AttemptStatus.FAILED, PaymentStatus.CANCELED),
        ("paid", AttemptStatus.STARTED, None),
    ],
)
def test_a_payment_is_one_attempt(held: str, attempt: AttemptStatus, closed: PaymentStatus | None) -> None:
    bank = MollieBank()
    provider, reference = at(bank)
    bank.payments[reference.provider_ref]["status"] = held
    before = datetime.now(UTC)

    events = provider.look_up(reference)

    entry = attempt_of(events)
    assert (entry.ref, entry.status) == (reference.provider_ref, attempt)
    assert entry.at is not None
    assert before <= entry.at <= datetime.now(UTC)
    assert [each.status for each in entries(events, ClosedEntry)] == ([closed] if closed else [])
    assert len(entries(events, NoneUnderWayEntry)) == (held != "pending")


def test_an_open_payment_says_that_nothing_is_under_way_and_is_not_recorded() -> None:
    provider, reference = at(MollieBank())

    (event,) = provider.look_up(reference)

    (entry,) = event.entries  # type: ignore[union-attr]
    assert isinstance(entry, NoneUnderWayEntry)
    assert timedelta(0) <= datetime.now(UTC) - entry.at < timedelta(seconds=5)
    assert (event.event_id, event.status) == ("", None)


def test_paid_presumes_what_was_captured_where_that_is_known() -> None:
    bank = MollieBank()
    provider, reference = at(bank)
    bank.pay(reference.provider_ref)
    whole = provider.look_up(reference)
    bank.payments[reference.provider_ref]["amountCaptured"] = {"currency": "USD", "value": "200.00"}
    part = provider.look_up(reference)

    assert (attempt_of(whole).presumed, attempt_of(part).presumed) == (AMOUNT, Decimal("200.00"))
    assert whole[0].event_id != part[0].event_id


def test_what_is_authorized_is_promised_until_its_day() -> None:
    bank = MollieBank()
    provider, reference = authorized(bank)

    events = provider.look_up(reference)

    entry = attempt_of(events)
    assert statuses(events) == [PaymentStatus.AUTHORIZED]
    assert (entry.status, entry.authorized, entry.currency) == (AttemptStatus.AUTHORIZED, AMOUNT, CURRENCY)
    assert (entry.presumed, entry.rest_released) == (None, False)
    assert entry.expires_at == datetime(2026, 12, 2, 12, tzinfo=UTC)
    bank.payments[reference.provider_ref]["captureBefore"] = "2026-12-05T12:00:00+00:00"
    assert provider.look_up(reference)[0].event_id != events[0].event_id, "a later end is news"


def test_an_authorisation_that_ended_is_over_by_its_own_name() -> None:
    for ended in ("canceled", "expired"):
        bank = MollieBank()
        provider, reference = authorized(bank)
        bank.payments[reference.provider_ref]["status"] = ended

        events = provider.look_up(reference)

        assert attempt_of(events).status is AttemptStatus(ended)
        assert [each.status.value for each in entries(events, ClosedEntry)] == [ended]


def test_the_account_asks_for_manual_capture_by_its_option() -> None:
    for options, mode in (({"capture": "manual"}, "manual"), ({"capture": "auto"}, None), ({}, None)):
        bank = MollieBank()
        KIT.provider(answer=bank, **options).open(Opening(payment_id=PAYMENT_ID, amount=AMOUNT, currency=CURRENCY))
        assert json.loads(bank.requests[0].content).get("captureMode") == mode


def test_a_capture_is_requested_with_our_id_and_named_by_theirs() -> None:
    bank = MollieBank()
    provider, reference = authorized(bank)

    (event,) = provider.capture(reference, request_id=REQUEST_ID, amount=AMOUNT, final=True)

    call = bank.requests[-1]
    assert (call.method, call.url.path) == ("POST", f"/v2/payments/{reference.provider_ref}/captures")
    assert call.headers["Idempotency-Key"] == str(REQUEST_ID)
    assert json.loads(call.content) == {
        "amount": {"currency": "USD", "value": "240.00"},
        "metadata": {"request_id": str(REQUEST_ID)},
    }
    assert event.entries == [  # type: ignore[union-attr]
        CaptureEntry(
            ref="cpt_0000000001",
            status=CaptureStatus.SUCCEEDED,
            amount=AMOUNT,
            currency=CURRENCY,
            attempt_ref=reference.provider_ref,
            request_id=str(REQUEST_ID),
        )
    ]
    found = provider.look_up(reference)
    assert event in found, "seeing it again is no news"
    assert attempt_of(found).presumed is None, "what is named is not presumed"
    assert attempt_of(found).rest_released


def test_a_capture_is_made_once_even_if_its_key_was_forgotten() -> None:
    bank = MollieBank()
    provider, reference = authorized(bank)

    first = provider.capture(reference, request_id=REQUEST_ID, amount=Decimal("100.00"), final=False)
    bank._answers.clear()
    again = provider.capture(reference, request_id=REQUEST_ID, amount=Decimal("100.00"), final=False)

    assert posted(bank) == ["captures"]
    assert first[0] in again
    assert captures_of(again) == [("100.00", CaptureStatus.SUCCEEDED)]
    provider.capture(reference, request_id=uuid4(), amount=Decimal("100.00"), final=False)
    assert len(bank.captures) == 2


def test_several_captures_leave_the_rest_authorized_and_the_last_releases_it() -> None:
    bank = MollieBank()
    provider, reference = authorized(bank)

    provider.capture(reference, request_id=uuid4(), amount=Decimal("100.00"), final=False)
    held = provider.look_up(reference)
    assert statuses(held)[0] is PaymentStatus.AUTHORIZED
    assert attempt_of(held).authorized == AMOUNT, "what was captured of it is told by the captures"

    last = provider.capture(reference, request_id=REQUEST_ID, amount=Decimal("100.00"), final=True)

    assert posted(bank) == ["captures", "captures", "release-authorization"]
    assert bank.payments[reference.provider_ref]["status"] == "paid"
    assert attempt_of(last).rest_released
    assert {entry.ref for entry in entries(last, CaptureEntry)} == set(bank.captures)


def test_a_last_capture_whose_release_was_lost_releases_when_it_is_requested_again() -> None:
    bank = MollieBank()
    provider, reference = authorized(bank)

    def cut(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("release-authorization"):
            return httpx.Response(503)
        return bank(request)

    with pytest.raises(ProviderUnavailableError):
        KIT.provider(answer=cut).capture(reference, request_id=REQUEST_ID, amount=Decimal("200.00"), final=True)
    assert bank.payments[reference.provider_ref]["status"] == "authorized"

    again = provider.capture(reference, request_id=REQUEST_ID, amount=Decimal("200.00"), final=True)

    assert len(bank.captures) == 1
    assert captures_of(again)[0] == ("200.00", CaptureStatus.SUCCEEDED)
    assert bank.payments[reference.provider_ref]["status"] == "paid"


def test_a_capture_may_be_on_its_way_and_be_refused_later() -> None:
    bank = MollieBank()
    bank.capturing = "pending"
    provider, reference = authorized(bank)

    (made,) = provider.capture(reference, request_id=REQUEST_ID, amount=AMOUNT, final=True)
    assert captures_of([made]) == [("240.00", CaptureStatus.PENDING)]
    bank.settle("cpt_0000000001", "failed")
    later = provider.look_up(reference)

    assert captures_of(later) == [("240.00", CaptureStatus.REFUSED)]
    assert statuses(later)[0] is PaymentStatus.AUTHORIZED
    assert made.event_id not in {event.event_id for event in later}


def test_a_paid_one_with_a_capture_on_its_way_presumes_nothing_and_waits_for_it() -> None:
    bank = MollieBank()
    provider, reference = authorized(bank)
    bank.capture(reference.provider_ref, "100.00")
    bank.capture(reference.provider_ref, "140.00", status="pending")
    bank.pay(reference.provider_ref)

    entry = attempt_of(provider.look_up(reference))
    assert (entry.status, entry.presumed, entry.rest_released) == (AttemptStatus.AUTHORIZED, None, False)

    bank.settle("cpt_0000000002", "succeeded")
    assert attempt_of(provider.look_up(reference)).rest_released


def test_a_capture_in_the_dashboard_is_seen_without_an_id_of_ours() -> None:
    bank = MollieBank()
    provider, reference = authorized(bank)
    bank.capture(reference.provider_ref, "200.00")
    bank.release(reference.provider_ref)

    (entry,) = entries(provider.look_up(reference), CaptureEntry)

    assert (entry.ref, entry.amount, entry.request_id) == ("cpt_0000000001", Decimal("200.00"), None)


def test_a_capture_of_before_they_had_a_status_is_final() -> None:
    bank = MollieBank()
    provider, reference = authorized(bank)
    del bank.capture(reference.provider_ref, "240.00")["status"]

    assert captures_of(provider.look_up(reference)) == [("240.00", CaptureStatus.SUCCEEDED)]


def test_what_is_void_is_released_with_our_id_as_the_key() -> None:
    bank = MollieBank()
    provider, reference = authorized(bank)

    events = provider.void(reference, void_id=REQUEST_ID)

    release = next(call for call in bank.requests if call.url.path.endswith("/release-authorization"))
    assert (release.method, release.headers["Idempotency-Key"]) == ("POST", str(REQUEST_ID))
    assert attempt_of(events).status is AttemptStatus.CANCELED
    bank._answers.clear()
    assert attempt_of(provider.void(reference, void_id=REQUEST_ID)).status is AttemptStatus.CANCELED, "as it stands"


def test_a_void_after_a_capture_releases_the_rest_and_the_payment_is_paid() -> None:
    bank = MollieBank()
    provider, reference = authorized(bank)
    bank.capture(reference.provider_ref, "100.00")

    events = provider.void(reference, void_id=REQUEST_ID)

    assert statuses(events)[0] is PaymentStatus.PAID
    assert captures_of(events) == [("100.00", CaptureStatus.SUCCEEDED)]
    assert attempt_of(events).rest_released


def test_a_release_that_was_accepted_and_not_done_yet_says_so() -> None:
    bank = MollieBank()
    provider, reference = authorized(bank)
    bank.release = lambda provider_ref: None  # type: ignore[method-assign]

    assert attempt_of(provider.void(reference, void_id=REQUEST_ID)).status is AttemptStatus.AUTHORIZED


def test_a_release_that_is_refused_though_something_is_authorized_is_a_refusal() -> None:
    bank = MollieBank()
    _, reference = authorized(bank)

    def refuse(request: httpx.Request) -> httpx.Response:
        return httpx.Response(422, json={"status": 422}) if request.method == "POST" else bank(request)

    with pytest.raises(ProviderRefusedError) as caught:
        KIT.provider(answer=refuse).void(reference, void_id=REQUEST_ID)
    assert caught.value.reason is Decline.NOT_IN_THIS_STATE


def test_a_capture_of_what_is_not_authorized_is_refused() -> None:
    bank = MollieBank()
    provider, reference = at(bank)

    with pytest.raises(ProviderRefusedError) as caught:
        provider.capture(reference, request_id=REQUEST_ID, amount=AMOUNT, final=True)
    assert caught.value.reason is Decline.NOT_IN_THIS_STATE
    assert bank.captures == {}


def test_a_chargeback_takes_its_own_amount_and_gives_it_back_when_it_is_reversed() -> None:
    bank = MollieBank()
    provider, reference = at(bank)
    bank.pay(reference.provider_ref)
    bank.charge_back(reference.provider_ref, "40.00")
    lost = provider.look_up(reference)
    bank.charge_back(reference.provider_ref, reversedAt="2026-11-30T12:00:00+00:00")
    won = provider.look_up(reference)

    common: dict[str, Any] = {
        "ref": "chb_n9z0tp",
        "stage": DisputeStage.CHARGEBACK,
        "amount": Decimal("40.00"),
        "currency": "USD",
        "attempt_ref": reference.provider_ref,
    }
    out, back = datetime(2026, 11, 27, 12, tzinfo=UTC), datetime(2026, 11, 30, 12, tzinfo=UTC)
    assert entries(lost, DisputeEntry) == [
        DisputeEntry(status=DisputeStatus.LOST, at=out, step=1, money_out=True, **common)
    ]
    assert entries(won, DisputeEntry) == [
        DisputeEntry(status=DisputeStatus.WON, at=back, step=2, money_out=False, **common)
    ]
    assert statuses(won) == [PaymentStatus.PAID, None], "money alone decides whether it is reversed"


def test_several_chargebacks_are_several_disputes_and_their_sum_is_not_added() -> None:
    bank = MollieBank()
    provider, reference = at(bank)
    bank.pay(reference.provider_ref)
    bank.charge_back(reference.provider_ref, "40.00", "chb_1", reversedAt="2026-11-30T12:00:00+00:00")
    bank.charge_back(reference.provider_ref, "40.00", "chb_2")
    bank.payments[reference.provider_ref]["amountChargedBack"] = {"currency": "USD", "value": "80.00"}

    found = entries(provider.look_up(reference), DisputeEntry)

    assert [(entry.ref, entry.amount, entry.money_out) for entry in found] == [
        ("chb_1", Decimal("40.00"), False),
        ("chb_2", Decimal("40.00"), True),
    ]


@pytest.mark.parametrize(
    ("reason", "shared"),
    [
        (None, None),
        ({"code": "AM04", "description": "Insufficient funds"}, DisputeReason.BANK_CANNOT_PROCESS),
        ({"code": "AC01", "description": "…"}, DisputeReason.BANK_CANNOT_PROCESS),
        ({"code": "AM05", "description": "…"}, DisputeReason.DUPLICATE),
        ({"code": "MD06", "description": "…"}, DisputeReason.GENERAL),
        ({"code": None}, None),
        ("AM04", None),
        ({"code": ["AM04"]}, None),
    ],
)
def test_why_a_direct_debit_came_back_is_in_shared_words(reason: Any, shared: DisputeReason | None) -> None:
    bank = MollieBank()
    provider, reference = at(bank)
    bank.pay(reference.provider_ref)
    bank.charge_back(reference.provider_ref, reason=reason)

    (entry,) = entries(provider.look_up(reference), DisputeEntry)

    assert entry.reason is shared


def test_refunds_and_chargebacks_name_the_one_capture_or_else_the_payment() -> None:
    bank = MollieBank()
    provider, reference = authorized(bank)
    ref = reference.provider_ref
    bank.capture(ref, "100.00")
    bank.refund(ref, "re_1", "40.00")
    bank.charge_back(ref, "40.00")

    def sources() -> set[tuple[str | None, str | None]]:
        events = provider.look_up(reference)
        found = [event for event in events if isinstance(event, ProviderRefundEvent)]
        found += entries(events, DisputeEntry)
        return {(each.attempt_ref, each.capture_ref or None) for each in found}

    assert sources() == {(ref, "cpt_0000000001")}
    bank.capture(ref, "140.00")
    assert sources() == {(ref, None)}, "a refund at Mollie is of the payment, not of one of several captures"


def test_more_may_be_given_back_than_came_and_a_queued_refund_may_be_canceled() -> None:
    bank = MollieBank()
    provider, reference = at(bank)
    bank.pay(reference.provider_ref)
    bank.refund(reference.provider_ref, "re_1", "260.00")
    bank.refund(reference.provider_ref, "re_2", "10.00", status="queued")
    first = {event.event_id for event in provider.look_up(reference)}
    bank.refund(reference.provider_ref, "re_2", "10.00", status="canceled")

    _, large, canceled = provider.look_up(reference)

    assert (large.amount, large.status) == (Decimal("260.00"), RefundStatus.SUCCEEDED)
    assert canceled.status is RefundStatus.FAILED
    assert canceled.event_id not in first


@pytest.mark.parametrize(
    "wrong",
    [
        {"captures": [{}]},
        {"captures": {}},
        {"captures": [{"id": "cpt_1", "status": 7, "amount": {"currency": "USD", "value": "1.00"}}]},
        {"captures": [{"id": "cpt_1", "status": "pending", "amount": {"currency": "USD", "value": "-1.00"}}]},
        {"chargebacks": [{"id": "chb_1"}]},
        {"chargebacks": [{"id": "chb_1\0", "amount": {"currency": "USD", "value": "1.00"}}]},
        {"chargebacks": [{"id": "chb_1", "amount": {"currency": "USD", "value": "1.00"}, "reversedAt": "soon"}]},
    ],
    ids=str,
)
def test_what_makes_no_sense_is_unreadable(wrong: dict[str, Any]) -> None:
    held = {"id": KIT.reference().provider_ref, "status": "paid", "amount": {"currency": "USD", "value": "240.00"}}
    answer = httpx.Response(200, content=json.dumps(held | {"_embedded": wrong}))

    with pytest.raises(UnreadableError):
        KIT.provider(answer=lambda _: answer).look_up(KIT.reference())
