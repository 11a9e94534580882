"""Disputes and early fraud warnings as entries.

The story of a dispute is its status, by the time of the event. Its money is in its balance transactions alone: the
first takes it out, the second gives it back, whatever word the status says.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from checkout_service.payments.outcomes import ReviewReason
from checkout_service.payments.status import DisputeStage, DisputeStatus
from checkout_service.providers.adapters.stripe.objects import (
    KEPT,
    NAME,
    Object,
    id_of,
    moment_in,
    money,
    object_in,
    optional_id_of,
)
from checkout_service.providers.base import ProviderEvent, UnreadableError
from checkout_service.providers.entries import DisputeEntry, DisputeReason, NoticeEntry
from checkout_service.providers.fields import currency_of, items, text
from checkout_service.providers.redaction import kept

_INQUIRY: Final = "warning_"

# By the end of the word: "warning_closed" is an inquiry that is closed. An appeal stays in the stage of the chargeback,
# since the status after it ("lost", "won") does not tell that there was one, and the later stage would hide it.
_STATUSES: Final = {
    "needs_response": DisputeStatus.NEEDS_RESPONSE,
    "under_review": DisputeStatus.UNDER_REVIEW,
    "closed": DisputeStatus.CLOSED,
    "prevented": DisputeStatus.CLOSED,
    "won": DisputeStatus.WON,
    "lost": DisputeStatus.LOST,
}

_REASONS: Final = {
    "credit_not_processed": DisputeReason.CREDIT_NOT_PROCESSED,
    "duplicate": DisputeReason.DUPLICATE,
    "fraudulent": DisputeReason.FRAUDULENT,
    "product_not_received": DisputeReason.NOT_RECEIVED,
    "product_unacceptable": DisputeReason.NOT_AS_DESCRIBED,
    "subscription_canceled": DisputeReason.SUBSCRIPTION_CANCELED,
    "unrecognized": DisputeReason.UNRECOGNIZED,
} | dict.fromkeys(
    (
        "bank_cannot_process",
        "check_returned",
        "debit_not_authorized",
        "incorrect_account_details",
        "insufficient_funds",
    ),
    DisputeReason.BANK_CANNOT_PROCESS,
)
"""Those of docs.stripe.com/disputes/categories; any other is ``general``."""


def dispute_event(
    dispute: dict[str, Any],
    event_id: str,
    *,
    at: datetime,
    raw: dict[str, Any],
    occurred_at: datetime | None = None,
) -> ProviderEvent:
    """What a dispute says of itself at a moment."""
    if text(dispute, "object") != "dispute":
        raise UnreadableError("the object is not a dispute")
    ref, charge = text(dispute, "id"), optional_id_of(dispute.get("charge"))
    entry = _entry(dispute, ref, charge, at=at)
    intent = optional_id_of(dispute.get("payment_intent"))
    return ProviderEvent(
        provider=NAME,
        provider_ref=intent,
        event_id=event_id,
        status=None,
        amount=entry.amount,
        currency=entry.currency,
        occurred_at=occurred_at,
        entries=[entry, *_part_given_back(dispute, entry)],
        names=(charge, ref) if charge else (ref,),
        foreign=not intent and not charge,  # without an intent it waits for its charge to be known
        raw=kept(raw, KEPT),
    )


def seen_dispute(dispute: dict[str, Any], *, at: datetime) -> ProviderEvent:
    """A dispute in an answer; its id names what was seen, so that seeing it again is no news."""
    entry = _entry(dispute, text(dispute, "id"), optional_id_of(dispute.get("charge")), at=at)
    due = int(entry.evidence_due_at.timestamp()) if entry.evidence_due_at else 0
    seen = (text(dispute, "status"), entry.step, entry.amount, due, entry.blocks_refund)
    return dispute_event(dispute, f"lookup:{entry.ref}:" + ":".join(map(str, seen)), at=at, raw=dispute)


def warning_event(
    warning: dict[str, Any], event_id: str, *, raw: dict[str, Any], occurred_at: datetime
) -> ProviderEvent:
    """An early fraud warning: the card's bank reports fraud, and no money moves."""
    if text(warning, "object") != "radar.early_fraud_warning":
        raise UnreadableError("the object is not an early fraud warning")
    kind = warning.get("fraud_type")
    detail = text(warning, "fraud_type") if kind is not None else None
    charge, intent = id_of(warning.get("charge")), optional_id_of(warning.get("payment_intent"))
    return ProviderEvent(
        provider=NAME,
        provider_ref=intent,
        event_id=event_id,
        status=None,
        occurred_at=occurred_at,
        entries=[NoticeEntry(reason=ReviewReason.FRAUD_WARNING, ref=text(warning, "id"), detail=detail)],
        names=(charge,),
        raw=kept(raw, KEPT),
    )


def _part_given_back(dispute: Object, entry: DisputeEntry) -> list[NoticeEntry]:
    """A notice where what came back is less than what was taken: an entry gives back all or nothing."""
    moves = dispute.get("balance_transactions") or ()
    own = [move.get("amount") for move in moves if str(move.get("currency")).upper() == entry.currency]
    amounts = [amount for amount in own if isinstance(amount, int)]
    back = sum(amount for amount in amounts if amount > 0)
    if entry.money_out or not 0 < back < -sum(amount for amount in amounts if amount < 0):
        return []
    return [NoticeEntry(reason=ReviewReason.DISPUTE_MISMATCH, ref=entry.ref, detail="a part was given back")]


def _entry(dispute: Object, ref: str, charge: str, *, at: datetime) -> DisputeEntry:
    word, currency = text(dispute, "status"), currency_of(dispute.get("currency"))
    stage = DisputeStage.INQUIRY if word.startswith(_INQUIRY) else DisputeStage.CHARGEBACK
    # Stripe adds words over time. One that we do not know is open for all that we know.
    status = next((known for end, known in _STATUSES.items() if word.endswith(end)), DisputeStatus.UNDER_REVIEW)
    step = len(items(dispute, "balance_transactions")) if dispute.get("balance_transactions") is not None else 0
    over = status in {DisputeStatus.WON, DisputeStatus.CLOSED}
    return DisputeEntry(
        ref=ref,
        stage=stage,
        status=status,
        at=at,
        reason=_REASONS.get(str(dispute.get("reason")), DisputeReason.GENERAL),
        evidence_due_at=moment_in(object_in(dispute, "evidence_details"), "due_by"),
        # An inquiry holds nothing back, whatever the charge says: a refund may end it.
        blocks_refund=(
            stage is not DisputeStage.INQUIRY and not over and dispute.get("is_charge_refundable") is not True
        ),
        step=step,
        money_out=step % 2 == 1,
        amount=money(dispute, "amount", currency),
        currency=currency,
        capture_ref=charge,
        attempt_ref=charge,
    )
