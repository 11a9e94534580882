"""What Mollie's answers say of a payment and its refunds: pure."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from checkout_service.payments.status import PaymentStatus, RefundStatus
from checkout_service.providers.base import ProviderEvent, ProviderRefundEvent, Reference, UnreadableError
from checkout_service.providers.fields import amount_from_text, currency_of, items, moment_of, nested, own_id, text
from checkout_service.providers.redaction import kept

NAME: Final = "mollie"

_PAYMENTS: Final = {
    "pending": PaymentStatus.PROCESSING,
    "authorized": PaymentStatus.PROCESSING,
    "failed": PaymentStatus.FAILED,
    "expired": PaymentStatus.EXPIRED,
    "canceled": PaymentStatus.CANCELED,
    "paid": PaymentStatus.PAID,
}
"""What a payment's status proves; an ``open`` one may still be paid."""

_REFUNDS: Final = {
    "queued": RefundStatus.PROCESSING,
    "pending": RefundStatus.PROCESSING,
    "processing": RefundStatus.PROCESSING,
    "refunded": RefundStatus.SUCCEEDED,
    "failed": RefundStatus.FAILED,
    "canceled": RefundStatus.FAILED,
}

_NAMES: Final = """
    id status amount value currency metadata payment_id refund_id createdAt paidAt canceledAt expiredAt failedAt method
    amountRefunded amountChargedBack reversedAt reason code _embedded refunds chargebacks
"""
_KEPT: Final = frozenset(_NAMES.split())
"""Of an answer; not ``details``, where the customer's name and account or card stand."""


def looked_up(held: dict[str, Any], reference: Reference) -> list[ProviderEvent | ProviderRefundEvent]:
    """All that an answer about one payment says; an id names what was seen, so that seeing it again is no news."""
    if text(held, "id") != reference.provider_ref:
        raise UnreadableError("the answer is about another payment")
    ours = _metadata(held, "payment_id")
    if ours is not None and ours != reference.payment_id:
        raise UnreadableError("the answer is about a payment with another id of ours")
    events: list[ProviderEvent | ProviderRefundEvent] = []
    status = _PAYMENTS.get(text(held, "status"))
    if status is not None:
        money = money_of(held)
        events.append(_event(held, reference, status, f"{status.value}:{money['amount']}", **money))
    embedded = held.get("_embedded")
    embedded = embedded if isinstance(embedded, dict) else {}
    taken = [item for item in items({"chargebacks": []} | embedded, "chargebacks") if not item.get("reversedAt")]
    events += [_event(held, reference, PaymentStatus.REVERSED, f"reversed:{text(item, 'id')}") for item in taken]
    events += [refund_of(item, reference) for item in items({"refunds": []} | embedded, "refunds")]
    return events


def refund_of(made: dict[str, Any], reference: Reference) -> ProviderRefundEvent:
    """What a refund says of itself."""
    refund_ref, status = text(made, "id"), text(made, "status")
    return ProviderRefundEvent(
        provider=NAME,
        provider_ref=reference.provider_ref,
        refund_ref=refund_ref,
        event_id=f"lookup:{refund_ref}:{status}",
        # A word that we do not know yet is one for a refund on its way.
        status=_REFUNDS.get(status, RefundStatus.PROCESSING),
        refund_id=_metadata(made, "refund_id"),
        payment_id=reference.payment_id,
        occurred_at=moment_of(made["createdAt"]) if made.get("createdAt") else None,
        raw=kept(made, _KEPT),
        **money_of(made),
    )


def money_of(held: dict[str, Any]) -> dict[str, Any]:
    """The amount and currency of a payment or a refund, as an event has them."""
    amount = nested(held, "amount")
    return {"amount": amount_from_text(amount.get("value")), "currency": currency_of(amount.get("currency"))}


def _event(held: dict[str, Any], reference: Reference, status: PaymentStatus, seen: str, **money: Any) -> ProviderEvent:
    return ProviderEvent(
        provider=NAME,
        provider_ref=reference.provider_ref,
        event_id=f"lookup:{reference.provider_ref}:{seen}",
        status=status,
        payment_id=reference.payment_id,
        occurred_at=moment_of(held["paidAt"]) if status is PaymentStatus.PAID and held.get("paidAt") else None,
        raw=kept(held, _KEPT),
        **money,
    )


def _metadata(held: dict[str, Any], name: str) -> UUID | None:
    """An id of ours in the metadata, which is null where there is none."""
    metadata = held.get("metadata")
    return own_id(metadata.get(name)) if isinstance(metadata, dict) else None
