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
    """Its amount, currency or reference is not ours: a person has to look. Delivered again, it is judged again."""


OUTCOME_KNOWN: Final = f"outcome IN ({', '.join(repr(outcome.value) for outcome in EventOutcome)})"
"""The CHECK of the columns that hold one."""


REQUEST_LOST: Final = "was requested here, and is not here"
"""How the detail of a ``refund_mismatch`` ends whose refund was requested in a history that the database has lost."""


WAITS_FOR_LOOK_UP: Final = (
    "The database was restored, and what this payment's provider did since is not known here yet: send it again later."
)
"""Why a refund, a capture or a cancellation is refused meanwhile."""


class ReviewReason(StrEnum):
    """Why a person has to look at a payment. ``payments.review_reason`` holds several in alphabetical order.

    The first group is computed of the entries by ``payment_reasons`` (migrations/merges/fold.sql), the second stands
    in ``payment_notices``: what signed data cannot decide.
    """

    MISMATCH = "mismatch"
    """Less came than is due and nothing more is under way, or money came in another currency."""
    OVERPAID = "overpaid"
    PAID_AFTER_CLOSE = "paid_after_close"
    PAID_TWICE = "paid_twice"
    """Money came for two payments of one filling of the cart, or for the same things in two carts that were merged."""
    REFUND_TOO_LARGE = "refund_too_large"
    """More was given back or lost than came."""
    ATTEMPT_TIMED_OUT = "attempt_timed_out"
    """An attempt is under way for longer than its method takes."""
    PAID_WITHOUT_STOCK = "paid_without_stock"
    """Money came after the hold was given back, and there are too few pieces left for its order."""
    CANCELLATION_UNPAID = "cancellation_unpaid"
    """Its order was canceled, and a refund or a void for that failed."""
    FULFILLED_UNPAID = "fulfilled_unpaid"
    """Something of its order was handed over, and its authorization ended without a capture."""

    REFUND_MISMATCH = "refund_mismatch"
    """A refund of ours, and the provider speaks of another amount, currency or reference."""
    RECAPTURED = "recaptured"
    """A capture that failed is reported as captured again, by the same signed fields: accept it, or leave it."""
    AUTHORIZATION_ADJUSTED = "authorization_adjusted"
    """What is authorized was changed, and no signed time tells which of two changes is newer."""
    UNCLEAR_CANCELLATION = "unclear_cancellation"
    """Whether the provider canceled or refunded stands in no signed field."""
    NAME_OF_ANOTHER = "name_of_another"
    """A name of an entry is known for another payment."""
    DISPUTE_MISMATCH = "dispute_mismatch"
    """What a dispute takes is not certain: another currency than the payment's, no amount, a part given back."""
    FRAUD_WARNING = "fraud_warning"
    """The card's bank reports fraud; no money moved."""


def read_reasons(column: str | None) -> set[str]:
    """The reasons in ``payments.review_reason``, none where it is NULL. One that a person wrote by hand is kept."""
    return set(column.split(", ")) if column else set()
