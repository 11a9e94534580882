"""What Mollie's answers say of a payment, its captures, chargebacks and refunds: pure.

A payment is one attempt to pay. ``amountCaptured``, ``amountRefunded`` and ``amountChargedBack`` are sums of what is
listed beside them, so none of them is ever added. (Mollie, Payments API v2, "Get payment" with its embeds.)
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from checkout_service.payments.status import (
    AttemptStatus,
    CaptureStatus,
    DisputeStage,
    DisputeStatus,
    PaymentStatus,
    RefundStatus,
)
from checkout_service.providers.base import ProviderEvent, ProviderRefundEvent, Reference, UnreadableError
from checkout_service.providers.entries import (
    AttemptEntry,
    CaptureEntry,
    ClosedEntry,
    DisputeEntry,
    DisputeReason,
    Entry,
    NoneUnderWayEntry,
)
from checkout_service.providers.fields import amount_from_text, currency_of, items, moment_of, nested, own_id, text
from checkout_service.providers.redaction import kept

NAME: Final = "mollie"

EMBEDDED: Final = "refunds,chargebacks,captures"

OPEN: Final = "open"
"""The customer has done nothing yet."""

_PAYMENTS: Final = {
    "pending": PaymentStatus.PROCESSING,
    "authorized": PaymentStatus.AUTHORIZED,
    "failed": PaymentStatus.FAILED,
    "expired": PaymentStatus.EXPIRED,
    "canceled": PaymentStatus.CANCELED,
    "paid": PaymentStatus.PAID,
}
"""What a payment's status is in our words."""

_CAPTURES: Final = {
    "pending": CaptureStatus.PENDING,
    "succeeded": CaptureStatus.SUCCEEDED,
    "failed": CaptureStatus.REFUSED,
}

_REFUNDS: Final = {
    "queued": RefundStatus.PROCESSING,
    "pending": RefundStatus.PROCESSING,
    "processing": RefundStatus.PROCESSING,
    "refunded": RefundStatus.SUCCEEDED,
    "failed": RefundStatus.FAILED,
    "canceled": RefundStatus.FAILED,
}

_BY_CUSTOMER: Final = frozenset({"MD06", "MS02", "MS03", "SL01"})
"""Return codes of SEPA direct debits that say no more than that somebody wants the money back, or do not say why. All
others tell that the debit could not be made, but for a duplicate (ISO 20022, external status reasons)."""

_NAMES: Final = """
    id status amount value currency metadata payment_id refund_id request_id createdAt paidAt canceledAt expiredAt
    failedAt authorizedAt captureBefore captureMode method amountCaptured amountRefunded amountChargedBack reversedAt
    reason code _embedded refunds chargebacks captures
"""
_KEPT: Final = frozenset(_NAMES.split())
"""Of an answer; not ``details``, where the customer's name and account or card stand."""


def looked_up(
    held: dict[str, Any], reference: Reference, seen_at: datetime
) -> list[ProviderEvent | ProviderRefundEvent]:
    """All that an answer about one payment says; an id names what was seen, so that seeing it again is no news.

    ``seen_at`` is the moment at which it was looked up.
    """
    if text(held, "id") != reference.provider_ref:
        raise UnreadableError("the answer is about another payment")
    ours = own_payment(held)
    if ours is not None and ours != reference.payment_id:
        raise UnreadableError("the answer is about a payment with another id of ours")
    captures, chargebacks = _embedded(held, "captures"), _embedded(held, "chargebacks")
    source = source_of(held, reference)
    events: list[ProviderEvent | ProviderRefundEvent] = []
    if (event := _payment_event(held, captures, reference, seen_at)) is not None:
        events.append(event)
    events += [capture_of(item, reference) for item in captures]
    events += [_chargeback_of(item, reference, source) for item in chargebacks]
    events += [refund_of(item, reference, source) for item in _embedded(held, "refunds")]
    return events


def own_payment(held: dict[str, Any]) -> UUID | None:
    """Our id of a payment, which it carries since it was opened; None of a payment that another service opened."""
    return _metadata(held, "payment_id")


def uncaptured(held: dict[str, Any]) -> Decimal:
    """What is authorized of a payment and neither captured nor on its way to be; 0 of one that is not authorized."""
    if text(held, "status") != "authorized":
        return Decimal(0)
    captures = [item for item in _embedded(held, "captures") if _capture_status(item) is not CaptureStatus.REFUSED]
    left: Decimal = money_of(held)["amount"] - sum(money_of(item)["amount"] for item in captures)
    return left


def capture_of(made: dict[str, Any], reference: Reference) -> ProviderEvent:
    """What a capture says of itself."""
    capture_ref, status, money = text(made, "id"), _capture_status(made), money_of(made)
    entry = CaptureEntry(
        ref=capture_ref,
        status=status,
        attempt_ref=reference.provider_ref,
        request_id=_text_of(_metadata(made, "request_id")),
        **money,
    )
    return _event(made, reference, f"{capture_ref}:{status.value}:{money['amount']}", [entry], **money)


def source_of(held: dict[str, Any], reference: Reference) -> dict[str, Any]:
    """What refunds and chargebacks are of: the payment, and its capture where it has just one."""
    captures = _embedded(held, "captures")
    came = [text(item, "id") for item in captures if _capture_status(item) is CaptureStatus.SUCCEEDED]
    return {"attempt_ref": reference.provider_ref} | ({"capture_ref": came[0]} if len(came) == 1 else {})


def refund_of(made: dict[str, Any], reference: Reference, source: dict[str, Any]) -> ProviderRefundEvent:
    """What a refund says of itself; ``source`` is what ``source_of`` found."""
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
        **source,
    )


def money_of(held: dict[str, Any]) -> dict[str, Any]:
    """The amount and currency of a payment or a refund, as an event has them."""
    amount = nested(held, "amount")
    currency = currency_of(amount.get("currency"))
    return {"amount": amount_from_text(amount.get("value"), currency), "currency": currency}


def _payment_event(
    held: dict[str, Any], captures: Sequence[dict[str, Any]], reference: Reference, seen_at: datetime
) -> ProviderEvent | None:
    """What the payment's own status says; of an open one, that nothing is under way. None for a word of later."""
    word, over = text(held, "status"), NoneUnderWayEntry(at=seen_at)
    if word == OPEN:
        return _event(held, reference, "", [over])
    status = _PAYMENTS.get(word)
    if status is None:
        return None
    money = money_of(held)
    attempt = _attempt(held, status, captures, reference, money, seen_at)
    entries: list[Entry] = [attempt]
    if status in {PaymentStatus.FAILED, PaymentStatus.EXPIRED, PaymentStatus.CANCELED}:
        # Not as with others: a payment that failed at Mollie takes no second try.
        entries.append(ClosedEntry(status=status))
    if status is not PaymentStatus.PROCESSING:
        entries.append(over)
    seen = [reference.provider_ref, status.value, str(money["amount"])]
    if attempt.presumed not in {None, money["amount"]}:
        seen.append(f"of which {attempt.presumed}")
    if attempt.expires_at is not None:
        seen.append(f"until {attempt.expires_at.isoformat()}")
    if attempt.authorized is not None and attempt.rest_released:
        seen.append("released")
    occurred_at = moment_of(held["paidAt"]) if status is PaymentStatus.PAID and held.get("paidAt") else None
    return _event(held, reference, ":".join(seen), entries, status=status, occurred_at=occurred_at, **money)


def _attempt(
    held: dict[str, Any],
    status: PaymentStatus,
    captures: Sequence[dict[str, Any]],
    reference: Reference,
    money: dict[str, Any],
    seen_at: datetime,
) -> AttemptEntry:
    common: dict[str, Any] = {"ref": reference.provider_ref, "currency": money["currency"], "at": seen_at}
    held_back = held.get("authorizedAt") is not None or held.get("captureBefore") is not None
    match status:
        case PaymentStatus.PROCESSING:
            return AttemptEntry(status=AttemptStatus.UNDER_WAY, **common)
        case PaymentStatus.AUTHORIZED:
            return AttemptEntry(
                status=AttemptStatus.AUTHORIZED,
                authorized=money["amount"],
                expires_at=moment_of(held["captureBefore"]) if held.get("captureBefore") else None,
                **common,
            )
        case PaymentStatus.PAID:
            statuses = {_capture_status(item) for item in captures}
            if statuses & {CaptureStatus.SUCCEEDED, CaptureStatus.PENDING}:
                return AttemptEntry(
                    status=AttemptStatus.AUTHORIZED,
                    authorized=money["amount"],
                    rest_released=CaptureStatus.PENDING not in statuses,
                    **common,
                )
            return AttemptEntry(presumed=_captured(held) or money["amount"], rest_released=True, **common)
        case PaymentStatus.EXPIRED | PaymentStatus.CANCELED if held_back:
            return AttemptEntry(status=AttemptStatus(status.value), **common)
        case _:
            # Closed is the payment. The attempt only failed: money that comes all the same must count.
            return AttemptEntry(status=AttemptStatus.FAILED, **common)


def _captured(held: dict[str, Any]) -> Decimal | None:
    """How much of a paid payment was captured, where its method has captures; 0 where none was listed yet."""
    if held.get("amountCaptured") is None:
        return None
    return amount_from_text(nested(held, "amountCaptured").get("value"))


def _chargeback_of(item: dict[str, Any], reference: Reference, source: dict[str, Any]) -> ProviderEvent:
    """The money went with the chargeback, and came back where it was reversed; Mollie tells of no stage or deadline."""
    back, money = item.get("reversedAt"), money_of(item)
    since = back or item.get("createdAt")
    entry = DisputeEntry(
        ref=text(item, "id"),
        stage=DisputeStage.CHARGEBACK,
        status=DisputeStatus.WON if back else DisputeStatus.LOST,
        at=moment_of(since) if since else None,
        reason=_reason(item),
        step=2 if back else 1,
        money_out=not back,
        **money,
        **source,
    )
    return _event(item, reference, f"{entry.ref}:{entry.status.value}:{money['amount']}", [entry], **money)


def _reason(item: dict[str, Any]) -> DisputeReason | None:
    reason = item.get("reason")
    code = reason.get("code") if isinstance(reason, dict) else None
    if not isinstance(code, str) or not code:
        return None
    if code == "AM05":
        return DisputeReason.DUPLICATE
    return DisputeReason.GENERAL if code in _BY_CUSTOMER else DisputeReason.BANK_CANNOT_PROCESS


def _capture_status(item: dict[str, Any]) -> CaptureStatus:
    """Captures of before Mollie's captures had a status are final; a word of later is one for a capture on its way."""
    return _CAPTURES.get(text(item, "status"), CaptureStatus.PENDING) if "status" in item else CaptureStatus.SUCCEEDED


def _event(
    held: dict[str, Any],
    reference: Reference,
    seen: str,
    entries: Sequence[Entry],
    *,
    status: PaymentStatus | None = None,
    occurred_at: datetime | None = None,
    amount: Decimal | None = None,
    currency: str | None = None,
) -> ProviderEvent:
    return ProviderEvent(
        provider=NAME,
        provider_ref=reference.provider_ref,
        event_id=seen and f"lookup:{seen}",
        status=status,
        amount=amount,
        currency=currency,
        payment_id=reference.payment_id,
        occurred_at=occurred_at,
        entries=entries,
        raw=kept(held, _KEPT),
    )


def _embedded(held: dict[str, Any], name: str) -> list[dict[str, Any]]:
    embedded = held.get("_embedded")
    return items({name: []} | embedded, name) if isinstance(embedded, dict) else []


def _metadata(held: dict[str, Any], name: str) -> UUID | None:
    """An id of ours in the metadata, which is null where there is none."""
    metadata = held.get("metadata")
    return own_id(metadata.get(name)) if isinstance(metadata, dict) else None


def _text_of(value: UUID | None) -> str | None:
    return None if value is None else str(value)
