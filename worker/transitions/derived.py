"""The entries that an event proves: its own, or those that follow from its status where it names none.

A provider that has no names for attempts, captures and disputes has one of each: the one without a name. Its money is
presumed there.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from checkout_service.payments.outcomes import ReviewReason
from checkout_service.payments.status import (
    AttemptStatus,
    CaptureStatus,
    DisputeStage,
    DisputeStatus,
    PaymentStatus,
    RequestStatus,
)
from checkout_service.providers.base import ProviderEvent
from checkout_service.providers.entries import (
    AttemptEntry,
    CaptureEntry,
    ClosedEntry,
    DisputeEntry,
    Entry,
    NoneUnderWayEntry,
    NoticeEntry,
    RefusedVoidEntry,
)

_UNDER_WAY: Final = (AttemptEntry(status=AttemptStatus.UNDER_WAY),)
_FAILED: Final = (AttemptEntry(status=AttemptStatus.FAILED),)
_REVERSED: Final = DisputeEntry(
    ref="", stage=DisputeStage.CHARGEBACK, status=DisputeStatus.LOST, step=1, money_out=True
)
"""It took all that came."""

_PRICED: Final = (AttemptEntry, DisputeEntry)
"""Entries that may name a currency, and may do without one."""


def entries_of(event: ProviderEvent, amount: Decimal, currency: str) -> Sequence[Entry]:
    """What the event proves of its payment, which is over ``amount`` of ``currency``.

    Money without a name in another currency is a notice: what has no name cannot be kept beside what is there.
    """
    entries = event.entries or _of_status(event, amount, currency)
    for entry in entries:
        if isinstance(entry, _PRICED) and entry.currency is not None and entry.currency != currency:
            return _of_other_currency(entries, currency)
    return entries


def in_words(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """What an event was about, for people to read: ``payment_events.entries``."""
    return [{name: _plain(value) for name, value in _words(entry).items() if value} for entry in entries]


def _of_status(event: ProviderEvent, amount: Decimal, currency: str) -> Sequence[Entry]:
    match event.status:
        case PaymentStatus.PAID | PaymentStatus.PARTIALLY_PAID:
            return (_money(event, amount, currency),)
        case PaymentStatus.PROCESSING:
            return _UNDER_WAY
        case PaymentStatus.FAILED:
            return _FAILED
        case PaymentStatus.AUTHORIZED:
            promised = event.amount if event.amount is not None else amount
            return (
                AttemptEntry(status=AttemptStatus.AUTHORIZED, authorized=promised, currency=event.currency or currency),
            )
        case PaymentStatus.EXPIRED | PaymentStatus.CANCELED:
            return (ClosedEntry(status=event.status),)
        case PaymentStatus.REVERSED:
            return (_money(event, amount, currency), _REVERSED)
    return ()


def _money(event: ProviderEvent, amount: Decimal, currency: str) -> Entry:
    """Money that came; a notice where the event would have to say how much, and does not."""
    if event.amount_required and event.status is not PaymentStatus.REVERSED and None in {event.amount, event.currency}:
        return NoticeEntry(reason=ReviewReason.MISMATCH, ref=event.event_id, detail="paid, without saying how much")
    came = event.amount if event.amount is not None else amount
    if came <= 0:
        return NoticeEntry(reason=ReviewReason.MISMATCH, ref=event.event_id, detail=f"paid, but {came}")
    if event.capture_ref:
        return CaptureEntry(
            ref=event.capture_ref, status=CaptureStatus.SUCCEEDED, amount=came, currency=event.currency or currency
        )
    return AttemptEntry(presumed=came, currency=event.currency or currency)


def _of_other_currency(entries: Sequence[Entry], currency: str) -> Sequence[Entry]:
    mended: list[Entry] = []
    for entry in entries:
        if isinstance(entry, AttemptEntry) and entry.currency not in {None, currency} and not entry.ref:
            amount = entry.presumed if entry.presumed is not None else entry.authorized
            mended.append(
                NoticeEntry(
                    reason=ReviewReason.MISMATCH, ref=f"{amount} {entry.currency}", detail="money in another currency"
                )
            )
            continue
        mended.append(entry)
        if isinstance(entry, DisputeEntry) and entry.currency not in {None, currency}:
            mended.append(
                NoticeEntry(
                    reason=ReviewReason.DISPUTE_MISMATCH,
                    ref=entry.ref,
                    detail=f"a dispute over {entry.amount} {entry.currency}",
                )
            )
    return mended


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    return "yes" if value is True else str(value)


def _words(entry: Entry) -> dict[str, Any]:
    match entry:
        case AttemptEntry():
            return {
                "attempt": entry.ref or "without a name",
                "status": entry.status.value,
                "came": entry.presumed,
                "authorized": entry.authorized,
                "currency": entry.currency,
                "rest_released": entry.rest_released,
                "expires_at": entry.expires_at,
                "replaces": entry.replaces,
                "decline": entry.decline,
                "pending": entry.pending,
            }
        case CaptureEntry():
            return {
                "capture": entry.ref,
                "status": entry.status.value,
                "amount": entry.amount,
                "currency": entry.currency,
                "attempt": entry.attempt_ref,
            }
        case DisputeEntry():
            return {
                "dispute": entry.ref or "without a name",
                "stage": entry.stage.value,
                "status": entry.status.value,
                "reason": entry.reason,
                "evidence_due_at": entry.evidence_due_at,
                "money": ("went out" if entry.money_out else "came back") if entry.step else None,
                "amount": entry.amount,
                "currency": entry.currency,
            }
        case ClosedEntry():
            return {"closed": entry.status.value}
        case NoneUnderWayEntry():
            return {"none_under_way_at": entry.at}
        case NoticeEntry():
            return {"notice": entry.reason, "about": entry.ref, "detail": entry.detail}
        case RefusedVoidEntry():
            return {"void": entry.void_id, "status": RequestStatus.FAILED.value}
