"""Disputes of PayPal's: how far they are, until when we may answer, and why; never money.

An accepted claim is refunded, a payout may be PayPal's own money, and what PayPal takes of ours it tells by
PAYMENT.CAPTURE.REVERSED. So an amount in a dispute is what it is about, and moves nothing. (PayPal, "Disputes v1".)
"""

from __future__ import annotations

from typing import Any, Final

from checkout_service.payments.outcomes import ReviewReason
from checkout_service.payments.status import DisputeStage, DisputeStatus
from checkout_service.providers.adapters.paypal.resources import (
    KEPT,
    NAME,
    is_of_another,
    moment_if_any,
    money_if_any,
    own_reference,
)
from checkout_service.providers.base import ProviderEvent
from checkout_service.providers.entries import DisputeEntry, DisputeReason, NoticeEntry
from checkout_service.providers.fields import moment_of, text
from checkout_service.providers.redaction import kept

EVENTS: Final = frozenset(
    {"CUSTOMER.DISPUTE.CREATED", "CUSTOMER.DISPUTE.UPDATED", "CUSTOMER.DISPUTE.RESOLVED", "RISK.DISPUTE.CREATED"}
)
"""The last is what the first was called before."""

_STAGES: Final = {
    "INQUIRY": DisputeStage.INQUIRY,
    "CHARGEBACK": DisputeStage.CHARGEBACK,  # a claim at PayPal, or a chargeback of a card: dispute_channel tells
    "PRE_ARBITRATION": DisputeStage.PRE_ARBITRATION,
    "ARBITRATION": DisputeStage.ARBITRATION,
}

_STATUSES: Final = {
    "OPEN": DisputeStatus.NEEDS_RESPONSE,
    "WAITING_FOR_SELLER_RESPONSE": DisputeStatus.NEEDS_RESPONSE,
    "WAITING_FOR_BUYER_RESPONSE": DisputeStatus.UNDER_REVIEW,
    "UNDER_REVIEW": DisputeStatus.UNDER_REVIEW,
}

_OUTCOMES: Final = {
    "RESOLVED_BUYER_FAVOUR": DisputeStatus.LOST,
    "RESOLVED_SELLER_FAVOUR": DisputeStatus.WON,
    "ACCEPTED": DisputeStatus.LOST,
    "DENIED": DisputeStatus.WON,
}
"""Of a resolved one. That PayPal accepted it is against us, that it denied it is for us; any other outcome (paid by
PayPal, canceled by the buyer, none) only closes it."""

_REASONS: Final = {
    "MERCHANDISE_OR_SERVICE_NOT_RECEIVED": DisputeReason.NOT_RECEIVED,
    "MERCHANDISE_OR_SERVICE_NOT_AS_DESCRIBED": DisputeReason.NOT_AS_DESCRIBED,
    "UNAUTHORISED": DisputeReason.FRAUDULENT,
    "UNAUTHORIZED": DisputeReason.FRAUDULENT,
    "CREDIT_NOT_PROCESSED": DisputeReason.CREDIT_NOT_PROCESSED,
    "DUPLICATE_TRANSACTION": DisputeReason.DUPLICATE,
    "INCORRECT_AMOUNT": DisputeReason.PROCESSING_ERROR,
    "PAYMENT_BY_OTHER_MEANS": DisputeReason.DUPLICATE,
    "CANCELED_RECURRING_BILLING": DisputeReason.SUBSCRIPTION_CANCELED,
    "PROBLEM_WITH_REMITTANCE": DisputeReason.PROCESSING_ERROR,
}


def events_of(webhook: dict[str, Any], dispute: dict[str, Any]) -> list[ProviderEvent]:
    """One event for each transaction that is disputed, since they may be of several payments.

    The first has the dispute's own name, each further one the transaction's behind it.
    """
    event_id, dispute_id = text(webhook, "id"), text(dispute, "dispute_id")
    listed = dispute.get("disputed_transactions")
    transactions = [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
    return [
        _event(
            webhook,
            dispute,
            transaction,
            ref=dispute_id if place == 0 else f"{dispute_id}:{text(transaction, 'seller_transaction_id')}",
            event_id=event_id if place == 0 else f"{event_id}:{text(transaction, 'seller_transaction_id')}",
        )
        for place, transaction in enumerate(transactions or [{}])
    ]


def _event(
    webhook: dict[str, Any], dispute: dict[str, Any], transaction: dict[str, Any], *, ref: str, event_id: str
) -> ProviderEvent:
    found = own_reference(transaction)
    capture = text(transaction, "seller_transaction_id") if transaction.get("seller_transaction_id") else ""
    amount, currency = money_if_any(dispute, "dispute_amount")
    gross, charged = money_if_any(transaction, "gross_amount")
    if amount is None:
        amount, currency = gross, charged
    elif gross is not None and currency == charged:
        amount = min(amount, gross)
    occurred_at = moment_of(webhook["create_time"]) if "create_time" in webhook else None
    state, stage = dispute.get("status"), _stage(dispute)
    resolved = state == "RESOLVED" or webhook.get("event_type") == "CUSTOMER.DISPUTE.RESOLVED"
    entry = DisputeEntry(
        ref=ref,
        stage=stage,
        status=_outcome(dispute) if resolved else _STATUSES.get(str(state), DisputeStatus.UNDER_REVIEW),
        at=moment_if_any(dispute, "update_time", "create_time") or occurred_at,
        reason=_REASONS.get(str(dispute.get("reason")), DisputeReason.GENERAL),
        evidence_due_at=None if resolved else moment_if_any(dispute, "seller_response_due_date"),
        blocks_refund=not resolved and stage is not DisputeStage.INQUIRY,
        amount=amount,
        currency=currency,
        capture_ref=capture,
    )
    return ProviderEvent(
        provider=NAME,
        provider_ref=found.provider_ref if found else "",
        event_id=event_id,
        status=None,
        amount=amount,
        currency=currency,
        occurred_at=occurred_at,
        payment_id=found.payment_id if found else None,
        entries=[entry, *([_unpriced(ref)] if amount is None and entry.blocks_refund else [])],
        names=[name for name in (ref, capture) if name],
        foreign=is_of_another(transaction),
        raw=kept(webhook, KEPT),
    )


def _unpriced(ref: str) -> NoticeEntry:
    """An open claim that holds back nobody knows how much."""
    return NoticeEntry(reason=ReviewReason.DISPUTE_MISMATCH, ref=ref, detail="over an amount that we cannot hold")


def _stage(dispute: dict[str, Any]) -> DisputeStage:
    """A stage that we do not know holds refunds back, as a claim does."""
    return _STAGES.get(str(dispute.get("dispute_life_cycle_stage")), DisputeStage.CHARGEBACK)


def _outcome(dispute: dict[str, Any]) -> DisputeStatus:
    outcome = dispute.get("dispute_outcome")
    code = outcome.get("outcome_code") if isinstance(outcome, dict) else None
    return _OUTCOMES.get(str(code), DisputeStatus.CLOSED)
