"""The status order as it is drawn: its places in order, where the payment stands, and what each event proved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from checkout_service.payments.status import PaymentStatus

EXPLAINED: Final = {
    PaymentStatus.PENDING: "asked to pay",
    PaymentStatus.PROCESSING: "under way",
    PaymentStatus.FAILED: "declined",
    PaymentStatus.EXPIRED: "time ran out",
    PaymentStatus.CANCELED: "called off",
    PaymentStatus.PAID: "money came",
    PaymentStatus.REVERSED: "money went back",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One place of the street: ``here`` if the payment stands there, ``behind`` if it cannot come back to it."""

    name: str
    explained: str
    here: bool
    behind: bool
    moved: int
    """Events that brought the payment here."""
    stale: int
    """Events that proved this place when the payment was further already."""
    mismatch: int


def street(status: PaymentStatus, events: Sequence[Any]) -> list[Place]:
    """The places from the first to the last; events are rows with a status (text) and an outcome."""
    proved = [(event.status, event.outcome) for event in events]
    return [
        Place(
            name=place.value,
            explained=EXPLAINED[place],
            here=place is status,
            behind=place < status,
            moved=proved.count((place.value, "applied")) + (place is PaymentStatus.PENDING),
            stale=proved.count((place.value, "stale")),
            mismatch=proved.count((place.value, "mismatch")),
        )
        for place in PaymentStatus
    ]
