"""What an order of PayPal's says of its payment and its refunds: pure."""

from __future__ import annotations

from typing import Any, Final

from checkout_service.payments.status import PaymentStatus, RefundStatus
from checkout_service.providers.adapters.paypal.webhooks import CAPTURES, KEPT, NAME, REFUNDS, money, own_reference
from checkout_service.providers.base import ProviderEvent, ProviderRefundEvent, Reference, UnreadableError
from checkout_service.providers.fields import items, nested, text
from checkout_service.providers.redaction import kept

OPEN: Final = frozenset({"CREATED", "SAVED", "PAYER_ACTION_REQUIRED", "APPROVED"})
"""Statuses of an order that was not captured, and of which only a capture of ours makes money."""

UNITS: Final = {"HUF": 0, "TWD": 0}
"""Currencies without decimals at PayPal, besides those of ISO 4217 (PayPal, "Currency codes")."""

_ORDER: Final = KEPT | {"purchase_units", "payments", "captures", "refunds", "intent"}


def unit_of(order: dict[str, Any], reference: Reference) -> dict[str, Any]:
    """The order's one unit; raises UnreadableError if it is about another payment."""
    units = items(order, "purchase_units")
    found = own_reference(units[0]) if len(units) == 1 else None
    if found is None or found.provider_ref != reference.provider_ref:
        raise UnreadableError("the order is about another payment")
    return units[0]


def captures_of(unit: dict[str, Any]) -> list[dict[str, Any]]:
    return _payments(unit, "captures")


def events_of(order: dict[str, Any], reference: Reference) -> list[ProviderEvent | ProviderRefundEvent]:
    """Each capture, each refund, and the end of an order that was voided; an open order says nothing.

    An event id names what was seen, so that seeing it again is no news.
    """
    unit = unit_of(order, reference)
    events: list[ProviderEvent | ProviderRefundEvent] = []
    for capture in captures_of(unit):
        status = CAPTURES.get(text(capture, "status"))
        if status is not None:
            events.append(_captured(capture, reference, status, kept(order, _ORDER)))
    events += [refund_of(made, reference) for made in _payments(unit, "refunds")]
    if text(order, "status") == "VOIDED":
        events.append(plain_event(reference, PaymentStatus.CANCELED, kept(order, _ORDER)))
    return events


def plain_event(reference: Reference, status: PaymentStatus, raw: dict[str, Any], seen: str = "") -> ProviderEvent:
    """An event without money."""
    return ProviderEvent(
        provider=NAME,
        provider_ref=reference.provider_ref,
        event_id=f"lookup:{reference.provider_ref}:{status.value}:{seen}",
        status=status,
        payment_id=reference.payment_id,
        raw=raw,
    )


def refund_of(made: dict[str, Any], reference: Reference) -> ProviderRefundEvent:
    """What a refund says of itself."""
    found = own_reference(made)
    refund_ref, status = text(made, "id"), text(made, "status")
    return ProviderRefundEvent(
        provider=NAME,
        provider_ref=reference.provider_ref,
        refund_ref=refund_ref,
        event_id=f"lookup:{refund_ref}:{status}",
        # A word that we do not know yet is one for a refund on its way.
        status=REFUNDS.get(status, RefundStatus.PROCESSING),
        refund_id=found.refund_id if found and found.provider_ref == reference.provider_ref else None,
        payment_id=reference.payment_id,
        raw=kept(made, KEPT),
        **money(made),
    )


def _captured(
    capture: dict[str, Any], reference: Reference, status: PaymentStatus, raw: dict[str, Any]
) -> ProviderEvent:
    value = money(capture)
    return ProviderEvent(
        provider=NAME,
        provider_ref=reference.provider_ref,
        event_id=f"lookup:{reference.provider_ref}:{status.value}:{value.get('amount', '')}",
        status=status,
        payment_id=reference.payment_id,
        capture_ref=text(capture, "id") if status is PaymentStatus.PAID else None,
        raw=raw,
        **value,
    )


def _payments(unit: dict[str, Any], name: str) -> list[dict[str, Any]]:
    if unit.get("payments") is None:
        return []
    return items({name: []} | nested(unit, "payments"), name)
