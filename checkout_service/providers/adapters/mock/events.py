"""What the mock provider's webhooks and answers say, as events; whatever else is in them ends as UnreadableError."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from checkout_service.payments.status import AttemptStatus, PaymentStatus, RefundStatus
from checkout_service.providers.base import ProviderEvent, ProviderRefundEvent, Reference, UnreadableError
from checkout_service.providers.entries import AttemptEntry, Entry
from checkout_service.providers.fields import amount_of, canonical_json, currency_of, items, moment_of, text
from checkout_service.providers.optional_names import (
    LISTS,
    NAMES,
    capture_entries,
    dispute_entries,
    held_entries,
    payment_entries,
    source_of,
    what_was_seen,
)
from checkout_service.providers.redaction import kept

NAME = "mock"
PREFIX = "mock_pi_"
REFUND_PREFIX = "mock_re_"
CAPTURE_PREFIX = "mock_cp_"

_HELD = NAMES | {
    *("provider_ref", "refund_ref", "refund_id", "amount", "currency", "status", "reason", "at", "final"),
    *LISTS,
}
"""What is kept of an answer; of a webhook everything is, as it was signed."""

_PAYMENT_STATUSES: Final = {status.value: status for status in PaymentStatus}
_REFUND_STATUSES: Final = {status.value: status for status in RefundStatus}


def payment_event(
    webhook: dict[str, Any], details: dict[str, Any], *, raw: bytes, event_id: str = ""
) -> ProviderEvent | None:
    """The webhook's one event; None when it is of a kind that we do not know.

    ``raw`` is the webhook as canonical JSON. With names of captures and disputes the status may be one of theirs.
    """
    reference, word = text(webhook, "provider_ref"), text(webhook, "status")
    occurred_at = moment_of(details["occurred_at"], "occurred_at") if "occurred_at" in details else None
    status = _PAYMENT_STATUSES.get(word)
    # A pending capture is none of a pending payment.
    entries = capture_entries(details, word) or dispute_entries(details, word, occurred_at)
    if entries is not None:
        status = None
    elif status is not None:
        entries = payment_entries(details, status, occurred_at)
    else:
        return None
    return ProviderEvent(
        provider=NAME,
        provider_ref=reference,
        event_id=text(details, "event_id") if "event_id" in details else event_id or sha256(raw).hexdigest(),
        status=status,
        **_money(details),
        occurred_at=occurred_at,
        payment_id=_payment_id(reference),
        amount_required=status is PaymentStatus.PARTIALLY_PAID,
        entries=entries or (),
        raw=raw,
    )


def refund_event(webhook: dict[str, Any], details: dict[str, Any], *, raw: bytes) -> ProviderRefundEvent | None:
    """The webhook's event about a refund; None when it is about a payment."""
    if "refund_ref" not in details:
        return None
    status = _REFUND_STATUSES.get(text(webhook, "status"))
    if status is None:
        return None
    reference = text(webhook, "provider_ref")
    return ProviderRefundEvent(
        provider=NAME,
        provider_ref=reference,
        refund_ref=text(details, "refund_ref"),
        event_id=text(details, "event_id") if "event_id" in details else sha256(raw).hexdigest(),
        status=status,
        **_money(details),
        refund_id=_own_id(text(details, "refund_id")) if "refund_id" in details else None,
        payment_id=_payment_id(reference),
        occurred_at=moment_of(details["occurred_at"], "occurred_at") if "occurred_at" in details else None,
        raw=webhook,
        **source_of(details),
    )


def looked_up(
    held: dict[str, Any], reference: Reference, seen_at: datetime
) -> Sequence[ProviderEvent | ProviderRefundEvent]:
    """The events in an answer about one payment; their ids name what was seen, so that seeing it again is no news.

    ``seen_at`` is the moment at which it was looked up.
    """
    seen: dict[str, Any] = {
        name: text(held, name) for name in ("provider_ref", "status", "amount", "currency") if name in held
    }
    if seen.get("provider_ref") != reference.provider_ref:
        raise UnreadableError("the answer is about another payment")
    made = [refunded(refund, reference) for refund in items({"refunds": []} | held, "refunds")]
    word = seen.get("status")
    listed = held_entries(held, _PAYMENT_STATUSES.get(word or ""), seen_at)
    if listed is None and word == PaymentStatus.PENDING.value:
        return made
    event_id = f"lookup:{reference.provider_ref}:{word}:{seen.get('amount', '')}"
    event = payment_event(seen, seen, raw=canonical_json(seen), event_id=event_id)
    if event is not None and listed is not None:
        lists = what_was_seen(held)
        event = replace(event, entries=listed, event_id=f"{event_id}:{lists}" if lists else "", raw=kept(held, _HELD))
    return [event, *made] if event else made


def refunded(made: dict[str, Any], reference: Reference) -> ProviderRefundEvent:
    """The event in an answer about one refund."""
    refund_ref, status = text(made, "refund_ref"), text(made, "status")
    try:
        proven = RefundStatus(status)
    except ValueError as error:
        raise UnreadableError("the answer is not about a refund") from error
    return ProviderRefundEvent(
        provider=NAME,
        provider_ref=reference.provider_ref,
        refund_ref=refund_ref,
        event_id=f"lookup:{refund_ref}:{status}",
        status=proven,
        **_money({"amount": None, "currency": None} | made),
        refund_id=_own_id(text(made, "refund_id")) if made.get("refund_id") is not None else None,
        payment_id=reference.payment_id,
        raw=kept(made, _HELD),
        **source_of(made),
    )


def captured(made: dict[str, Any], reference: Reference, *, final: bool) -> ProviderEvent:
    """The event in an answer about one capture; a last one releases what is left of its attempt."""
    about = {name: value for name, value in made.items() if name != "attempt" or value}
    entries = capture_entries(about, text(made, "status"))
    if not entries:
        raise UnreadableError("the answer is not about a capture")
    seen = f"{text(made, 'capture_ref')}:{text(made, 'status')}:{text(made, 'amount')}"
    if not final:
        return _about_entries(reference, seen, entries, made)
    released = AttemptEntry(ref=reference.attempt_ref or "", rest_released=True)
    return _about_entries(reference, f"{seen}:final", [*entries, released], made)


def voided(reference: Reference) -> ProviderEvent:
    """The event of a void that nobody was asked for."""
    attempt = reference.attempt_ref or ""
    ended = AttemptEntry(ref=attempt, status=AttemptStatus.CANCELED)
    return _about_entries(reference, f"{reference.provider_ref}:{attempt}:void", [ended], {"status": "canceled"})


def _about_entries(reference: Reference, seen: str, entries: Sequence[Entry], answer: dict[str, Any]) -> ProviderEvent:
    return ProviderEvent(
        provider=NAME,
        provider_ref=reference.provider_ref,
        event_id=f"lookup:{seen}",
        status=None,
        payment_id=reference.payment_id,
        amount_required=False,
        entries=entries,
        raw=kept(answer, _HELD),
    )


def _money(about: dict[str, Any]) -> dict[str, Any]:
    """Amount and currency, of which either may be absent."""
    currency = currency_of(about["currency"]) if "currency" in about else None
    return {"amount": amount_of(about["amount"], currency) if "amount" in about else None, "currency": currency}


def _own_id(given: str) -> UUID:
    try:
        return UUID(given)
    except ValueError as error:
        raise UnreadableError("refund_id is not an id of ours") from error


def _payment_id(reference: str) -> UUID | None:
    """Our own id, which the reference of a payment that we opened carries."""
    try:
        return UUID(reference.removeprefix(PREFIX)) if reference.startswith(PREFIX) else None
    except ValueError:
        return None
