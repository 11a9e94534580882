"""Stripe's events: of which kinds we know what to do with, and what each says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from checkout_service.providers.adapters.stripe.disputes import dispute_event, warning_event
from checkout_service.providers.adapters.stripe.intents import charge_event, intent_event
from checkout_service.providers.adapters.stripe.objects import NAME, id_of
from checkout_service.providers.adapters.stripe.refunds import may_be_let_go, refund_event
from checkout_service.providers.base import ProviderEvent, ProviderRefundEvent, ThinEvent, UnreadableError
from checkout_service.providers.fields import nested, text, unix_moment_of

# What an intent is in when it tells so; None for what it says itself.
_OF_INTENTS: Final = {
    "payment_intent.succeeded": "succeeded",
    "payment_intent.processing": "processing",
    "payment_intent.amount_capturable_updated": None,
    "payment_intent.payment_failed": "failed",  # not final: the customer may try another card
    "payment_intent.canceled": "canceled",
}
_OF_CHARGES: Final = (
    "charge.succeeded",
    "charge.captured",
    "charge.updated",
    "charge.expired",
)
_KNOWN_BY_INTENTS: Final = ("charge.pending", "charge.failed")
"""``payment_intent.processing`` and ``.payment_failed`` name the same charge."""
_OF_REFUNDS: Final = ("refund.created", "refund.updated", "refund.failed", "charge.refund.updated")
_OF_DISPUTES: Final = (
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.closed",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
)
_REFUNDED: Final = "charge.refunded"
_WARNING: Final = "radar.early_fraud_warning.created"

LISTED_TYPES: Final = (*_OF_INTENTS, *_OF_CHARGES, _REFUNDED, *_OF_REFUNDS, *_OF_DISPUTES, _WARNING)
"""Of the events that a list is asked for: it takes 20 at most."""

EVENT_TYPES: Final = (*LISTED_TYPES, *_KNOWN_BY_INTENTS)
"""Of the events that we know what to do with."""


def events_of(event: dict[str, Any], deployment: str) -> Sequence[ProviderEvent | ProviderRefundEvent | ThinEvent]:
    """What an event says; nothing where it is of a kind that we do not keep. ``deployment`` is our own name."""
    kind, event_id = text(event, "type"), text(event, "id")
    if kind not in EVENT_TYPES:
        return []
    about, at = nested(event, "data", "object"), unix_moment_of(event.get("created"))
    if kind in _OF_INTENTS:
        state = _OF_INTENTS[kind] or text(about, "status")
        return [intent_event(about, state, event_id, at=at, deployment=deployment, raw=event, occurred_at=at)]
    if kind in _OF_DISPUTES:
        return [dispute_event(about, event_id, at=at, raw=event, occurred_at=at)]
    if kind == _WARNING:
        return [warning_event(about, event_id, raw=event, occurred_at=at)]
    if kind in _OF_REFUNDS:
        # Either of the two may be null: where no intent stands, the charge leads to the payment.
        known = about.get("payment_intent") is not None or about.get("charge") is not None
        return [_refund(about, event_id, event)] if known else []
    if about.get("payment_intent") is None:  # of a charge that no payment of ours made
        return []
    if kind == _REFUNDED:  # it says how much in all, and not which refunds
        return [ThinEvent(provider=NAME, provider_ref=id_of(about.get("payment_intent")))]
    expired = kind == "charge.expired"
    return [charge_event(about, event_id, at=at, deployment=deployment, raw=event, occurred_at=at, expired=expired)]


def _refund(refund: dict[str, Any], event_id: str, event: dict[str, Any]) -> ProviderRefundEvent | ThinEvent:
    if text(refund, "object") != "refund":
        raise UnreadableError("the object is not a refund")
    found = refund_event(refund, event_id, occurred_at=unix_moment_of(event.get("created")), raw=event)
    # A part of an authorisation that was let go looks like one: the charge has to tell.
    thin = found.provider_ref and may_be_let_go(refund)
    return ThinEvent(provider=NAME, provider_ref=found.provider_ref) if thin else found
