"""Reads the address of the list of payments: what it is narrowed to. What cannot be read is told, and lists nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from checkout_service.console.filters import (
    SPAN,
    Readers,
    UnreadableError,
    read_amount_field,
    read_customer,
    read_fields,
)
from checkout_service.payments.outcomes import ReviewReason
from checkout_service.payments.status import PaymentStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentFilter:
    """What the list of payments is narrowed to; all of what is given must hold.

    With a ``reason`` it is of those alone that are ``flagged`` with it. ``amount`` is exact, in ``currency`` or,
    without one, in whatever currency. Times are aware; a payment of the very ``until`` is not among them. ``given`` is
    as it was typed, ``faults`` what could not be read.
    """

    status: PaymentStatus | None = None
    flagged: bool = False
    reason: ReviewReason | None = None
    customer: UUID | None = None
    amount: Decimal | None = None
    currency: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    given: dict[str, str] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)


def read_payment_filter(args: Mapping[str, str]) -> PaymentFilter:
    """The filter in an address. Raises DatabaseUnavailableError, since a customer may be named."""
    found = read_fields(args, _READERS)
    return PaymentFilter(**found.read, given=found.given, faults=found.faults)


def _status(text: str) -> dict[str, Any]:
    try:
        return {"status": PaymentStatus(text)}
    except ValueError:
        raise UnreadableError("There is no such status.") from None


def _flagged(text: str) -> dict[str, Any]:
    if text != "yes":
        raise UnreadableError("This box is yes, or is left out.")
    return {"flagged": True}


def _reason(text: str) -> dict[str, Any]:
    try:
        return {"reason": ReviewReason(text), "flagged": True}
    except ValueError:
        raise UnreadableError("There is no such reason.") from None


_READERS: Final[Readers] = {
    "status": _status,
    "flagged": _flagged,
    "reason": _reason,
    "customer": lambda text: {"customer": read_customer(text)},
    "amount": read_amount_field,
    **SPAN,
    "find": lambda text: {},
}
