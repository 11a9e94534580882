"""Stripe's events: of which kinds we know what to do with, and what each says."""

from __future__ import annotations

from typing import Any, Final

from checkout_service.providers.adapters.stripe.disputes import dispute_event, warning_event
from checkout_service.providers.adapters.stripe.intents import charge_event, intent_event
from checkout_service.providers.adapters.stripe.objects import NAME, id_of
from checkout_service.providers.adapters.stripe.refunds import or_looked_up, refund_event
from checkout_service.providers.adapters.stripe.thin import EXPIRED, REFUNDED, is_of_other_mode, thin_event_of
from checkout_service.providers.base import (
    IgnoredReason,
    ParsedWebhook,
    ProviderRefundEvent,
    ThinEvent,
    UnreadableError,
)
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
    EXPIRED,
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
_WARNING: Final = "radar.early_fraud_warning.created"

LISTED_TYPES: Final = (*_OF_INTENTS, *_OF_CHARGES, REFUNDED, *_OF_REFUNDS, *_OF_DISPUTES, _WARNING)
"""Of the events that a list is asked for: it takes 20 at most."""

EVENT_TYPES: Final = (*LISTED_TYPES, *_KNOWN_BY_INTENTS)
"""Of the events that we know what to do with."""


def parsed(event: dict[str, Any], *, deployment: str, live: bool | None) -> ParsedWebhook:
    """What an event says, or why it says nothing. ``deployment`` is our own name, ``live`` the mode of our key.

    Thin events have another ``object`` than those in full, and the destination decides which of the two it is sent.
    """
    match event.get("object"):
        case "v2.core.event":
            return thin_event_of(event, live=live, known=EVENT_TYPES)
        case "event":
            if event.get("account") is not None or is_of_other_mode(event, live):
                return ParsedWebhook(ignored=IgnoredReason.NOT_OURS)
            return _in_full(event, deployment)
    return ParsedWebhook(ignored=IgnoredReason.UNKNOWN_TYPE)


def _in_full(event: dict[str, Any], deployment: str) -> ParsedWebhook:
    kind, event_id = text(event, "type"), text(event, "id")
    if kind not in EVENT_TYPES:
        return ParsedWebhook(ignored=IgnoredReason.UNKNOWN_TYPE)
    about, at = nested(event, "data", "object"), unix_moment_of(event.get("created"))
    if kind in _OF_INTENTS:
        state = _OF_INTENTS[kind] or text(about, "status")
        found = intent_event(about, state, event_id, at=at, deployment=deployment, raw=event, occurred_at=at)
        return ParsedWebhook(events=[found])
    if kind in _OF_DISPUTES:
        return ParsedWebhook(events=[dispute_event(about, event_id, at=at, raw=event, occurred_at=at)])
    if kind == _WARNING:
        return ParsedWebhook(events=[warning_event(about, event_id, raw=event, occurred_at=at)])
    if kind in _OF_REFUNDS:
        # Either of the two may be null: where no intent stands, the charge leads to the payment.
        if about.get("payment_intent") is None and about.get("charge") is None:
            return ParsedWebhook(ignored=IgnoredReason.NOT_OURS)
        return ParsedWebhook(events=[_refund(about, event_id, event)])
    if about.get("payment_intent") is None:  # of a charge that no payment of ours made
        return ParsedWebhook(ignored=IgnoredReason.NOT_OURS)
    if kind == REFUNDED:  # it says how much in all, and not which refunds
        return ParsedWebhook(events=[ThinEvent(provider=NAME, provider_ref=id_of(about.get("payment_intent")))])
    charge = charge_event(
        about, event_id, at=at, deployment=deployment, raw=event, occurred_at=at, expired=kind == EXPIRED
    )
    return ParsedWebhook(events=[charge])


def _refund(refund: dict[str, Any], event_id: str, event: dict[str, Any]) -> ProviderRefundEvent | ThinEvent:
    if text(refund, "object") != "refund":
        raise UnreadableError("the object is not a refund")
    return or_looked_up(
        refund, refund_event(refund, event_id, occurred_at=unix_moment_of(event.get("created")), raw=event)
    )
