"""PayPal: why money is pending, in words that all providers share; and why a verified event is ignored."""

from __future__ import annotations

from typing import Any

import pytest

from checkout_service.providers.base import IgnoredReason, ParsedWebhook, ProviderEvent
from checkout_service.providers.entries import AttemptEntry, PendingReason
from tests.providers.kits.kit import SignedWebhook
from tests.providers.kits.paypal import KIT, PayPalBank, event, event_body, sign
from tests.providers.kits.paypal_resources import AUTHORIZATION, PAYMENT_REF, authorization, capture
from tests.providers.test_paypal_keys import at


def parsed(webhook: SignedWebhook) -> ParsedWebhook:
    return KIT.provider().verify_and_parse(webhook.raw("paypal"))


def test_another_reason_is_news_of_an_order_that_is_looked_up() -> None:
    bank = PayPalBank()
    provider, reference, _ = at(bank)
    bank.pay(reference.provider_ref)
    (held,) = bank.movements(reference.provider_ref, "captures")
    ids = []
    for reason in ("PENDING_REVIEW", "UNILATERAL", "VERIFICATION_REQUIRED", "ECHECK"):
        held |= {"status": "PENDING", "status_details": {"reason": reason}}
        ids.append(provider.look_up(reference)[0].event_id)
    assert len(set(ids)) == 3, "two of them are one word of ours"
    held |= {"status": "COMPLETED"}
    assert provider.look_up(reference)[0].event_id not in ids


def attempt(kind: str, resource: dict[str, Any]) -> AttemptEntry:
    (found,) = parsed(event(kind, resource)).events
    assert isinstance(found, ProviderEvent)
    (entry, *_) = found.entries
    assert isinstance(entry, AttemptEntry)
    return entry


REASONS = {
    "ECHECK": PendingReason.BANK,
    "TRANSACTION_APPROVED_AWAITING_FUNDING": PendingReason.BANK,
    "PENDING_REVIEW": PendingReason.REVIEW,
    "BUYER_COMPLAINT": PendingReason.REVIEW,
    "CHARGEBACK": PendingReason.REVIEW,
    "INTERNATIONAL_WITHDRAWAL": PendingReason.ACCOUNT,
    "RECEIVING_PREFERENCE_MANDATES_MANUAL_ACTION": PendingReason.ACCOUNT,
    "UNILATERAL": PendingReason.ACCOUNT,
    "VERIFICATION_REQUIRED": PendingReason.ACCOUNT,
    "OTHER": PendingReason.OTHER,
    "REFUNDED": PendingReason.OTHER,
    "A_WORD_OF_NEXT_YEAR": PendingReason.OTHER,
    "": PendingReason.OTHER,
}


@pytest.mark.parametrize("reason", REASONS)
def test_a_pending_capture_says_why(reason: str) -> None:
    details = {"status_details": {"reason": reason}}
    for of in (None, AUTHORIZATION):
        entry = attempt("PAYMENT.CAPTURE.PENDING", capture(status="PENDING", of=of, **details))
        assert (entry.status.value, entry.pending, entry.decline) == ("under_way", REASONS[reason], None)
    entry = attempt("PAYMENT.AUTHORIZATION.CREATED", authorization(status="PENDING", **details))
    assert (entry.status.value, entry.pending) == ("under_way", REASONS[reason])


@pytest.mark.parametrize(
    "details", [{}, {"status_details": None}, {"status_details": {}}, {"status_details": {"reason": 7}}]
)
def test_a_pending_capture_without_a_reason_has_none(details: dict[str, Any]) -> None:
    assert attempt("PAYMENT.CAPTURE.PENDING", capture(status="PENDING", **details)).pending is None


@pytest.mark.parametrize("kind", ["COMPLETED", "DENIED", "DECLINED"])
def test_a_capture_that_is_over_waits_for_nothing_whatever_its_reason_was(kind: str) -> None:
    status = "COMPLETED" if kind == "COMPLETED" else "DECLINED"
    details = {"status_details": {"reason": "PENDING_REVIEW"}}
    entry = attempt(f"PAYMENT.CAPTURE.{kind}", capture(status=status, **details))
    assert entry.pending is None
    assert (entry.decline is None) == (kind == "COMPLETED")


@pytest.mark.parametrize(
    ("kind", "resource", "reason"),
    [
        ("PAYMENT.SALE.COMPLETED", {"id": "4EU7004268015634R", "custom": PAYMENT_REF}, IgnoredReason.UNKNOWN_TYPE),
        ("A.WORD.OF.NEXT.YEAR", {"custom_id": PAYMENT_REF}, IgnoredReason.UNKNOWN_TYPE),
        ("CHECKOUT.ORDER.COMPLETED", {"id": "5O190127TN364715T"}, IgnoredReason.UNKNOWN_TYPE),
        ("CHECKOUT.ORDER.APPROVED", {"id": "5O190127TN364715T"}, IgnoredReason.NOT_OURS),
        (
            "CHECKOUT.ORDER.APPROVED",
            {"id": "5O1", "purchase_units": [{"custom_id": "order 7"}]},
            IgnoredReason.NOT_OURS,
        ),
        ("PAYMENT.CAPTURE.COMPLETED", {}, IgnoredReason.NOTHING_TO_RECORD),
        ("PAYMENT.CAPTURE.COMPLETED", 7, IgnoredReason.NOTHING_TO_RECORD),
        ("CUSTOMER.DISPUTE.CREATED", [], IgnoredReason.NOTHING_TO_RECORD),
    ],
)
def test_an_event_that_leads_to_nothing_says_why(kind: str, resource: Any, reason: IgnoredReason) -> None:
    assert parsed(event(kind, resource)) == ParsedWebhook(secret=0, ignored=reason)


def test_the_secret_that_matched_is_named_for_each_event_whatever_comes_of_it() -> None:
    provider = KIT.provider(*KIT.secrets)
    for body in (
        event_body("PAYMENT.SALE.COMPLETED", {"id": "4EU7004268015634R"}),
        event_body("PAYMENT.CAPTURE.COMPLETED", capture()),
        event_body("CHECKOUT.ORDER.APPROVED", {"purchase_units": [{"custom_id": PAYMENT_REF}]}),
        event_body("CHECKOUT.ORDER.APPROVED", {}),
    ):
        assert provider.verify_and_parse(sign(body, KIT.secrets[1]).raw("paypal")).secret == 1
