"""What an order of PayPal's says of its payment and its refunds: pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from checkout_service.payments.status import AttemptStatus, CaptureStatus, PaymentStatus, RefundStatus
from checkout_service.providers.adapters.paypal.movements import (
    AUTHORIZATIONS,
    CAPTURES,
    authorized,
    captured,
    status_of,
)
from checkout_service.providers.adapters.paypal.resources import (
    KEPT,
    NAME,
    authorization_of,
    capture_of,
    money_if_any,
    own_part,
    own_reference,
    state_of,
)
from checkout_service.providers.adapters.paypal.spec import MINOR_UNITS
from checkout_service.providers.adapters.paypal.webhooks import REFUNDS
from checkout_service.providers.base import Decline, ProviderEvent, ProviderRefundEvent, Reference, UnreadableError
from checkout_service.providers.entries import AttemptEntry, CaptureEntry, ClosedEntry, Entry, NoneUnderWayEntry
from checkout_service.providers.fields import items, nested, text
from checkout_service.providers.minor_units import exceptions_of
from checkout_service.providers.redaction import kept

OPEN: Final = frozenset({"CREATED", "SAVED", "PAYER_ACTION_REQUIRED", "APPROVED"})
"""Statuses of an order of which only a capture or an authorization of ours makes money."""

UNITS: Final = exceptions_of(MINOR_UNITS)
"""Currencies without decimals at PayPal, besides those of ISO 4217: HUF and TWD, and of cards COP and CRC."""

_ORDER: Final = KEPT | {"purchase_units", "payments", "captures", "authorizations", "refunds", "intent"}

_FAILED: Final = ":failed:"

_LONGEST: Final = 200
"""Characters of an event id that lists what was seen; a longer list is told by its digest."""


def unit_of(order: dict[str, Any], reference: Reference) -> dict[str, Any]:
    """The order's one unit; raises UnreadableError if it is about another payment."""
    units = items(order, "purchase_units")
    found = own_reference(units[0]) if len(units) == 1 else None
    if found is None or found.provider_ref != reference.provider_ref:
        raise UnreadableError("the order is about another payment")
    return units[0]


def captures_of(unit: dict[str, Any]) -> list[dict[str, Any]]:
    return _payments(unit, "captures")


def authorizations_of(unit: dict[str, Any]) -> list[dict[str, Any]]:
    """The oldest first: every other one is a reauthorization of it, since an order is authorized once."""
    return sorted(_payments(unit, "authorizations"), key=lambda found: str(found.get("create_time", "")))


def was_taken_up(unit: dict[str, Any]) -> bool:
    """Whether money came of it, is on its way or is authorized, so that it must not be taken up again.

    A capture or an authorization that was refused leaves the order to another method of the customer's.
    """
    captures = [CAPTURES.get(text(held, "status")) for held in captures_of(unit)]
    authorizations = [AUTHORIZATIONS.get(state_of(held)) for held in authorizations_of(unit)]
    return any(status is not CaptureStatus.REFUSED for status in captures) or any(
        status is not AttemptStatus.FAILED for status in authorizations
    )


def approved_at(order: dict[str, Any]) -> str:
    """When it changed last, as a text that sorts like the time; '' where it does not tell.

    That is no earlier than its last approval, and earlier than one to come.
    """
    return "".join(sign for sign in str(order.get("update_time", "")) if sign.isalnum())[:40]


def is_declined(order: dict[str, Any], reference: Reference) -> bool:
    """Whether the approval that it has was declined before: its customer knows that they did not pay, and has to
    approve again.
    """
    own = f"lookup:{reference.provider_ref}{_FAILED}"
    noted = [name.removeprefix(own).partition(":") for name in reference.failed_events if name.startswith(own)]
    # The release before noted no moment: such a name bars no approval.
    declined = [moment for _, has_moment, moment in noted if has_moment]
    return bool(declined) and approved_at(order) <= max(declined)


def events_of(
    order: dict[str, Any], reference: Reference, *, at: datetime
) -> list[ProviderEvent | ProviderRefundEvent]:
    """All that the order says, asked for at that time: one event of all attempts and captures, and each refund.

    Its id names what was seen, so that seeing it again is no news. Where nothing is under way, an event that is not
    recorded says so: an order knows all its attempts.
    """
    unit = unit_of(order, reference)
    entries = _entries(unit)
    events: list[ProviderEvent | ProviderRefundEvent] = []
    if text(order, "status") == "VOIDED":
        entries.append(ClosedEntry(status=PaymentStatus.CANCELED))
    if entries:
        taken = [entry for entry in entries if isinstance(entry, CaptureEntry) and _came(entry)]
        events.append(
            ProviderEvent(
                provider=NAME,
                provider_ref=reference.provider_ref,
                event_id=_seen(reference, entries),
                status=status_of(entries) or PaymentStatus.CANCELED,
                amount=sum((entry.amount for entry in taken[1:]), taken[0].amount) if taken else None,
                currency=taken[0].currency if taken else None,
                payment_id=reference.payment_id,
                capture_ref=taken[0].ref if taken else None,
                entries=entries,
                raw=kept(order, _ORDER),
            )
        )
    captures = [text(capture, "id") for capture in captures_of(unit)]
    of = captures[0] if len(captures) == 1 else None
    events += [refund_of(made, reference, capture_ref=of) for made in _payments(unit, "refunds")]
    if not any(isinstance(entry, AttemptEntry) and entry.status is AttemptStatus.UNDER_WAY for entry in entries):
        events.append(
            ProviderEvent(
                provider=NAME,
                provider_ref=reference.provider_ref,
                event_id="",
                status=None,
                payment_id=reference.payment_id,
                entries=[NoneUnderWayEntry(at=at)],
                raw=kept(order, _ORDER),
            )
        )
    return events


def closing_event(reference: Reference, raw: dict[str, Any]) -> ProviderEvent:
    """Nobody can pay it any more."""
    return _plain(
        reference, PaymentStatus.CANCELED, [ClosedEntry(status=PaymentStatus.CANCELED)], raw, seen=":canceled:"
    )


def declined_event(reference: Reference, decline: Decline, order: dict[str, Any], *, approved: str) -> ProviderEvent:
    """The customer's method was declined. Its id tells which approval that was: the one that the order had
    (``approved``), and what the refusal itself changed of the order is no other.
    """
    entry = AttemptEntry(status=AttemptStatus.FAILED, decline=decline.value)
    seen = f"{_FAILED}{decline.value}:{max(approved, approved_at(order))}"
    return _plain(reference, PaymentStatus.FAILED, [entry], {"status": order["status"]}, seen=seen)


def capture_event(
    capture: dict[str, Any], reference: Reference, *, authorization: str, request_id: UUID
) -> ProviderEvent:
    """The answer to a capture that we requested. A word that we do not know yet is one for money on its way."""
    status = CAPTURES.get(text(capture, "status"), CaptureStatus.PENDING)
    entries = captured(capture, status, authorization=authorization, request_id=request_id)
    amount, currency = money_if_any(capture)
    return ProviderEvent(
        provider=NAME,
        provider_ref=reference.provider_ref,
        event_id=_seen(reference, entries),
        status=status_of(entries),
        amount=amount,
        currency=currency,
        payment_id=reference.payment_id,
        capture_ref=text(capture, "id") if status is CaptureStatus.SUCCEEDED else None,
        entries=entries,
        raw=kept(capture, KEPT),
    )


def authorization_event(authorization: dict[str, Any], reference: Reference, *, replaces: str) -> ProviderEvent:
    """The answer to a reauthorization."""
    entry = authorized(authorization, replaces=replaces)
    return _plain(
        reference, status_of([entry]), [entry], kept(authorization, KEPT), seen=f":{entry.ref}={entry.status.value}"
    )


def voided_event(reference: Reference, authorizations: Sequence[str]) -> ProviderEvent:
    """These authorizations are open no more."""
    entries: list[Entry] = [AttemptEntry(ref=ref, status=AttemptStatus.CANCELED) for ref in authorizations]
    return _plain(reference, PaymentStatus.CANCELED, entries, {}, seen=f":voided:{','.join(authorizations)}")


def refund_of(made: dict[str, Any], reference: Reference, *, capture_ref: str | None = None) -> ProviderRefundEvent:
    """What a refund says of itself; ``capture_ref`` is the capture that it must be of where it names none."""
    found = own_reference(made)
    refund_ref, status = text(made, "id"), text(made, "status")
    amount, currency = money_if_any(made)
    return ProviderRefundEvent(
        provider=NAME,
        provider_ref=reference.provider_ref,
        refund_ref=refund_ref,
        event_id=f"lookup:{refund_ref}:{status}",
        # A word that we do not know yet is one for a refund on its way.
        status=REFUNDS.get(status, RefundStatus.PROCESSING),
        refund_id=own_part(made, "custom_id") if found and found.provider_ref == reference.provider_ref else None,
        payment_id=reference.payment_id,
        capture_ref=capture_of(made) or capture_ref,
        amount=amount,
        currency=currency,
        raw=kept(made, KEPT),
    )


def _entries(unit: dict[str, Any]) -> list[Entry]:
    authorizations = authorizations_of(unit)
    first = text(authorizations[0], "id") if authorizations else None
    entries: list[Entry] = [authorized(authorization, replaces=first) for authorization in authorizations]
    only = first if len(authorizations) == 1 else None
    for capture in captures_of(unit):
        status = CAPTURES.get(text(capture, "status"))
        if status is not None:
            entries += captured(capture, status, authorization=authorization_of(capture) or only)
    return entries


def _came(entry: CaptureEntry) -> bool:
    return entry.status is CaptureStatus.SUCCEEDED


def _seen(reference: Reference, entries: Sequence[Entry]) -> str:
    """An event id that names these entries with their statuses and amounts."""
    listed = ",".join(sorted(filter(None, map(_mark, entries))))
    if len(listed) > _LONGEST:
        listed = hashlib.sha256(listed.encode()).hexdigest()
    return f"lookup:{reference.provider_ref}:{listed}"


def _mark(entry: Entry) -> str:
    match entry:
        case AttemptEntry():
            why = f"({entry.pending.value})" if entry.pending else ""
            return f"{entry.ref}={entry.status.value}{why}{'.' if entry.rest_released else ''}"
        case CaptureEntry():
            return f"{entry.ref}={entry.status.value}/{entry.amount.normalize():f}"
        case ClosedEntry():
            return entry.status.value
        case _:
            return ""


def _plain(
    reference: Reference, status: PaymentStatus | None, entries: list[Entry], raw: dict[str, Any], *, seen: str
) -> ProviderEvent:
    return ProviderEvent(
        provider=NAME,
        provider_ref=reference.provider_ref,
        event_id=f"lookup:{reference.provider_ref}{seen}",
        status=status,
        payment_id=reference.payment_id,
        entries=entries,
        raw=raw,
    )


def _payments(unit: dict[str, Any], name: str) -> list[dict[str, Any]]:
    if unit.get("payments") is None:
        return []
    return items({name: []} | nested(unit, "payments"), name)
