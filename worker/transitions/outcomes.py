"""The ledger's words: what a fact did, and why a person has to look at a payment."""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    """What a fact did."""

    APPLIED = "applied"
    STALE = "stale"
    MISMATCH = "mismatch"
    DUPLICATE = "duplicate"
    PARKED = "parked"
    WAITING = "waiting"
    """It cannot be entered yet, for the reason that its refund gives: its letter stays owed."""


class Review(StrEnum):
    """Why a person has to look at a payment; several stand in ``review_reason`` in alphabetical order."""

    MISMATCH = "mismatch"
    PAID_AFTER_CLOSE = "paid_after_close"
    PAID_TWICE = "paid_twice"
    REFUND_MISMATCH = "refund_mismatch"
    REFUND_TOO_LARGE = "refund_too_large"
