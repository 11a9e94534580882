"""What Stripe's objects say of money, as entries: attempts, captures, refunds, disputes, warnings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from checkout_service.payments.outcomes import ReviewReason
from checkout_service.payments.status import (
    AttemptStatus,
    CaptureStatus,
    DisputeStage,
    DisputeStatus,
    PaymentStatus,
    RefundStatus,
)
from checkout_service.providers.adapters.stripe.events import EVENT_TYPES, LISTED_TYPES
from checkout_service.providers.adapters.stripe.intents import ON_HOLD_FOR
from checkout_service.providers.adapters.stripe.provider import StripeProvider
from checkout_service.providers.base import IgnoredReason, ProviderEvent, ProviderRefundEvent, ThinEvent
from checkout_service.providers.entries import (
    AttemptEntry,
    CaptureEntry,
    ClosedEntry,
    DisputeEntry,
    DisputeReason,
    Entry,
    NoneUnderWayEntry,
    NoticeEntry,
)
from checkout_service.settings.provider_accounts import Account
from checkout_service.settings.secret import Secret
from tests.providers.kits.kit import NOW
from tests.providers.kits.stripe import (
    API_KEY,
    CARD,
    CHARGE,
    CREATED,
    DEPLOYMENT,
    DISPUTE,
    INTENT,
    KIT,
    REFUND,
    WARNING,
    authorized,
    charge,
    dispute,
    event,
    intent,
    refund,
    sign,
    warning,
)


def read(kind: str, about: dict[str, Any], **fields: Any) -> Any:
    """The one event that a webhook of this kind says."""
    webhook = sign(event(kind, about, created=CREATED, **fields), KIT.secrets[0])
    (found,) = KIT.provider().verify_and_parse(webhook.raw("stripe")).events
    return found


def entries(kind: str, about: dict[str, Any]) -> list[Entry]:
    found = read(kind, about)
    assert isinstance(found, ProviderEvent)
    assert found.provider_ref == INTENT
    return list(found.entries)


def attempt(kind: str, about: dict[str, Any]) -> AttemptEntry:
    (found,) = [entry for entry in entries(kind, about) if isinstance(entry, AttemptEntry)]
    return found


def captures(kind: str, about: dict[str, Any]) -> list[CaptureEntry]:
    return [entry for entry in entries(kind, about) if isinstance(entry, CaptureEntry)]


def test_a_paid_intent_is_one_capture_by_the_name_of_its_charge() -> None:
    for latest in (CHARGE, charge()):  # the id alone, or the object
        tried, came, none = entries("payment_intent.succeeded", intent(latest_charge=latest))
        assert tried == AttemptEntry(
            ref=CHARGE, status=AttemptStatus.AUTHORIZED, currency="USD", rest_released=True, at=NOW
        )
        assert came == CaptureEntry(
            ref=CHARGE, status=CaptureStatus.SUCCEEDED, amount=Decimal("240.00"), currency="USD", attempt_ref=CHARGE
        )
        assert none == NoneUnderWayEntry(at=NOW)


def test_a_paid_intent_that_names_no_charge_presumes_its_money() -> None:
    tried, none = entries("payment_intent.succeeded", intent(latest_charge=None))

    assert isinstance(tried, AttemptEntry)
    assert (tried.ref, tried.presumed, tried.currency) == ("", Decimal("240.00"), "USD")
    assert isinstance(none, NoneUnderWayEntry)


def test_a_failure_is_of_its_charge_or_of_its_event() -> None:
    failed = attempt("payment_intent.payment_failed", intent("requires_payment_method"))
    assert (failed.ref, failed.status, failed.decline) == (CHARGE, AttemptStatus.FAILED, "declined")

    without = read("payment_intent.payment_failed", intent("requires_payment_method", latest_charge=None))
    assert without.entries[0].ref == without.event_id

    error = {"type": "card_error", "code": "expired_card", "charge": "ch_of_the_error"}
    named = attempt("payment_intent.payment_failed", intent("requires_payment_method", last_payment_error=error))
    assert (named.ref, named.decline) == ("ch_of_the_error", "expired_method")


def test_what_is_under_way_has_an_end_and_a_failure_ends_the_others() -> None:
    (under_way,) = entries("payment_intent.processing", intent("processing"))
    assert isinstance(under_way, AttemptEntry)
    assert (under_way.ref, under_way.status) == (CHARGE, AttemptStatus.UNDER_WAY)
    assert under_way.times_out_at is not None
    assert under_way.times_out_at > NOW + timedelta(days=20)  # 14 working days

    assert entries("charge.pending", charge("pending"))[0] == under_way
    assert attempt("charge.failed", charge("failed")).status is AttemptStatus.FAILED
    assert NoneUnderWayEntry(at=NOW) in entries("payment_intent.payment_failed", intent("requires_payment_method"))


def test_an_authorisation_is_a_promise_with_an_end() -> None:
    promised = attempt("charge.succeeded", authorized())
    assert (promised.status, promised.authorized, promised.rest_released) == (
        AttemptStatus.AUTHORIZED,
        Decimal("240.00"),
        False,
    )
    assert promised.expires_at == NOW + timedelta(days=5)
    assert captures("charge.succeeded", authorized()) == []

    elsewhere = authorized(payment_method_details={"type": "klarna", "klarna": {}})
    assert attempt("charge.succeeded", elsewhere).expires_at == NOW + ON_HOLD_FOR

    # An intent names its charge by the id alone: its end is the charge's to tell, and the greatest would be kept.
    by_intent = attempt("payment_intent.amount_capturable_updated", intent("requires_capture"))
    assert (by_intent.authorized, by_intent.expires_at) == (Decimal("240.00"), None)


def test_several_captures_are_one_that_grows() -> None:
    updated = "payment_intent.amount_capturable_updated"
    part = intent("requires_capture", amount_received=10000, amount_capturable=14000)

    (first,) = captures(updated, part)
    open_yet = attempt(updated, part)
    (whole,) = captures("payment_intent.succeeded", intent())

    assert (first.ref, first.amount) == (CHARGE, Decimal("100.00"))
    assert (whole.ref, whole.amount) == (CHARGE, Decimal("240.00"))
    assert (open_yet.authorized, open_yet.rest_released) == (Decimal("240.00"), False)
    assert attempt("payment_intent.succeeded", intent()).rest_released


@pytest.mark.parametrize(
    ("details", "released"),
    [
        ({"type": "card", "card": CARD | {"multicapture": {"status": "unavailable"}}}, True),
        ({"type": "card", "card": CARD | {"multicapture": {"status": "available"}}}, False),
        ({"type": "card", "card": CARD}, False),
        ({"type": "klarna", "klarna": {}}, True),
        ({}, True),
    ],
    ids=str,
)
def test_a_part_captured_releases_the_rest_unless_there_may_be_more(details: dict[str, Any], released: bool) -> None:
    part = charge(amount_captured=20000, payment_method_details=details)

    assert attempt("charge.captured", part).rest_released is released
    (came,) = captures("charge.captured", part)
    assert came.amount == Decimal("200.00")


def test_the_intent_ends_what_the_charge_leaves_open() -> None:
    tried = attempt("payment_intent.succeeded", intent(amount_received=20000))
    assert tried.rest_released


@pytest.mark.parametrize(
    ("reason", "closed"),
    [
        ("requested_by_customer", PaymentStatus.CANCELED),
        ("abandoned", PaymentStatus.CANCELED),
        (None, PaymentStatus.CANCELED),
        ("automatic", PaymentStatus.EXPIRED),
        ("expired", PaymentStatus.EXPIRED),
        ([], PaymentStatus.CANCELED),
    ],
)
def test_a_canceled_intent_closes_the_payment(reason: Any, closed: PaymentStatus) -> None:
    found = entries("payment_intent.canceled", intent("canceled", cancellation_reason=reason))

    assert ClosedEntry(status=closed) in found
    assert AttemptEntry(ref=CHARGE, status=AttemptStatus(closed.value), currency="USD", at=NOW) in found


def test_a_canceled_intent_does_not_rewrite_a_failure_nor_close_what_was_captured() -> None:
    declined = intent("canceled", last_payment_error={"code": "card_declined"})
    assert not [one for one in entries("payment_intent.canceled", declined) if isinstance(one, AttemptEntry)]

    part = intent("canceled", amount_received=10000)
    found = entries("payment_intent.canceled", part)
    assert not [one for one in found if isinstance(one, ClosedEntry)]
    assert [one.amount for one in found if isinstance(one, CaptureEntry)] == [Decimal("100.00")]
    assert attempt("payment_intent.canceled", part).rest_released


def test_an_authorisation_that_ran_out_or_was_let_go_is_open_no_more() -> None:
    gone = authorized(amount_refunded=24000, refunded=True)
    assert attempt("charge.expired", gone).status is AttemptStatus.EXPIRED
    assert attempt("charge.updated", gone).status is AttemptStatus.CANCELED


def test_a_charge_of_no_intent_is_not_ours() -> None:
    webhook = sign(event("charge.succeeded", charge(payment_intent=None)), KIT.secrets[0])
    parsed = KIT.provider().verify_and_parse(webhook.raw("stripe"))
    assert (list(parsed.events), parsed.ignored) == ([], IgnoredReason.NOT_OURS)


@pytest.mark.parametrize(
    ("metadata", "foreign"),
    [
        ({"deployment": DEPLOYMENT}, False),
        ({"deployment": "another"}, True),
        ({"order": "17"}, True),
        ({}, True),
        ("of another type", True),
    ],
    ids=str,
)
def test_an_intent_without_our_deployment_is_another_shops(metadata: Any, foreign: bool) -> None:
    assert read("payment_intent.succeeded", intent(metadata=metadata)).foreign is foreign


def test_who_has_no_name_of_its_own_takes_no_intent_for_another_shops() -> None:
    unnamed = StripeProvider(Account(options={"api_key": Secret(API_KEY)}, secrets=[Secret(KIT.secrets[0])]))
    webhook = sign(event("payment_intent.succeeded", intent(metadata={})), KIT.secrets[0])
    (found,) = unnamed.verify_and_parse(webhook.raw("stripe")).events
    assert isinstance(found, ProviderEvent)
    assert not found.foreign


def test_a_charge_is_another_shops_only_if_it_says_so() -> None:
    assert not read("charge.succeeded", charge()).foreign
    assert not read("charge.succeeded", charge(metadata={"deployment": DEPLOYMENT})).foreign
    assert read("charge.succeeded", charge(metadata={"deployment": "another"})).foreign


def test_every_name_leads_to_the_payment() -> None:
    assert read("charge.succeeded", charge()).names == (CHARGE,)
    found = read("refund.updated", refund(metadata={}))
    assert (found.provider_ref, found.names, found.capture_ref) == (INTENT, (CHARGE,), CHARGE)
    assert read("charge.dispute.created", dispute(charge=None)).names == (DISPUTE,)
    disputed = read("charge.dispute.created", dispute(payment_intent=None))
    assert (disputed.provider_ref, disputed.names, disputed.foreign) == ("", (CHARGE, DISPUTE), False)
    assert read("charge.dispute.created", dispute(payment_intent=None, charge=None)).foreign


@pytest.mark.parametrize("moves", [0, 1, 2])
@pytest.mark.parametrize("status", ["needs_response", "under_review", "lost", "won", "warning_closed", "prevented"])
def test_the_money_of_a_dispute_is_in_its_balance_transactions_and_not_in_its_status(status: str, moves: int) -> None:
    (found,) = entries("charge.dispute.updated", dispute(status, moves, amount=4000))

    assert isinstance(found, DisputeEntry)
    assert (found.step, found.money_out) == (moves, moves == 1)
    assert (found.amount, found.currency) == (Decimal("40.00"), "USD")
    assert (found.capture_ref, found.attempt_ref, found.at) == (CHARGE, CHARGE, NOW)


@pytest.mark.parametrize(
    ("status", "stage", "known"),
    [
        ("warning_needs_response", DisputeStage.INQUIRY, DisputeStatus.NEEDS_RESPONSE),
        ("warning_under_review", DisputeStage.INQUIRY, DisputeStatus.UNDER_REVIEW),
        ("warning_closed", DisputeStage.INQUIRY, DisputeStatus.CLOSED),
        ("warning_of_tomorrow", DisputeStage.INQUIRY, DisputeStatus.UNDER_REVIEW),
        ("needs_response", DisputeStage.CHARGEBACK, DisputeStatus.NEEDS_RESPONSE),
        ("appeal_needs_response", DisputeStage.CHARGEBACK, DisputeStatus.NEEDS_RESPONSE),
        ("appeal_under_review", DisputeStage.CHARGEBACK, DisputeStatus.UNDER_REVIEW),
        ("won", DisputeStage.CHARGEBACK, DisputeStatus.WON),
        ("lost", DisputeStage.CHARGEBACK, DisputeStatus.LOST),
        ("prevented", DisputeStage.CHARGEBACK, DisputeStatus.CLOSED),
        ("of tomorrow", DisputeStage.CHARGEBACK, DisputeStatus.UNDER_REVIEW),
    ],
)
def test_a_disputes_words_are_ours(status: str, stage: DisputeStage, known: DisputeStatus) -> None:
    (found,) = entries("charge.dispute.updated", dispute(status, 0))

    assert isinstance(found, DisputeEntry)
    assert (found.stage, found.status) == (stage, known)


@pytest.mark.parametrize(
    ("status", "refundable", "blocks"),
    [
        ("warning_needs_response", True, False),
        ("warning_needs_response", False, False),
        ("needs_response", True, False),
        ("needs_response", False, True),
        ("lost", False, True),
        ("won", False, False),
        ("prevented", False, False),
        ("needs_response", "no boolean", True),
    ],
)
def test_a_dispute_holds_refunds_back_while_its_charge_cannot_be_refunded(
    status: str, refundable: Any, blocks: bool
) -> None:
    (found,) = entries("charge.dispute.created", dispute(status, 0, is_charge_refundable=refundable))

    assert isinstance(found, DisputeEntry)
    assert found.blocks_refund is blocks


@pytest.mark.parametrize(
    ("details", "due"),
    [
        ({"due_by": CREATED + 60}, datetime.fromtimestamp(CREATED + 60, UTC)),
        ({"due_by": 0}, None),
        ({"due_by": None}, None),
        (None, None),
    ],
    ids=str,
)
def test_evidence_is_due_or_the_bank_takes_none(details: Any, due: datetime | None) -> None:
    (found,) = entries("charge.dispute.created", dispute(evidence_details=details))

    assert isinstance(found, DisputeEntry)
    assert found.evidence_due_at == due


@pytest.mark.parametrize(
    ("reason", "shared"),
    [
        ("product_not_received", DisputeReason.NOT_RECEIVED),
        ("insufficient_funds", DisputeReason.BANK_CANNOT_PROCESS),
        ("noncompliant", DisputeReason.GENERAL),
        (None, DisputeReason.GENERAL),
        ([], DisputeReason.GENERAL),
    ],
    ids=str,
)
def test_why_it_is_disputed_in_shared_words(reason: Any, shared: DisputeReason) -> None:
    (found,) = entries("charge.dispute.created", dispute(reason=reason))

    assert isinstance(found, DisputeEntry)
    assert found.reason is shared


def test_a_fraud_warning_is_a_notice_and_no_money() -> None:
    (found,) = entries("radar.early_fraud_warning.created", warning())

    assert found == NoticeEntry(reason=ReviewReason.FRAUD_WARNING, ref=WARNING, detail="made_with_stolen_card")


def test_a_refund_that_may_be_a_release_is_looked_up() -> None:
    released = refund(metadata={}, balance_transaction=None, amount=4000)
    assert read("refund.created", released) == ThinEvent(provider="stripe", provider_ref=INTENT)

    unknown = refund(metadata={})
    del unknown["balance_transaction"]
    for money in (refund(balance_transaction=None), refund("pending", metadata={}, balance_transaction=None), unknown):
        found = read("refund.created", money)
        assert isinstance(found, ProviderRefundEvent)
        assert found.refund_ref == REFUND
        assert found.status in {RefundStatus.SUCCEEDED, RefundStatus.PROCESSING}


def test_a_list_is_of_no_more_kinds_than_it_takes() -> None:
    """Stripe takes 20. What is left out is said by an intent's own event."""
    assert len(LISTED_TYPES) <= 20
    assert set(EVENT_TYPES) - set(LISTED_TYPES) == {"charge.pending", "charge.failed"}
