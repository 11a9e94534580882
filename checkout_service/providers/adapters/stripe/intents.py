"""PaymentIntents and charges as entries.

An attempt is a charge, and so is a capture: Stripe gives captures no names, and counts in the charge what was captured
so far. One intent has one attempt under way at most, so an intent that names none ends those that are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from checkout_service.payments.status import AttemptStatus, CaptureStatus, PaymentStatus
from checkout_service.providers.adapters.stripe.client import decline_of
from checkout_service.providers.adapters.stripe.objects import (
    KEPT,
    NAME,
    Object,
    id_of,
    metadata_of,
    moment_in,
    money,
    object_in,
    optional_id_of,
)
from checkout_service.providers.base import ProviderEvent, UnreadableError
from checkout_service.providers.entries import AttemptEntry, CaptureEntry, ClosedEntry, Entry, NoneUnderWayEntry
from checkout_service.providers.fields import currency_of, own_id, text
from checkout_service.providers.redaction import kept

ON_HOLD_FOR: Final = timedelta(days=7)
"""How long an authorisation holds where the charge does not tell (docs.stripe.com/payments/place-a-hold)."""

UNDER_WAY_FOR: Final = timedelta(days=30)
"""The longest that a debit takes: twice the 14 working days of SEPA (docs.stripe.com/payments/sepa-debit)."""

_OF_CARDS: Final = ("card", "card_present")
"""Methods that may take several captures (docs.stripe.com/payments/multicapture). A tuple, since anything may stand
where the method should."""
_NO: Final = "unavailable"

_EXPIRED: Final = ("automatic", "expired")
"""Reasons of a cancellation that nobody asked for: an authorisation ran out."""


def intent_event(
    intent: dict[str, Any],
    state: str,
    event_id: str,
    *,
    at: datetime,
    deployment: str,
    raw: dict[str, Any],
    occurred_at: datetime | None = None,
) -> ProviderEvent:
    """What a PaymentIntent proves in a state (Stripe's word for it) at a moment.

    ``deployment`` is our name of ourselves: an intent without it is another shop's.
    """
    if text(intent, "object") != "payment_intent":
        raise UnreadableError("the object is not a PaymentIntent")
    currency = currency_of(intent.get("currency"))
    ours = metadata_of(intent)
    requested = money(intent, "amount", currency)
    came = _came(intent, state, currency)
    charge = optional_id_of(intent.get("latest_charge"))
    return ProviderEvent(
        provider=NAME,
        provider_ref=text(intent, "id"),
        event_id=event_id,
        status=_status(intent, state, came, requested),
        amount=came or requested,
        currency=currency,
        occurred_at=occurred_at,
        payment_id=own_id(ours.get("payment_id")),
        capture_ref=charge if charge and came else None,
        entries=_entries_of_intent(intent, state, event_id, at=at, currency=currency, came=came),
        names=(charge,) if charge else (),
        foreign=bool(deployment) and ours.get("deployment") != deployment,
        raw=kept(raw, KEPT),
    )


def charge_event(
    charge: dict[str, Any],
    event_id: str,
    *,
    at: datetime,
    deployment: str,
    raw: dict[str, Any],
    occurred_at: datetime | None = None,
    expired: bool = False,
) -> ProviderEvent:
    """What a charge proves at a moment; ``expired`` where the event is about the end of its authorisation.

    What we wrote beside the intent is copied to its charge, at most: only another's name tells that it is foreign.
    """
    if text(charge, "object") != "charge":
        raise UnreadableError("the object is not a charge")
    currency = currency_of(charge.get("currency"))
    other = metadata_of(charge).get("deployment")
    return ProviderEvent(
        provider=NAME,
        provider_ref=optional_id_of(charge.get("payment_intent")),
        event_id=event_id,
        status=None,
        amount=money(charge, "amount_captured", currency) or money(charge, "amount", currency),
        currency=currency,
        occurred_at=occurred_at,
        entries=_entries_of_charge(charge, at=at, currency=currency, expired=expired),
        names=(text(charge, "id"),),
        foreign=bool(deployment) and other is not None and other != deployment,
        raw=kept(raw, KEPT),
    )


def seen_intent(
    intent: dict[str, Any], *, at: datetime, deployment: str = "", failures: Sequence[str] | None = None
) -> list[ProviderEvent]:
    """The events in an answer about one intent.

    The id of the first names what was seen, so that seeing it again is no news. That no attempt is under way is true at
    the moment of asking alone, so it is an event of its own, which is not recorded. ``failures`` are the names of
    attempts that failed without a charge, where events gave them: each is one, and no other is made up. None of a
    look-up, which has no events.
    """
    state = state_of(intent)
    seen = intent_event(intent, state, "", at=at, deployment=deployment, raw=intent)
    entries: list[Entry] = [entry for entry in seen.entries if not isinstance(entry, NoneUnderWayEntry)]
    if failures is not None and state == "failed":
        entries = _by_events(entries, intent, failures)
    found: list[ProviderEvent] = []
    if seen.status is not None and entries:
        seen = replace(seen, entries=entries)
        found.append(replace(seen, event_id=_seen_id(seen)))
    if state != "processing":
        alone: list[Entry] = [NoneUnderWayEntry(at=at)]
        found.append(replace(seen, event_id="", status=None, capture_ref=None, entries=alone))
    return found


def _by_events(entries: Sequence[Entry], intent: Object, failures: Sequence[str]) -> list[Entry]:
    """The failed attempt under the names that events gave it; as it is where a charge names it."""
    nameless = text(intent, "id")
    return [
        replace(entry, ref=ref)
        for entry in entries
        if isinstance(entry, AttemptEntry)
        for ref in (failures if entry.ref == nameless else (entry.ref,))
    ]


def seen_charge(charge: dict[str, Any], *, at: datetime, deployment: str, expired: bool) -> ProviderEvent:
    """A charge in an answer; its id names what was seen. ``expired`` where an event says that it ran out."""
    seen = charge_event(charge, "", at=at, deployment=deployment, raw=charge, expired=expired)
    return replace(seen, event_id=f"{_seen_id(seen)}:{text(charge, 'id')}:{text(charge, 'status')}")


def _seen_id(seen: ProviderEvent) -> str:
    """What was seen, in a line: status, amount, and of each attempt its name and how much of it is promised."""
    status = seen.status.value if seen.status else ""
    attempts = [
        f"{entry.ref}:{entry.authorized or ''}:{'released' if entry.rest_released else ''}"
        + (f":{entry.status.name}" if seen.status is None else "")
        for entry in seen.entries
        if isinstance(entry, AttemptEntry)
    ]
    return ":".join(("lookup", seen.provider_ref, status, str(seen.amount), *attempts))


def state_of(intent: dict[str, Any]) -> str:
    """The state of an intent that was fetched: Stripe's status, ``failed`` for one whose last attempt failed."""
    state = text(intent, "status")
    if state == "requires_payment_method" and intent.get("last_payment_error") is not None:
        return "failed"
    return state


def _status(intent: Object, state: str, came: Decimal, requested: Decimal) -> PaymentStatus | None:
    """What the event is about, for people."""
    if came:
        return PaymentStatus.PAID if came >= requested else PaymentStatus.PARTIALLY_PAID
    match state:
        case "processing":
            return PaymentStatus.PROCESSING
        case "requires_capture":
            return PaymentStatus.AUTHORIZED
        case "failed":
            return PaymentStatus.FAILED
        case "canceled":
            return _closed(intent)
    return None


def _closed(intent: Object) -> PaymentStatus:
    return PaymentStatus.EXPIRED if intent.get("cancellation_reason") in _EXPIRED else PaymentStatus.CANCELED


def _came(intent: Object, state: str, currency: str) -> Decimal:
    """What was captured so far: of a paid one what came, not what was requested."""
    if state == "succeeded" and "amount_received" not in intent:
        return money(intent, "amount", currency)
    return money(intent, "amount_received", currency) if state in _CAPTURABLE else Decimal(0)


_CAPTURABLE: Final = ("requires_capture", "succeeded", "canceled")


def _entries_of_intent(
    intent: Object, state: str, event_id: str, *, at: datetime, currency: str, came: Decimal
) -> Sequence[Entry]:
    charge = optional_id_of(intent.get("latest_charge"))
    entries: list[Entry] = []
    if state == "processing":
        return [
            AttemptEntry(
                ref=charge, status=AttemptStatus.UNDER_WAY, currency=currency, times_out_at=at + UNDER_WAY_FOR, at=at
            )
        ]
    if state == "requires_capture":
        whole = intent if "amount_capturable" in intent else {"amount_capturable": intent.get("amount")}
        open_yet = money(whole, "amount_capturable", currency)
        entries.append(
            AttemptEntry(
                ref=charge,
                status=AttemptStatus.AUTHORIZED,
                authorized=open_yet + came,
                currency=currency,
                rest_released=not open_yet,
                expires_at=_capture_before(intent.get("latest_charge")),
                at=at,
            )
        )
    elif state == "failed":
        error = object_in(intent, "last_payment_error")
        named = optional_id_of(error.get("charge")) or charge
        # Without a charge it has no name of its own. What is fetched has no event: the intent's name does.
        ref = named or event_id or text(intent, "id")
        decline = decline_of(error).value if error else None
        entries.append(AttemptEntry(ref=ref, status=AttemptStatus.FAILED, currency=currency, decline=decline, at=at))
    elif state == "succeeded" or (state == "canceled" and came):
        presumed = came if not charge else None
        entries.append(
            AttemptEntry(
                ref=charge,
                status=AttemptStatus.AUTHORIZED,
                presumed=presumed,
                currency=currency,
                rest_released=True,
                at=at,
            )
        )
    elif state == "canceled":
        closed = _closed(intent)
        if charge and intent.get("last_payment_error") is None:  # else that charge failed before
            entries.append(AttemptEntry(ref=charge, status=AttemptStatus(closed.value), currency=currency, at=at))
        entries.append(ClosedEntry(status=closed))
    if came and charge:
        requests: Sequence[str | None] = _requests(intent) or [None]
        entries += [_capture(charge, came, currency, request_id=request_id) for request_id in requests]
    return [*entries, NoneUnderWayEntry(at=at)] if entries else []


def _entries_of_charge(charge: Object, *, at: datetime, currency: str, expired: bool) -> Sequence[Entry]:
    ref, status = text(charge, "id"), text(charge, "status")
    if status == "pending":
        times_out_at = at + UNDER_WAY_FOR
        return [
            AttemptEntry(ref=ref, status=AttemptStatus.UNDER_WAY, currency=currency, times_out_at=times_out_at, at=at)
        ]
    if status == "failed":
        error = {"type": "card_error", "code": charge.get("failure_code"), "decline_code": charge.get("failure_code")}
        decline = decline_of(error).value
        return [AttemptEntry(ref=ref, status=AttemptStatus.FAILED, currency=currency, decline=decline, at=at)]
    if status != "succeeded":
        return []
    whole, came = money(charge, "amount", currency), money(charge, "amount_captured", currency)
    released = _released(charge, whole, came)
    if expired:
        attempt = AttemptStatus.EXPIRED
    elif not came and charge.get("refunded") is True:  # what was never captured was given back: let go
        attempt = AttemptStatus.CANCELED
    else:
        attempt = AttemptStatus.AUTHORIZED
    ends = attempt is AttemptStatus.AUTHORIZED and not released
    default = moment_in(charge, "created")
    entries: list[Entry] = [
        AttemptEntry(
            ref=ref,
            status=attempt,
            authorized=whole,
            currency=currency,
            rest_released=released,
            expires_at=_capture_before(charge) or (default and default + ON_HOLD_FOR) if ends else None,
            at=at,
        )
    ]
    return [*entries, _capture(ref, came, currency)] if came else entries


def _released(charge: Object, whole: Decimal, came: Decimal) -> bool:
    """Whether nothing more can be captured. Where the method takes several captures, only the intent tells."""
    if came >= whole:
        return True
    details = object_in(charge, "payment_method_details")
    method = details.get("type")
    several = method in _OF_CARDS and object_in(object_in(details, str(method)), "multicapture").get("status") != _NO
    return charge.get("captured") is True and bool(came) and not several


def _capture(ref: str, amount: Decimal, currency: str, *, request_id: str | None = None) -> CaptureEntry:
    return CaptureEntry(
        ref=ref,
        status=CaptureStatus.SUCCEEDED,
        amount=amount,
        currency=currency,
        attempt_ref=ref,
        request_id=request_id,
    )


def capture_mark(request_id: UUID) -> str:
    """The name of what we write beside an intent with a capture, as long as Stripe lets it be."""
    return f"{_MARK}{request_id.hex}"


def _requests(intent: Object) -> Sequence[str]:
    """Our requests that made captures of this intent, so that each is known even if its answer was lost."""
    marked = (name.removeprefix(_MARK) for name in metadata_of(intent) if name.startswith(_MARK))
    return sorted(str(UUID(mark)) for mark in marked if len(mark) == 32 and set(mark) <= _HEX)


_MARK: Final = "capture_"
_HEX: Final = frozenset("0123456789abcdef")


def _capture_before(charge: object) -> datetime | None:
    """The end of an authorisation, where the charge is here whole and its method tells."""
    if not isinstance(charge, dict):
        return None
    details = object_in(charge, "payment_method_details")
    kind = details.get("type")
    return moment_in(object_in(details, kind), "capture_before") if isinstance(kind, str) else None


def capture_of(intent: Object) -> dict[str, Any] | None:
    """The charge of a fetched intent, where it is here whole."""
    charge = intent.get("latest_charge")
    if not isinstance(charge, dict):
        return None
    id_of(charge)
    return charge
