"""Refunds as events, and those that are none: what was authorized and never captured, and was let go.

Before API version 2025-03-31 Stripe made a refund of the rest when a part was captured, and of all when an
authorisation was canceled. No money moved then: such a refund has no balance transaction, and it is exactly what was
not captured.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from checkout_service.payments.status import RefundStatus
from checkout_service.providers.adapters.stripe.objects import (
    KEPT,
    NAME,
    Object,
    metadata_of,
    money,
    optional_id_of,
)
from checkout_service.providers.base import Decline, ProviderRefundEvent, ThinEvent, UnreadableError
from checkout_service.providers.fields import currency_of, items, own_id, text
from checkout_service.providers.redaction import kept

_STATUSES: Final = {
    "pending": RefundStatus.PROCESSING,
    "requires_action": RefundStatus.PROCESSING,
    "succeeded": RefundStatus.SUCCEEDED,
    "failed": RefundStatus.FAILED,
    "canceled": RefundStatus.FAILED,
}

_EXPIRED: Final = ("expired_or_canceled_card", "lost_or_stolen_card")


def refund_event(
    refund: dict[str, Any], event_id: str, *, raw: dict[str, Any], occurred_at: datetime | None = None
) -> ProviderRefundEvent:
    """What a refund says of itself, made by us or in the Dashboard."""
    status = _STATUSES.get(text(refund, "status"))
    if status is None:
        raise UnreadableError("a refund has a status that nobody knows")
    currency = currency_of(refund.get("currency"))
    ours = metadata_of(refund)
    charge = optional_id_of(refund.get("charge"))
    return ProviderRefundEvent(
        provider=NAME,
        provider_ref=optional_id_of(refund.get("payment_intent")),
        refund_ref=text(refund, "id"),
        event_id=event_id,
        status=status,
        amount=money(refund, "amount", currency),
        currency=currency,
        refund_id=own_id(ours.get("refund_id")),
        payment_id=own_id(ours.get("payment_id")),
        decline=_decline_of(refund) if status is RefundStatus.FAILED else None,
        occurred_at=occurred_at,
        capture_ref=charge or None,
        names=(charge,) if charge else (),
        raw=kept(raw, KEPT),
    )


def seen_refund(refund: dict[str, Any]) -> ProviderRefundEvent:
    """A refund in an answer; its id names what was seen, so that seeing it again is no news."""
    return refund_event(refund, f"lookup:{text(refund, 'id')}:{text(refund, 'status')}", raw=refund)


def or_looked_up(refund: Object, found: ProviderRefundEvent) -> ProviderRefundEvent | ThinEvent:
    """The event, or that its payment must be looked up: a part that was let go looks like one, and the charge tells."""
    thin = found.provider_ref and may_be_let_go(refund)
    return ThinEvent(provider=NAME, provider_ref=found.provider_ref) if thin else found


def refunds_in(page: dict[str, Any], charge: Object | None) -> Sequence[ProviderRefundEvent]:
    """The refunds of money in an answer; ``charge`` is the one that they are of, where it is known."""
    return [seen_refund(refund) for refund in items(page, "data") if charge is None or not _let_go(refund, charge)]


def may_be_let_go(refund: Object) -> bool:
    """Whether a refund may be no money, as far as it tells by itself: then its charge must be looked up.

    One that was made while its charge is still being captured has no balance transaction either, for a while.
    """
    ours = own_id(metadata_of(refund).get("refund_id")) is not None
    return not ours and refund.get("status") == "succeeded" and refund.get("balance_transaction", "") is None


def _let_go(refund: Object, charge: Object) -> bool:
    if not may_be_let_go(refund):
        return False
    currency = currency_of(charge.get("currency"))
    rest = money(charge, "amount", currency) - money(charge, "amount_captured", currency)
    return rest > 0 and money(refund, "amount", currency_of(refund.get("currency"))) == rest


def _decline_of(refund: Object) -> Decline:
    expired = refund.get("failure_reason") in _EXPIRED
    return Decline.EXPIRED_METHOD if expired else Decline.DECLINED
