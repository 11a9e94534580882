"""The timeline of one payment: everything that happened to it, in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from checkout_service.oversight.entries import (
    AmountAccepted,
    AttemptEntered,
    CancelRequested,
    CaptureEntered,
    CaptureRequested,
    DisputeEntered,
    Entry,
    NoOrderMade,
    NoticeEntered,
    OrderCanceled,
    OrderFulfilled,
    OrderPlaced,
    PaymentClosed,
    PaymentEventRecorded,
    ReasonSeen,
    RefundEntered,
    RefundEventRecorded,
    SessionOpened,
    VoidRequested,
    WebhookReceived,
)
from checkout_service.oversight.payment_history import EARLY, PaymentNow, read_history
from checkout_service.payments.look_up_log import LoggedQuestion

_AT_ONE_MOMENT: Final[tuple[type[Entry], ...]] = (
    SessionOpened,
    CancelRequested,
    CaptureRequested,
    VoidRequested,
    WebhookReceived,
    LoggedQuestion,
    PaymentEventRecorded,
    RefundEventRecorded,
    AttemptEntered,
    CaptureEntered,
    RefundEntered,
    DisputeEntered,
    PaymentClosed,
    NoOrderMade,
    OrderPlaced,
    OrderFulfilled,
    OrderCanceled,
    NoticeEntered,
    ReasonSeen,
    AmountAccepted,
)
"""Entries of one moment, as they follow from each other: an event has the time of the webhook that brought it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """A payment and its entries, oldest first; ``looked_until`` as in its history."""

    payment: PaymentNow
    entries: Sequence[Entry]
    looked_until: UUID | None = None

    def events(self) -> Iterator[PaymentEventRecorded]:
        """The events about the payment itself, oldest first."""
        return (entry for entry in self.entries if isinstance(entry, PaymentEventRecorded))


def timeline_of(
    payment_id: UUID,
    *,
    owner: UUID | None = None,
    pages: int | None = None,
    largest: int = 2**30,
    early: timedelta = EARLY,
    after: UUID | None = None,
) -> Timeline | None:
    """The payment's timeline, or None; the keywords bound it as they bound its history.

    Raises DatabaseUnavailableError.
    """
    history = read_history(payment_id, owner=owner, pages=pages, largest=largest, early=early, after=after)
    if history is None:
        return None
    return Timeline(
        payment=history.payment, entries=sorted(history.entries, key=_order), looked_until=history.looked_until
    )


def _order(entry: Entry) -> tuple[datetime, int]:
    return entry.at, _AT_ONE_MOMENT.index(type(entry))
