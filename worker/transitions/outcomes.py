"""The transitions's words: what an event did, and why a person has to look at a payment."""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    """What an event did."""

    APPLIED = "applied"
    STALE = "stale"
    MISMATCH = "mismatch"
    DUPLICATE = "duplicate"
    PARKED = "parked"
    WAITING = "waiting"
    """It cannot be entered yet, for the reason that its refund gives: its webhook stays pending."""


class Review(StrEnum):
    """Why a person has to look at a payment; several stand in ``review_reason`` in alphabetical order."""

    MISMATCH = "mismatch"
    PAID_AFTER_CLOSE = "paid_after_close"
    PAID_TWICE = "paid_twice"
    REFUND_MISMATCH = "refund_mismatch"
    REFUND_TOO_LARGE = "refund_too_large"
