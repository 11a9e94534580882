"""Reads the address of the list of orders: what it is narrowed to. What cannot be read is told, and lists nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from checkout_service.console.customer_queries import customer_called
from checkout_service.console.filters import SPAN, Readers, UnreadableError, read_amount_field, read_fields, read_id
from checkout_service.console.order_queries import vendors_named
from checkout_service.identity.subjects import subjects_here
from checkout_service.orders.searching import OrderFilters
from checkout_service.orders.status import OrderStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderSearch:
    """What the list is narrowed to. ``given`` is as it was typed, ``faults`` what could not be read."""

    filters: OrderFilters
    given: dict[str, str] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)


def read_order_search(args: Mapping[str, str]) -> OrderSearch:
    """The search in an address. Raises DatabaseUnavailableError, since a vendor or a customer may be named."""
    found = read_fields(args, _READERS)
    return OrderSearch(filters=OrderFilters(**found.read), given=found.given, faults=found.faults)


def _number(text: str) -> dict[str, Any]:
    if not (text[-1].isascii() and text[-1].isdigit()):
        raise UnreadableError("A number such as 1042, with its prefix or without.")
    return {"number": text}


def _customer(text: str) -> dict[str, Any]:
    # Looked up, though it could be computed: so a name that nobody has is told from one that bought nothing, and an
    # address from a subject that looks like one.
    found = read_id(text) or customer_called(text, issuer=subjects_here().issuer)
    if found is not None:
        return {"customer": found}
    if "@" in text:
        return {"email": text}
    raise UnreadableError("The customer’s id, what their tokens call them, or the buyer’s whole e-mail address.")


def _status(text: str) -> dict[str, Any]:
    try:
        return {"status": OrderStatus(text)}
    except ValueError:
        raise UnreadableError("There is no such status.") from None


def _vendor(text: str) -> dict[str, Any]:
    found = read_id(text)
    if found is not None:
        return {"vendor": found}
    named = vendors_named(text)
    if len(named) != 1:
        few = "There is no vendor of this name." if not named else "Several vendors have this name."
        raise UnreadableError(f"{few} A vendor’s id is on the page of one of its orders.")
    return {"vendor": named[0]}


_READERS: Final[Readers] = {
    "number": _number,
    "customer": _customer,
    "amount": read_amount_field,
    "status": _status,
    "vendor": _vendor,
    **SPAN,
}

NAMES: Final = tuple(_READERS)
"""The parameters that an address narrows the list by."""
