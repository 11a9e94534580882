"""What Stripe's objects say, as events: PaymentIntents, refunds and disputes, in events and in answers alike."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from checkout_service.payments.status import PaymentStatus, RefundStatus
from checkout_service.providers.base import Decline, ProviderEvent, ProviderRefundEvent, ThinEvent, UnreadableError
from checkout_service.providers.fields import (
    amount_from_minor,
    currency_of,
    items,
    minor_units,
    nested,
    own_id,
    text,
    unix_moment_of,
)
from checkout_service.providers.redaction import kept

NAME: Final = "stripe"

EXCEPTIONS: Final = {"ISK": 2, "UGX": 2, "MGA": 0}
"""Where Stripe's smallest unit is not ISO 4217's (docs.stripe.com/currencies)."""

_KEPT: Final = """
    amount amount_received amount_refunded api_version canceled_at cancellation_reason charge code created currency data
    decline_code failure_reason id last_payment_error latest_charge livemode metadata object payment_id payment_intent
    reason refund_id status type
"""
KEPT: Final = frozenset(_KEPT.split())
"""Nothing of a payment method, a customer or a card, and no client_secret."""

_OF_EVENTS: Final = {
    "payment_intent.succeeded": PaymentStatus.PAID,
    "payment_intent.processing": PaymentStatus.PROCESSING,
    "payment_intent.amount_capturable_updated": PaymentStatus.PROCESSING,
    "payment_intent.payment_failed": PaymentStatus.FAILED,  # not final: the customer may try another card
    "payment_intent.canceled": PaymentStatus.CANCELED,
}
_OF_INTENTS: Final = {
    "succeeded": PaymentStatus.PAID,
    "processing": PaymentStatus.PROCESSING,
    "requires_capture": PaymentStatus.PROCESSING,
    "canceled": PaymentStatus.CANCELED,
}
_OF_REFUNDS: Final = {
    "pending": RefundStatus.PROCESSING,
    "requires_action": RefundStatus.PROCESSING,
    "succeeded": RefundStatus.SUCCEEDED,
    "failed": RefundStatus.FAILED,
    "canceled": RefundStatus.FAILED,
}
_ABOUT_REFUNDS: Final = ("refund.created", "refund.updated", "refund.failed", "charge.refund.updated")

EVENT_TYPES: Final = (*_OF_EVENTS, *_ABOUT_REFUNDS, "charge.refunded", "charge.dispute.closed")
"""Of the events that we know what to do with."""


def charged(amount: Decimal, currency: str) -> int:
    """What to charge, in Stripe's smallest unit; no fraction of a currency that has none, whatever Stripe counts."""
    minor_units(amount, currency)
    return minor_units(amount, currency, EXCEPTIONS)


def events_of(event: dict[str, Any]) -> Sequence[ProviderEvent | ProviderRefundEvent | ThinEvent]:
    """What an event says; nothing where it is of a kind that we do not keep."""
    kind, event_id = text(event, "type"), text(event, "id")
    if kind not in EVENT_TYPES:
        return []
    about, occurred_at = nested(event, "data", "object"), unix_moment_of(event.get("created"))
    if kind in _OF_EVENTS:
        return [payment_event(about, _OF_EVENTS[kind], event_id, occurred_at=occurred_at, raw=event)]
    if about.get("payment_intent") is None:  # of a charge that no payment of ours made
        return []
    if kind in _ABOUT_REFUNDS:
        return [refund_event(about, event_id, occurred_at=occurred_at, raw=event)]
    if kind == "charge.refunded":  # it says how much in all, and not which refunds
        return [ThinEvent(provider=NAME, provider_ref=_reference(about))]
    return [lost_event(about, event_id, occurred_at=occurred_at, raw=event)] if about.get("status") == "lost" else []


def status_of(intent: dict[str, Any]) -> PaymentStatus | None:
    """The status that a PaymentIntent proves; None while it waits for the customer."""
    status = text(intent, "status")
    if status == "requires_payment_method" and intent.get("last_payment_error") is not None:
        return PaymentStatus.FAILED
    return _OF_INTENTS.get(status)


def payment_event(
    intent: dict[str, Any],
    status: PaymentStatus,
    event_id: str,
    *,
    raw: dict[str, Any],
    occurred_at: datetime | None = None,
) -> ProviderEvent:
    """What a PaymentIntent proves; of a paid one the amount is what came, not what was asked."""
    if text(intent, "object") != "payment_intent":
        raise UnreadableError("the object is not a PaymentIntent")
    currency = currency_of(intent.get("currency"))
    requested = intent.get("amount")
    came = intent.get("amount_received", requested) if status is PaymentStatus.PAID else requested
    charge = intent.get("latest_charge")
    return ProviderEvent(
        provider=NAME,
        provider_ref=text(intent, "id"),
        event_id=event_id,
        status=status,
        amount=amount_from_minor(came, currency, EXCEPTIONS),
        currency=currency,
        occurred_at=occurred_at,
        payment_id=own_id(_metadata(intent).get("payment_id")),
        capture_ref=_id(charge) if charge else None,
        raw=kept(raw, KEPT),
    )


def refund_event(
    refund: dict[str, Any], event_id: str, *, raw: dict[str, Any], occurred_at: datetime | None = None
) -> ProviderRefundEvent:
    """What a refund says of itself, made by us or in the Dashboard."""
    status = _OF_REFUNDS.get(text(refund, "status"))
    if status is None:
        raise UnreadableError("a refund has a status that nobody knows")
    currency = currency_of(refund.get("currency"))
    ours = _metadata(refund)
    return ProviderRefundEvent(
        provider=NAME,
        provider_ref=_reference(refund),
        refund_ref=text(refund, "id"),
        event_id=event_id,
        status=status,
        amount=amount_from_minor(refund.get("amount"), currency, EXCEPTIONS),
        currency=currency,
        refund_id=own_id(ours.get("refund_id")),
        payment_id=own_id(ours.get("payment_id")),
        decline=_decline_of(refund) if status is RefundStatus.FAILED else None,
        occurred_at=occurred_at,
        raw=kept(raw, KEPT),
    )


def lost_event(
    dispute: dict[str, Any], event_id: str, *, raw: dict[str, Any], occurred_at: datetime | None = None
) -> ProviderEvent:
    """A dispute that was lost: the money came and went."""
    return ProviderEvent(
        provider=NAME,
        provider_ref=_reference(dispute),
        event_id=event_id,
        status=PaymentStatus.REVERSED,
        occurred_at=occurred_at,
        raw=kept(raw, KEPT),
    )


def refunds_in(page: dict[str, Any]) -> list[ProviderRefundEvent]:
    """The refunds in an answer; the id of each tells what was seen, so that seeing it again is no news."""
    refunds = items(page, "data")
    return [refund_event(one, f"lookup:{text(one, 'id')}:{text(one, 'status')}", raw=one) for one in refunds]


def _decline_of(refund: dict[str, Any]) -> Decline:
    expired = refund.get("failure_reason") in {"expired_or_canceled_card", "lost_or_stolen_card"}
    return Decline.EXPIRED_METHOD if expired else Decline.DECLINED


def _reference(holder: dict[str, Any]) -> str:
    return _id(holder.get("payment_intent"))


def _id(value: object) -> str:
    """The id of an object that stands here whole or as its id alone."""
    return text(value if isinstance(value, dict) else {"id": value}, "id")


def _metadata(holder: dict[str, Any]) -> dict[str, Any]:
    metadata = holder.get("metadata")
    return metadata if isinstance(metadata, dict) else {}
