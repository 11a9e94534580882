"""Names that a provider with a contract of ours may give, of attempts, captures and disputes, as entries.

All are optional. What none is given of stays presumed, on an attempt and a dispute without a name. The members are
the same wherever such a provider speaks: ``attempt``, ``capture_ref``, ``dispute_ref``, ``stage``, ``step``,
``amount``, ``currency``, ``expires_at``, ``evidence_due_at`` and ``reason`` (docs/providers/standard.md).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import Enum
from hashlib import sha256
from typing import Any, Final, TypeVar

from checkout_service.payments.status import (
    AttemptStatus,
    CaptureStatus,
    DisputeStage,
    DisputeStatus,
    PaymentStatus,
)
from checkout_service.providers.base import UnreadableError
from checkout_service.providers.entries import (
    AttemptEntry,
    CaptureEntry,
    ClosedEntry,
    DisputeEntry,
    DisputeReason,
    Entry,
    NoneUnderWayEntry,
)
from checkout_service.providers.fields import amount_from_text, currency_of, items, moment_of, text

NAMES: Final = frozenset(
    {"attempt", "capture_ref", "dispute_ref", "stage", "step", "expires_at", "evidence_due_at", "request_id"}
)
LISTS: Final = ("attempts", "captures", "disputes")
"""What an answer to a look-up may have beside the payment's status."""

_HIGHEST_STEP: Final = 99

_ATTEMPTS: Final = {
    PaymentStatus.PROCESSING: AttemptStatus.UNDER_WAY,
    PaymentStatus.FAILED: AttemptStatus.FAILED,
    PaymentStatus.AUTHORIZED: AttemptStatus.AUTHORIZED,
    PaymentStatus.EXPIRED: AttemptStatus.EXPIRED,
    PaymentStatus.CANCELED: AttemptStatus.CANCELED,
}
"""What a payment's status says of the attempt that is named with it."""

Word = TypeVar("Word", bound=Enum)


def payment_entries(about: Mapping[str, Any], status: PaymentStatus, at: datetime | None) -> list[Entry]:
    """What a payment's status says, with the names beside it; [] where it follows from the status alone.

    ``expired`` and ``canceled`` with an attempt end that one: what it authorized and nobody captured is open no more.
    """
    attempt = text(about, "attempt") if "attempt" in about else ""
    if status is PaymentStatus.REVERSED:
        named = {"dispute_ref", "step", "stage"} & about.keys()
        return [_dispute(about, DisputeStatus.LOST, at, step=1)] if named else []
    if status in {PaymentStatus.PAID, PaymentStatus.PARTIALLY_PAID}:
        if "capture_ref" in about:
            return [_capture(about, CaptureStatus.SUCCEEDED)]
        return [] if not attempt else [AttemptEntry(ref=attempt, presumed=_amount(about), currency=_currency(about))]
    if not attempt or status not in _ATTEMPTS:
        return []
    authorized = status is PaymentStatus.AUTHORIZED
    return [
        AttemptEntry(
            ref=attempt,
            status=_ATTEMPTS[status],
            authorized=_amount(about) if authorized and "amount" in about else None,
            currency=_currency(about) if authorized and "currency" in about else None,
            expires_at=_moment(about, "expires_at"),
        )
    ]


def capture_entries(about: Mapping[str, Any], word: str) -> list[Entry] | None:
    """What is said of a capture by one of its own statuses; None where the word is none."""
    status = _known(CaptureStatus, word) if "capture_ref" in about else None
    return None if status is None else [_capture(about, status)]


def dispute_entries(about: Mapping[str, Any], word: str, at: datetime | None) -> list[Entry] | None:
    """What is said of a dispute by one of its own statuses; None where the word is none.

    Its money goes by ``step`` alone: without one, none moved.
    """
    status = _known(DisputeStatus, word) if "dispute_ref" in about else None
    return None if status is None else [_dispute(about, status, at, step=0)]


def source_of(about: Mapping[str, Any]) -> dict[str, Any]:
    """What a refund is of, where it tells."""
    found = {"capture_ref": "capture_ref", "attempt_ref": "attempt"}
    return {ours: text(about, theirs) for ours, theirs in found.items() if about.get(theirs) is not None}


def held_entries(held: Mapping[str, Any], status: PaymentStatus | None, seen_at: datetime) -> list[Entry] | None:
    """What the lists in an answer about a payment say; None where it has none: then its status alone counts.

    Beside lists of attempts or captures the status only closes the payment, else it tells of money too. Where all
    attempts are listed and none is under way, that is said.
    """
    if not any(name in held for name in LISTS):
        return None
    entries: list[Entry] = []
    for each in _items(held, "attempts"):
        word = _word(PaymentStatus, each)
        entries += payment_entries({**each, "attempt": text(each, "attempt")}, word, None)
        if word in {PaymentStatus.PENDING, PaymentStatus.REVERSED}:
            raise UnreadableError("an attempt has a status that none can have")
    entries += [_capture(each, _word(CaptureStatus, each)) for each in _items(held, "captures")]
    for each in _items(held, "disputes"):
        entries.append(_dispute(each, _word(DisputeStatus, each), _moment(each, "at"), step=0))
    if status in {PaymentStatus.EXPIRED, PaymentStatus.CANCELED}:
        entries.append(ClosedEntry(status=status))
    if status in {PaymentStatus.PAID, PaymentStatus.REVERSED} and not {"attempts", "captures"} & held.keys():
        entries.append(AttemptEntry(presumed=_amount(held), currency=_currency(held)))
    under_way = any(isinstance(entry, AttemptEntry) and entry.status is AttemptStatus.UNDER_WAY for entry in entries)
    if "attempts" in held and not under_way:
        entries.append(NoneUnderWayEntry(at=seen_at))
    return entries


def what_was_seen(held: Mapping[str, Any]) -> str:
    """A short name of the lists in an answer: the same for the same lists, '' where all are empty."""
    seen = {name: held[name] for name in LISTS if held.get(name)}
    written = json.dumps(seen, sort_keys=True, default=str)
    return sha256(written.encode()).hexdigest()[:32] if seen else ""


def _capture(about: Mapping[str, Any], status: CaptureStatus) -> CaptureEntry:
    return CaptureEntry(
        ref=text(about, "capture_ref"),
        status=status,
        amount=_amount(about),
        currency=_currency(about),
        attempt_ref=text(about, "attempt") if about.get("attempt") is not None else "",
        request_id=text(about, "request_id") if about.get("request_id") is not None else None,
    )


def _dispute(about: Mapping[str, Any], status: DisputeStatus, at: datetime | None, *, step: int) -> DisputeEntry:
    """``step`` is what counts where none is said; odd ones took money, even ones gave it back."""
    stage = _known(DisputeStage, text(about, "stage")) if "stage" in about else DisputeStage.CHARGEBACK
    if stage is None:
        raise UnreadableError("stage is none that a dispute has")
    step = _step(about) if "step" in about else step
    ref = text(about, "dispute_ref") if "dispute_ref" in about else ""
    # Without a name it may be about all that came.
    priced = bool(ref) or "amount" in about
    return DisputeEntry(
        ref=ref,
        stage=stage,
        status=status,
        at=at,
        reason=_known(DisputeReason, text(about, "reason")) if about.get("reason") is not None else None,
        evidence_due_at=_moment(about, "evidence_due_at"),
        blocks_refund=stage is not DisputeStage.INQUIRY and status < DisputeStatus.ACCEPTED,
        step=step,
        money_out=step % 2 == 1,
        amount=_amount(about) if priced else None,
        currency=_currency(about) if priced else None,
        capture_ref=text(about, "capture_ref") if about.get("capture_ref") is not None else "",
        attempt_ref=text(about, "attempt") if about.get("attempt") is not None else "",
    )


def _step(about: Mapping[str, Any]) -> int:
    step = about["step"]
    if not isinstance(step, int) or isinstance(step, bool) or not 0 <= step <= _HIGHEST_STEP:
        raise UnreadableError(f"step is not a whole number up to {_HIGHEST_STEP}")
    return step


def _amount(about: Mapping[str, Any]) -> Decimal:
    return amount_from_text(about.get("amount"), _currency(about))


def _currency(about: Mapping[str, Any]) -> str:
    return currency_of(about.get("currency"))


def _moment(about: Mapping[str, Any], name: str) -> datetime | None:
    return moment_of(about[name], name) if about.get(name) is not None else None


def _items(held: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    return items(held, name) if name in held else []


def _known(words: type[Word], word: str) -> Word | None:
    return next((each for each in words if each.value == word), None)


def _word(words: type[Word], about: Mapping[str, Any]) -> Word:
    found = _known(words, text(about, "status"))
    if found is None:
        raise UnreadableError("something has a status that nobody knows")
    return found
