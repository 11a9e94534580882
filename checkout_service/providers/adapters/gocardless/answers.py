"""What GoCardless' answers say of a payment, its history and its refunds: pure.

The payment's status says how it stands, its events by which names money moved. Where they do not fit together yet, the
events are behind: they are made a moment after what they are about ("Events"), and are waited for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from checkout_service.payments.outcomes import ReviewReason
from checkout_service.payments.status import AttemptStatus, PaymentStatus, RefundStatus
from checkout_service.providers.adapters.gocardless.history import History, collected, history_of
from checkout_service.providers.adapters.gocardless.names import NAME, PAYMENT, REFUND, id_in, link_in, metadata_of
from checkout_service.providers.base import (
    Decline,
    ProviderEvent,
    ProviderRefundEvent,
    ProviderUnavailableError,
    Reference,
    UnreadableError,
)
from checkout_service.providers.entries import AttemptEntry, ClosedEntry, Entry, NoneUnderWayEntry, NoticeEntry
from checkout_service.providers.fields import amount_from_minor, currency_of, moment_of, own_id, text
from checkout_service.providers.redaction import kept

Answer = list[ProviderEvent | ProviderRefundEvent]

CANCELABLE: Final = frozenset({"pending_customer_approval", "pending_submission"})
"""Statuses of a payment that no bank has yet."""

CAME: Final = frozenset({"confirmed", "paid_out"})

BEHIND_FOR: Final = timedelta(hours=1)
"""Status and events may disagree for so long after the newest event; both are told again within moments ("Events")."""

_OVER: Final = CAME | {"charged_back", "failed", "cancelled", "customer_approval_denied"}
"""Any other word is one for a debit on its way."""

_REFUNDS: Final = {
    "paid": RefundStatus.SUCCEEDED,
    "failed": RefundStatus.FAILED,
    "bounced": RefundStatus.FAILED,
    "cancelled": RefundStatus.FAILED,
    "funds_returned": RefundStatus.FAILED,
}
"""Any other word is one for a refund on its way."""

_DECLINES: Final = {
    "insufficient_funds": Decline.INSUFFICIENT_FUNDS,
    "refer_to_payer": Decline.INSUFFICIENT_FUNDS,
    "bank_account_closed": Decline.EXPIRED_METHOD,
    "invalid_bank_details": Decline.EXPIRED_METHOD,
    "direct_debit_not_enabled": Decline.EXPIRED_METHOD,
    "bank_account_transferred": Decline.EXPIRED_METHOD,
}

_NAMES: Final = """
    id status amount amount_refunded currency created_at charge_date scheme metadata payment_id refund_id deployment
    links payment mandate payout payment_request payment_request_payment billing_request
"""
_KEPT: Final = frozenset(_NAMES.split())
"""Of an answer; never its description, its reference on a bank's statement, or the customer."""


def of_request(held: dict[str, Any], reference: Reference, seen_at: datetime) -> Answer:
    """What a billing request without a payment says: it is open, on its way to one, or was canceled."""
    status = text(held, "status")
    if status in {"pending", "ready_to_fulfil"}:
        return [_event(held, reference, "", None, [NoneUnderWayEntry(at=seen_at)])]
    if status == "cancelled":
        closed = ClosedEntry(status=PaymentStatus.CANCELED)
        entries: list[Entry] = [closed, NoneUnderWayEntry(at=seen_at)]
        seen = f"lookup:{reference.provider_ref}:{PaymentStatus.CANCELED.value}:"
        return [_event(held, reference, seen, PaymentStatus.CANCELED, entries)]
    if status in {"fulfilling", "fulfilled"}:
        return [_under_way(held, reference, "", [AttemptEntry(status=AttemptStatus.UNDER_WAY, at=seen_at)])]
    return []


def of_payment(
    held: dict[str, Any],
    events: Sequence[Mapping[str, Any]],
    refunds: Sequence[dict[str, Any]],
    reference: Reference,
    seen_at: datetime,
) -> Answer:
    """All that is known of a payment. Raises ProviderUnavailableError while its events and its status do not fit."""
    payment_ref, status, money = id_in(held, "id", PAYMENT), text(held, "status"), money_of(held)
    history = history_of(payment_ref, events, **money)
    _check_up_to_date(status, history, seen_at)
    found: Answer = [
        _event(held, reference, step.event_id, step.status, step.entries, occurred_at=step.at, **money)
        for step in history.steps
    ]
    if history.whole and history.is_gone and status in CAME:
        found.append(_unclear(held, reference, payment_ref, status, history))
    if not history.collected and status in CAME | {"charged_back"}:
        seen = f"lookup:{payment_ref}:{PaymentStatus.PAID.value}:{money['amount']}"
        capture: list[Entry] = [collected(payment_ref, **money)]
        found.append(_event(held, reference, seen, PaymentStatus.PAID, capture, **money))
    came = history.collected or status in CAME | {"charged_back"}
    if status not in _OVER and not came:
        tried = _tried(payment_ref, history, seen_at)
        found.append(_under_way(held, reference, f"{payment_ref}:{history.tried_by}", tried))
        return [*found, *_refunds_of(refunds, reference, payment_ref)]
    over = NoneUnderWayEntry(at=seen_at)
    if (failed := _failed(status, history)) is not None:
        ended, *others = failed
        entries = [_failed_attempt(payment_ref, _decline(status, history), seen_at)]
        seen = f"lookup:{payment_ref}:{ended.value}:{history.tried_by}"
        found.append(_event(held, reference, seen, ended, [*entries, *others, over]))
    else:
        # What came is the end of every try, that of a retry too, which has no name.
        attempt = AttemptEntry(ref=payment_ref, status=AttemptStatus.AUTHORIZED, rest_released=True, at=seen_at)
        found.append(_event(held, reference, "", None, [attempt, over] if came else [over]))
    return [*found, *_refunds_of(refunds, reference, payment_ref)]


def refund_of(made: dict[str, Any], reference: Reference, payment_ref: str) -> ProviderRefundEvent:
    """What a refund says of itself. It gives back what was collected of its payment."""
    refund_ref, status = id_in(made, "id", REFUND), text(made, "status")
    if link_in(made, "payment", PAYMENT) != payment_ref:
        raise UnreadableError("a refund is not one of its payment")
    return ProviderRefundEvent(
        provider=NAME,
        provider_ref=reference.provider_ref,
        refund_ref=refund_ref,
        event_id=f"lookup:{refund_ref}:{status}",
        status=_REFUNDS.get(status, RefundStatus.PROCESSING),
        refund_id=own_id(metadata_of(made).get("refund_id")),
        payment_id=reference.payment_id,
        occurred_at=moment_of(made["created_at"]) if made.get("created_at") else None,
        attempt_ref=payment_ref,
        capture_ref=payment_ref,
        raw=kept(made, _KEPT),
        **money_of(made),
    )


def sum_of(refunds: Sequence[dict[str, Any]], currency: str) -> int:
    """The smallest units of those refunds that are not over in vain."""
    given = [made for made in refunds if _REFUNDS.get(text(made, "status")) is not RefundStatus.FAILED]
    for made in given:
        amount_from_minor(made.get("amount"), currency)
    return sum(made["amount"] for made in given)


def closed_after_failure(reference: Reference, held: dict[str, Any]) -> ProviderEvent:
    """That a payment which failed is over: its customer cannot pay any more.

    Staff or GoCardless may retry it all the same. Money that comes then is entered, and the payment becomes paid.
    """
    payment_ref = id_in(held, "id", PAYMENT)
    closed = ClosedEntry(status=PaymentStatus.FAILED)
    return _event(held, reference, f"lookup:{payment_ref}:closed", PaymentStatus.FAILED, [closed])


def money_of(held: dict[str, Any]) -> dict[str, Any]:
    """The amount and currency of a payment, a request for one or a refund, as an event has them."""
    currency = currency_of(held.get("currency"))
    return {"amount": amount_from_minor(held.get("amount"), currency), "currency": currency}


def _check_up_to_date(status: str, history: History, seen_at: datetime) -> None:
    """Raises ProviderUnavailableError where one of the two, status and events, was read before the other moved on."""
    if not history.whole or history.newest is None:
        return
    fresh = seen_at - history.newest < BEHIND_FOR
    behind = {
        # Without its event the reason is not known, and an attempt keeps the first reason that it is given.
        "failed": history.failed_at is None or (history.collected and not history.is_gone),
        "charged_back": not history.is_gone,
        # Money that is back by the status and gone by old events is for a person, below.
        "confirmed": history.is_gone and fresh,
        "paid_out": history.is_gone and fresh,
    }
    on_its_way = status not in _OVER and history.failed_at is not None and not history.is_retried and fresh
    if behind.get(status, on_its_way):
        # It did answer, so it is not taken for away.
        raise ProviderUnavailableError(f"its events do not tell yet how it became {status}", in_progress=True)


def _unclear(
    held: dict[str, Any], reference: Reference, payment_ref: str, status: str, history: History
) -> ProviderEvent:
    """That the events took what came, and the status says that it is there: a person has to look."""
    ref = f"{payment_ref}:{history.movements}"
    detail = f"by its events the money is gone, by its status it is {status}"
    notice = NoticeEntry(reason=ReviewReason.DISPUTE_MISMATCH, ref=ref, detail=detail)
    return _event(held, reference, f"lookup:{ref}:{status}", None, [notice])


def _failed(status: str, history: History) -> tuple[PaymentStatus, *tuple[Entry, ...]] | None:
    """What a payment that brings no money became, and what closes it; None of one that brought some."""
    if history.collected:
        return None
    match status:
        case "failed":
            # It may be retried, so it is not closed.
            return (PaymentStatus.FAILED,)
        case "cancelled":
            return PaymentStatus.CANCELED, ClosedEntry(status=PaymentStatus.CANCELED)
        case "customer_approval_denied":
            return PaymentStatus.FAILED, ClosedEntry(status=PaymentStatus.FAILED)
    return None


def _decline(status: str, history: History) -> Decline | None:
    """Why a try brought nothing; None where nobody declined it, or where its event is not listed any more."""
    if status == "failed":
        return None if history.failed_at is None else _DECLINES.get(history.failed_by or "", Decline.DECLINED)
    return Decline.DECLINED if status == "customer_approval_denied" else None


def _failed_attempt(payment_ref: str, decline: Decline | None, at: datetime) -> AttemptEntry:
    reason = None if decline is None else decline.value
    return AttemptEntry(ref=payment_ref, status=AttemptStatus.FAILED, decline=reason, at=at)


def _tried(payment_ref: str, history: History, seen_at: datetime) -> Sequence[Entry]:
    """A debit on its way, by the payment's own name. A retry has none: what failed by that name has failed for good."""
    if history.failed_at is None:
        return [AttemptEntry(ref=payment_ref, status=AttemptStatus.UNDER_WAY, at=seen_at)]
    retry = AttemptEntry(status=AttemptStatus.UNDER_WAY, at=seen_at)
    return [_failed_attempt(payment_ref, _decline("failed", history), history.failed_at), retry]


def _under_way(held: dict[str, Any], reference: Reference, tried: str, entries: Sequence[Entry]) -> ProviderEvent:
    """News that a debit is on its way; ``tried`` tells one try from the next, so that each is news."""
    status = PaymentStatus.PROCESSING
    seen = f"lookup:{reference.provider_ref}:{status.value}:{tried}"
    return _event(held, reference, seen, status, entries)


def _refunds_of(refunds: Sequence[dict[str, Any]], reference: Reference, payment_ref: str) -> Answer:
    return [refund_of(item, reference, payment_ref) for item in refunds]


def _event(
    held: dict[str, Any],
    reference: Reference,
    event_id: str,
    status: PaymentStatus | None,
    entries: Sequence[Entry],
    *,
    occurred_at: datetime | None = None,
    amount: Decimal | None = None,
    currency: str | None = None,
) -> ProviderEvent:
    return ProviderEvent(
        provider=NAME,
        provider_ref=reference.provider_ref,
        event_id=event_id,
        status=status,
        amount=amount,
        currency=currency,
        payment_id=reference.payment_id,
        occurred_at=occurred_at,
        entries=entries,
        raw=kept(held, _KEPT),
    )
