"""Reads the address of the list of payments: what it is narrowed to. What cannot be read is told, and lists nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from checkout_service.console.filters import (
    UnreadableError,
    check_span,
    given_of,
    read_customer,
    read_moment_field,
    read_sum,
)
from checkout_service.payments.outcomes import ReviewReason
from checkout_service.payments.status import PaymentStatus

NAMES: Final = ("status", "flagged", "reason", "customer", "amount", "since", "until", "find")
"""The parameters that an address narrows the list by."""


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
    given, faults = given_of(args, NAMES)
    read: dict[str, Any] = {}
    for name, text in given.items():
        if name in faults:
            continue
        try:
            read |= _READERS[name](text)
        except UnreadableError as error:
            faults[name] = str(error)
    check_span(read.get("since"), read.get("until"), faults)
    return PaymentFilter(**read, given=given, faults=faults)


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


def _amount(text: str) -> dict[str, Any]:
    amount, currency = read_sum(text)
    return {"amount": amount, "currency": currency}


_READERS: Final[Mapping[str, Callable[[str], dict[str, Any]]]] = {
    "status": _status,
    "flagged": _flagged,
    "reason": _reason,
    "customer": lambda text: {"customer": read_customer(text)},
    "amount": _amount,
    "since": lambda text: {"since": read_moment_field(text)},
    "until": lambda text: {"until": read_moment_field(text)},
    "find": lambda text: {},
}
