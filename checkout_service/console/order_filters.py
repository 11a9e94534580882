"""Reads the address of the list of orders: what it is narrowed to. What cannot be read is told, and lists nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from checkout_service.console.customer_queries import customer_called
from checkout_service.console.filters import UnreadableError, check_span, given_of, read_id, read_moment_field, read_sum
from checkout_service.console.order_queries import vendors_named
from checkout_service.identity.subjects import subjects_here
from checkout_service.orders.searching import OrderFilters
from checkout_service.orders.status import OrderStatus

NAMES: Final = ("number", "customer", "amount", "status", "vendor", "since", "until")
"""The parameters that an address narrows the list by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderSearch:
    """What the list is narrowed to. ``given`` is as it was typed, ``faults`` what could not be read."""

    filters: OrderFilters
    given: dict[str, str] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)


def read_order_search(args: Mapping[str, str]) -> OrderSearch:
    """The search in an address. Raises DatabaseUnavailableError, since a vendor or a customer may be named."""
    given, faults = given_of(args, NAMES)
    read: dict[str, object] = {}
    for name, text in given.items():
        if name in faults:
            continue
        try:
            read |= _READERS[name](text)
        except UnreadableError as error:
            faults[name] = str(error)
    check_span(read.get("since"), read.get("until"), faults)  # type: ignore[arg-type]  # as read
    return OrderSearch(filters=OrderFilters(**read), given=given, faults=faults)  # type: ignore[arg-type]  # as read


def _number(text: str) -> dict[str, object]:
    if not (text[-1].isascii() and text[-1].isdigit()):
        raise UnreadableError("A number such as 1042, with its prefix or without.")
    return {"number": text}


def _customer(text: str) -> dict[str, object]:
    # Looked up, though it could be computed: so a name that nobody has is told from one that bought nothing, and an
    # address from a subject that looks like one.
    found = read_id(text) or customer_called(text, issuer=subjects_here().issuer)
    if found is not None:
        return {"customer": found}
    if "@" in text:
        return {"email": text}
    raise UnreadableError("The customer’s id, what their tokens call them, or the buyer’s whole e-mail address.")


def _amount(text: str) -> dict[str, object]:
    amount, currency = read_sum(text)
    return {"amount": amount, "currency": currency}


def _status(text: str) -> dict[str, object]:
    try:
        return {"status": OrderStatus(text)}
    except ValueError:
        raise UnreadableError("There is no such status.") from None


def _vendor(text: str) -> dict[str, object]:
    found = read_id(text)
    if found is not None:
        return {"vendor": found}
    named = vendors_named(text)
    if len(named) != 1:
        few = "There is no vendor of this name." if not named else "Several vendors have this name."
        raise UnreadableError(f"{few} A vendor’s id is on the page of one of its orders.")
    return {"vendor": named[0]}


_READERS: Final[Mapping[str, Callable[[str], dict[str, object]]]] = {
    "number": _number,
    "customer": _customer,
    "amount": _amount,
    "status": _status,
    "vendor": _vendor,
    "since": lambda text: {"since": read_moment_field(text)},
    "until": lambda text: {"until": read_moment_field(text)},
}
