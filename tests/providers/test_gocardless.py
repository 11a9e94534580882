"""GoCardless: what deliveries of many events lead to, and what its answers become."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import httpx
import pytest

from checkout_service.payments.outcomes import ReviewReason
from checkout_service.payments.status import AttemptStatus, PaymentStatus, RefundStatus
from checkout_service.providers.adapters.gocardless.provider import GoCardlessProvider
from checkout_service.providers.base import (
    Decline,
    IgnoredReason,
    ParsedWebhook,
    ProviderEvent,
    ProviderRefundEvent,
    ProviderRefusedError,
    ProviderUnavailableError,
    Reference,
    ThinEvent,
    UnreadableError,
)
from checkout_service.providers.entries import (
    AttemptEntry,
    ClosedEntry,
    DisputeEntry,
    DisputeReason,
    NoneUnderWayEntry,
    NoticeEntry,
)
from checkout_service.providers.registry import provider_specs
from tests.providers.contract.judging import read
from tests.providers.contract.test_calls import opened, reference_of
from tests.providers.kits.gocardless import KIT, PAYMENT_REF, GoCardlessBank, delivery, event
from tests.providers.kits.kit import AMOUNT, CURRENCY, PAYMENT_ID

OTHER = UUID("11111111-2222-4333-8444-555555555555")


def parsed(*events: Any, deployment: str = "") -> ParsedWebhook:
    provider = KIT.provider(deployment=deployment)
    return provider.verify_and_parse(KIT.sealed(delivery(*events)).raw("gocardless"))


def references_in(webhook: ParsedWebhook) -> list[str]:
    assert all(isinstance(each, ThinEvent) and each.verified for each in webhook.events)
    return [each.provider_ref for each in webhook.events]


def payment_event(number: int, metadata: Any, action: str = "confirmed") -> dict[str, Any]:
    return event("payments", action, number, metadata, payment=f"PM{number:06}")


def test_a_delivery_of_250_events_is_one_look_up_a_payment_of_ours() -> None:
    ours = [str(UUID(int=number)) for number in range(100)]
    events = [payment_event(number, {"payment_id": ours[number % 100]}) for number in range(200)]
    events += [payment_event(number, {"order": "4711"}) for number in range(200, 230)]
    events += [event("payouts", "paid", number, {}, payout="PO1") for number in range(230, 250)]
    body = delivery(*events)
    assert len(body) < 256 * 1024, "what the receiver takes"

    webhook = parsed(*events)
    assert references_in(webhook) == [*ours, *(f"PM{number:06}" for number in range(200, 230))]
    assert [each.foreign for each in webhook.events] == [False] * 100 + [True] * 30


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ([], IgnoredReason.NOTHING_TO_RECORD),
        ([event("payments", "paid_out", 1)], IgnoredReason.NOTHING_TO_RECORD),
        ([event("mandates", "active", 1, {})], IgnoredReason.NOTHING_TO_RECORD),
        ([event("mandates", "of another age", 1, {})], IgnoredReason.NOTHING_TO_RECORD),
        ([event("billing_requests", "flow_visited", 1)], IgnoredReason.NOTHING_TO_RECORD),
        ([event("payments", "confirmed", 1, {})], IgnoredReason.NOT_OURS),
        ([event("payments", "confirmed", 1, {"payment_id": "4711"})], IgnoredReason.NOT_OURS),
        ([event("refunds", "created", 1, {})], IgnoredReason.NOT_OURS),
        ([event("payments", "of another age", 1)], IgnoredReason.UNKNOWN_TYPE),
        ([event("loans", "created", 1)], IgnoredReason.UNKNOWN_TYPE),
        ([event("payouts", "paid", 1), event("payments", "failed", 2, {})], IgnoredReason.NOT_OURS),
        ([event("payments", "failed", 2, {}), event("loans", "created", 1)], IgnoredReason.UNKNOWN_TYPE),
    ],
)
def test_what_leads_to_nothing_says_why(events: list[Any], reason: IgnoredReason) -> None:
    webhook = parsed(*events)
    assert (webhook.events, webhook.ignored, webhook.unreadable) == ([], reason, None)


BROKEN: dict[str, Any] = {
    "no object": 4711,
    "no id": payment_event(1, None) | {"id": None},
    "another's id": payment_event(1, None) | {"id": "PM1"},
    "an id that leads elsewhere": payment_event(1, None) | {"id": "EV1/../2"},
    "no action": payment_event(1, None) | {"action": ["confirmed"]},
    "no kind": payment_event(1, None) | {"resource_type": None},
    "metadata that is none": payment_event(1, None) | {"resource_metadata": ["payment_id"]},
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
def test_an_event_that_cannot_be_understood_takes_no_other_with_it(broken: Any) -> None:
    webhook = parsed(payment_event(1, None), broken, payment_event(3, {"payment_id": str(OTHER)}))
    assert references_in(webhook) == [str(PAYMENT_ID), str(OTHER)]
    assert webhook.unreadable is not None
    assert webhook.unreadable.startswith("event 2 of 3: ")

    with pytest.raises(UnreadableError, match="event 1 of 1"):
        parsed(broken)


def test_nothing_of_a_body_is_read_before_its_signature() -> None:
    """Else a stranger's body costs what our own do."""
    body = b'{"events": [' + b"[" * 100_000
    webhook = replace(KIT.sealed(body), headers={"webhook-signature": "0" * 64})
    assert read(KIT.provider(), webhook) is None


def test_a_delivery_is_verified_by_any_live_secret_whatever_is_in_it() -> None:
    webhook = KIT.webhook(PaymentStatus.PAID, secret=KIT.secrets[2])
    assert KIT.provider(*KIT.secrets).verify_and_parse(webhook.raw("gocardless")).secret == 2


def at(bank: GoCardlessBank, **options: Any) -> tuple[GoCardlessProvider, Reference]:
    """The provider with one open payment, and what we know of it."""
    provider = KIT.provider(answer=bank)
    return provider, reference_of(opened(provider, **options))


def sent(bank: GoCardlessBank, path: str) -> list[dict[str, Any]]:
    return [
        json.loads(call.content) for call in bank.requests if call.method == "POST" and call.url.path.endswith(path)
    ]


def events_of(found: Any, kind: type[Any] = ProviderEvent) -> list[Any]:
    return [each for each in found if isinstance(each, kind) and each.event_id]


def entries(found: Any, kind: type[Any]) -> list[Any]:
    return [entry for each in found for entry in getattr(each, "entries", ()) if isinstance(entry, kind)]


def test_an_open_request_is_looked_up_and_nothing_is_under_way() -> None:
    provider, reference = at(GoCardlessBank())
    found = provider.look_up(reference)
    assert events_of(found) == []
    assert len(entries(found, NoneUnderWayEntry)) == 1


@pytest.mark.parametrize("status", ["fulfilling", "fulfilled"])
def test_a_request_on_its_way_to_a_payment_is_under_way(status: str) -> None:
    bank = GoCardlessBank()
    provider, reference = at(bank)
    bank.payments[reference.provider_ref]["status"] = status
    found = provider.look_up(reference)
    assert [each.status for each in events_of(found)] == [PaymentStatus.PROCESSING]
    assert entries(found, NoneUnderWayEntry) == []


def test_without_a_name_of_anything_there_is_nobody_to_ask() -> None:
    for token in (None, "", "https://pay.test/1", "https://pay.test/1#BRQ../x", "https://pay.test/1#PM1"):
        with pytest.raises(ProviderRefusedError) as caught:
            KIT.provider().look_up(replace(KIT.reference(), payment_token=token))
        assert caught.value.reason is Decline.UNKNOWN_REFERENCE


def test_a_payment_that_is_known_by_its_own_name_needs_no_request() -> None:
    bank = GoCardlessBank()
    provider, reference = at(bank)
    bank.pay(reference.provider_ref)
    (payment_ref,) = bank.debits
    bank.requests.clear()

    found = provider.look_up(replace(reference, attempt_ref=payment_ref, payment_token=None))

    assert [each.status for each in events_of(found)] == [PaymentStatus.PAID]
    assert [call.url.path for call in bank.requests] == [f"/payments/{payment_ref}", "/events", "/refunds"]


def test_a_history_of_several_pages_is_read_to_its_end_and_no_further() -> None:
    bank = GoCardlessBank()
    provider, reference = at(bank)
    bank.pay(reference.provider_ref)
    bank.page = 1
    assert [each.event_id for each in events_of(provider.look_up(reference))] == ["EV000000000002"]

    for _ in range(4):
        bank.happen(reference.provider_ref, "surcharge_fee_debited")
    with pytest.raises(UnreadableError, match="no end"):
        provider.look_up(reference)


def test_a_history_without_its_beginning_is_believed_by_the_status() -> None:
    """Events are kept for 18 months; the money came all the same, and is known by the payment's own name."""
    bank = GoCardlessBank()
    provider, reference = at(bank)
    bank.pay(reference.provider_ref)
    before = entries(provider.look_up(reference), object)
    bank.events.clear()
    after = provider.look_up(reference)
    assert [each.status for each in events_of(after)] == [PaymentStatus.PAID]
    captures = [entry for entry in before + entries(after, object) if hasattr(entry, "request_id")]
    assert len({(capture.ref, capture.amount) for capture in captures}) == 1


@pytest.mark.parametrize(
    ("actions", "hidden"),
    [
        (("confirmed", "failed"), "failed"),
        (("confirmed", "charged_back"), "charged_back"),
        (("confirmed", "charged_back", "chargeback_cancelled"), "chargeback_cancelled"),
        (("failed",), "failed"),
        (("failed", "resubmission_requested"), "resubmission_requested"),
    ],
)
def test_events_that_are_behind_their_payment_are_waited_for(actions: tuple[str, ...], hidden: str) -> None:
    bank = GoCardlessBank()
    bank.began = datetime.now(UTC) - timedelta(minutes=1)
    provider, reference = at(bank)
    bank.fulfil(reference.provider_ref)
    for action in actions:
        bank.happen(reference.provider_ref, action)
    bank.behind = {hidden}
    with pytest.raises(ProviderUnavailableError, match="do not tell yet") as caught:
        provider.look_up(reference)
    assert caught.value.in_progress, "it answered: others need not leave it alone"
    bank.behind = set()
    assert events_of(provider.look_up(reference))


def test_money_that_is_gone_by_old_events_and_back_by_the_status_is_for_a_person() -> None:
    """What else is known of the payment is entered, and a refund that is here is looked up."""
    bank = GoCardlessBank()
    provider, reference = at(bank)
    bank.pay(reference.provider_ref)
    bank.happen(reference.provider_ref, "charged_back")
    bank.happen(reference.provider_ref, "paid_out")
    bank.give_back(reference.provider_ref, "RF1", "paid", 4000)
    found = provider.look_up(reference)
    (notice,) = entries(found, NoticeEntry)
    assert notice.reason is ReviewReason.DISPUTE_MISMATCH
    assert [entry.money_out for entry in entries(found, DisputeEntry)] == [True]
    assert len(events_of(found, ProviderRefundEvent)) == 1
    bank.happen(reference.provider_ref, "chargeback_cancelled")
    assert entries(provider.look_up(reference), NoticeEntry) == []


def test_a_status_that_was_read_before_a_failure_is_no_retry() -> None:
    """The payment is read first and its events afterwards: between the two it may fail."""
    bank = GoCardlessBank()
    bank.began = datetime.now(UTC) - timedelta(minutes=1)
    provider, reference = at(bank)
    bank.fulfil(reference.provider_ref)
    (debit,) = bank.debits.values()
    bank.happen(reference.provider_ref, "failed")
    debit["status"] = "submitted"
    with pytest.raises(ProviderUnavailableError, match="do not tell yet"):
        provider.look_up(reference)
    debit["status"] = "failed"
    (attempt,) = entries(provider.look_up(reference), AttemptEntry)
    assert attempt.status is AttemptStatus.FAILED


def test_why_a_debit_failed_is_not_made_up_where_its_events_are_not_listed_any_more() -> None:
    bank = GoCardlessBank()
    provider, reference = at(bank)
    bank.fulfil(reference.provider_ref)
    bank.happen(reference.provider_ref, "failed", cause="bank_account_closed")
    bank.events.clear()
    (attempt,) = entries(provider.look_up(reference), AttemptEntry)
    assert (attempt.status, attempt.decline) == (AttemptStatus.FAILED, None)


@pytest.mark.parametrize(
    ("cause", "reason"),
    [
        ("authorisation_disputed", DisputeReason.UNRECOGNIZED),
        ("mandate_cancelled", DisputeReason.SUBSCRIPTION_CANCELED),
        ("refund_requested", DisputeReason.GENERAL),
        ("of another age", DisputeReason.GENERAL),
    ],
)
def test_a_charge_back_says_why(cause: str, reason: DisputeReason) -> None:
    bank = GoCardlessBank()
    provider, reference = at(bank)
    bank.pay(reference.provider_ref)
    bank.happen(reference.provider_ref, "charged_back", cause=cause)
    (dispute,) = entries(provider.look_up(reference), DisputeEntry)
    assert (dispute.reason, dispute.step, dispute.money_out, dispute.amount) == (reason, 1, True, AMOUNT)


def test_a_failed_debit_says_why_and_is_not_closed() -> None:
    bank = GoCardlessBank()
    provider, reference = at(bank)
    bank.fulfil(reference.provider_ref)
    bank.happen(reference.provider_ref, "failed", cause="bank_account_closed")
    found = provider.look_up(reference)
    (attempt,) = entries(found, AttemptEntry)
    assert (attempt.status, attempt.decline) == (AttemptStatus.FAILED, Decline.EXPIRED_METHOD.value)
    assert entries(found, ClosedEntry) == []


@pytest.mark.parametrize("wrong", ["an event", "a refund", "a payment", "a request"])
def test_what_is_anothers_is_unreadable(wrong: str) -> None:
    bank = GoCardlessBank()
    provider, reference = at(bank)
    bank.pay(reference.provider_ref)
    (debit,) = bank.debits.values()
    bank.give_back(reference.provider_ref, "RF1", "created", 4000)

    def answer(request: httpx.Request) -> httpx.Response:
        content = bank(request).content
        kind = request.url.path.split("/")[1]
        if kind == {"an event": "events", "a refund": "refunds"}.get(wrong):
            content = content.replace(debit["id"].encode(), b"PM000ANOTHER")
        if kind == {"a payment": "payments", "a request": "billing_requests"}.get(wrong):
            content = content.replace(str(PAYMENT_ID).encode(), str(OTHER).encode())
        return httpx.Response(200, content=content)

    assert events_of(provider.look_up(reference))
    with pytest.raises(UnreadableError):
        KIT.provider(answer=answer).look_up(reference)


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("created", RefundStatus.PROCESSING),
        ("submitted", RefundStatus.PROCESSING),
        ("paid", RefundStatus.SUCCEEDED),
        ("bounced", RefundStatus.FAILED),
        ("funds_returned", RefundStatus.FAILED),
        ("of another age", RefundStatus.PROCESSING),
    ],
)
def test_a_refund_of_the_dashboard_is_looked_up_too(word: str, status: RefundStatus) -> None:
    bank = GoCardlessBank()
    provider, reference = at(bank)
    bank.pay(reference.provider_ref)
    bank.give_back(reference.provider_ref, "RF1", word, 4000)
    (found,) = events_of(provider.look_up(reference), ProviderRefundEvent)
    assert (found.status, found.amount, found.refund_id) == (status, Decimal(40), None)


def test_the_settings_of_an_account_are_judged_at_start() -> None:
    form = provider_specs()["gocardless"].account
    judge = form.checks["access_token"]
    assert judge("live_tLxYn3nqVWxcJDRDgmEy8sVx") is judge("sandbox_x-y_z") is None
    for wrong in ("tLxYn3nqVWxcJDRDgmEy8sVx", "sk_live_1", "live_", "live_ü", "https://api.gocardless.com"):
        assert judge(wrong)


def test_nothing_of_the_customer_is_kept() -> None:
    bank = GoCardlessBank()
    provider, reference = at(bank, description="For Ada Lovelace")
    bank.pay(reference.provider_ref)
    kept = json.dumps([each.raw for each in provider.look_up(reference)])
    assert "Ada" not in kept
    assert "CU000123" not in kept
    assert PAYMENT_REF not in kept
    assert CURRENCY in kept
