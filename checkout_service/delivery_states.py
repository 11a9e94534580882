"""The states of a webhook, written once: tables, statements, tasks and pages are made from them.

They are words that several rooms share. The pages use them too, and those know no webhook.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum, StrEnum
from typing import Final


class DeliveryState(StrEnum):
    """How far the worker is with a webhook."""

    RECEIVED = "received"
    """Pending: new, under lease, or waiting for its next attempt."""
    PARKED = "parked"
    """Pending: verified, but its payment is not here yet."""
    APPLIED = "applied"
    """Its events are in the transitions: as news, as stale, or with a mismatch."""
    DUPLICATE = "duplicate"
    """Every event in it was known."""
    IGNORED = "ignored"
    """Verified, but about nothing that we keep."""
    REJECTED = "rejected"
    """Unverified: anybody may have sent it, or our secret is wrong. Kept within bounds.

    With a next attempt: what it takes to verify it could not be had yet, and is tried for again.
    """
    FAILED = "failed"
    """It could not be processed, or it is verified and cannot be understood; an operator has to look."""


class RejectedClass(IntEnum):
    """What a rejected webhook names, so what it is worth; each class of each provider has bounds of its own."""

    OPEN = 1
    """A payment of ours for which money may still come or go: any but one that expired or was canceled."""
    KNOWN = 2
    """Another payment of ours."""
    UNKNOWN = 3
    """Nothing that we know: all that a stranger can write who knows no payment."""


PENDING: Final = (DeliveryState.RECEIVED, DeliveryState.PARKED)
"""A worker comes to these by itself, when they are due."""

RARE: Final = (
    DeliveryState.PARKED,
    DeliveryState.DUPLICATE,
    DeliveryState.IGNORED,
    DeliveryState.REJECTED,
    DeliveryState.FAILED,
)
"""States that few webhooks end in, so that indexes for operators may hold them."""

REFERENCED_RARE: Final = (
    DeliveryState.PARKED,
    DeliveryState.DUPLICATE,
    DeliveryState.IGNORED,
    DeliveryState.FAILED,
)
"""Those in which a webhook may name its payment; that of an applied one is named by its events."""


def listed(states: Iterable[DeliveryState]) -> str:
    """The states as SQL lists them: ``'received', 'parked'``."""
    return ", ".join(f"'{state}'" for state in states)
