"""What an event did, and why a person has to look at a payment: words that the worker writes and others read."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class EventOutcome(StrEnum):
    """What an event did: ``payment_events.outcome`` and ``refund_events.outcome``."""

    APPLIED = "applied"
    """It moved the payment or the refund."""
    STALE = "stale"
    """The payment or the refund was further already."""
    MISMATCH = "mismatch"
    """Its amount, currency or reference is not ours: it moved nothing. Delivered again, it is judged again."""


OUTCOME_KNOWN: Final = f"outcome IN ({', '.join(repr(outcome.value) for outcome in EventOutcome)})"
"""The CHECK of the columns that hold one."""


class ReviewReason(StrEnum):
    """Why a person has to look at a payment. ``payments.review_reason`` holds several in alphabetical order."""

    MISMATCH = "mismatch"
    PAID_AFTER_CLOSE = "paid_after_close"
    PAID_TWICE = "paid_twice"
    REFUND_MISMATCH = "refund_mismatch"
    REFUND_TOO_LARGE = "refund_too_large"


_SEPARATOR: Final = ", "


def read_reasons(column: str | None) -> set[str]:
    """The reasons in ``payments.review_reason``, none where it is NULL. One that a person wrote by hand is kept."""
    return set(column.split(_SEPARATOR)) if column else set()


def write_reasons(reasons: set[str]) -> str | None:
    """What ``payments.review_reason`` holds for these reasons; NULL for none."""
    return _SEPARATOR.join(sorted(reasons)) or None
