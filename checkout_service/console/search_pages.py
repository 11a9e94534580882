"""GET /ops/search: one box for whatever somebody has in hand, be it a number, a name, an amount, a day or an id."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from flask import redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from checkout_service.console.access import for_operators
from checkout_service.console.filters import LONGEST, Place, UnreadableError
from checkout_service.console.page import ConsoleBlueprint, address, listing
from checkout_service.console.payment_filters import PaymentFilter
from checkout_service.console.payment_queries import ListedPayment, payments_page
from checkout_service.console.search import Sought, read_sought
from checkout_service.console.search_queries import Found, found_by_id, found_by_name, found_in_reports
from checkout_service.console.untrusted import visible
from checkout_service.identity.subjects import subjects_here
from checkout_service.money import show_with_currency
from checkout_service.orders.searching import OrderFilters, find_orders
from checkout_service.settlements.queries import payouts_of_amount

blueprint = ConsoleBlueprint("console_search", __name__)

SHOWN: Final = 10
"""Payments and orders of each kind on the page; the lists have all of them."""

_PAGES: Final = {
    "payment": ("console_payments.show_payment", "payment_id"),
    "order": ("console_orders.show_order", "order_id"),
    "webhook": ("console.show_webhook", "delivery_id"),
    "endpoint": ("console_endpoints.show_endpoint", "endpoint_id"),
    "payout": ("console_settlements.show_payout_page", "payout_id"),
    "settled": ("console_settlements.show_settled", "payment_id"),
}


@blueprint.get("/search")
@for_operators
def search() -> tuple[str, int] | AnyResponse:
    """What was typed, looked for; or straight to the page of the one thing that it names."""
    typed = request.args.get("q", "").strip()
    try:
        sought = read_sought(typed)
    except UnreadableError as error:
        return _page(visible(typed[:LONGEST]), fault=str(error))
    named = _named(sought)
    orders, payments = _orders(sought, named), _payments(sought, named)
    payouts = _payouts(sought)
    only = _only(named, orders, payments, payouts)
    if only is not None:
        return redirect(only)
    lists = _lists(sought, named)
    return _page(typed, named=named, orders=orders, payments=payments, payouts=payouts, lists=lists)


def _page(
    typed: str,
    *,
    fault: str = "",
    named: Sequence[Found] = (),
    orders: Sequence[dict[str, Any]] = (),
    payments: Sequence[ListedPayment] = (),
    payouts: Sequence[dict[str, Any]] = (),
    lists: Sequence[tuple[str, str]] = (),
) -> tuple[str, int]:
    return listing(
        "search.html",
        faults={"q": fault} if fault else {},
        typed=typed,
        fault=fault,
        named=[(each, _address(each)) for each in named],
        orders=orders,
        payments=payments,
        payouts=payouts,
        lists=lists,
        shown=SHOWN,
    )


def _named(sought: Sought) -> list[Found]:
    """What is called so, each page once."""
    found = found_by_id(sought.id) if sought.id else []
    if sought.name:
        found += found_by_name(sought.name, issuer=subjects_here().issuer)
    if sought.name and not found:
        # Reports name what we have by the same names: then that is what is meant.
        found = found_in_reports(sought.name)
    return list({(each.page, each.id): each for each in reversed(found)}.values())[::-1]


def _orders(sought: Sought, named: Iterable[Found]) -> list[dict[str, Any]]:
    """The newest orders of this number, of this buyer, of these days, or of the customer who is called so."""
    customers = [each.id for each in named if each.page == "customer"]
    looked_for = [
        OrderFilters(number=sought.number) if sought.number else None,
        OrderFilters(email=sought.email) if sought.email else None,
        OrderFilters(since=sought.since, until=sought.until) if sought.since else None,
        *(OrderFilters(customer=customer) for customer in customers[:1]),
    ]
    found = [order for each in looked_for if each for order in find_orders(each, limit=SHOWN, cursor=None).orders]
    return list({order["id"]: order for order in found}.values())


def _payments(sought: Sought, named: Iterable[Found]) -> list[ListedPayment]:
    """The newest payments of this amount, of these days, or of the customer who is called so."""
    customers = [each.id for each in named if each.page == "customer"]
    looked_for = [
        PaymentFilter(amount=sought.amount, currency=sought.currency) if sought.amount is not None else None,
        PaymentFilter(since=sought.since, until=sought.until) if sought.since else None,
        *(PaymentFilter(customer=customer) for customer in customers[:1]),
    ]
    found = [row for each in looked_for if each for row in payments_page(each, Place(), limit=SHOWN).rows]
    return list({row.id: row for row in found}.values())


def _payouts(sought: Sought) -> list[dict[str, Any]]:
    """The newest payouts of this amount."""
    if sought.amount is None:
        return []
    return payouts_of_amount(sought.amount, sought.currency, limit=SHOWN)


def _only(named: Sequence[Found], orders: Sequence[Any], payments: Sequence[Any], payouts: Sequence[Any]) -> str | None:
    """The address of the one page that was found, if it is one alone."""
    if len(named) + len(orders) + len(payments) + len(payouts) != 1:
        return None
    if payouts:
        return url_for("console_settlements.show_payout_page", payout_id=payouts[0]["id"])
    if named:
        return _address(named[0])
    if orders:
        return url_for("console_orders.show_order", order_id=orders[0]["id"])
    return url_for("console_payments.show_payment", payment_id=payments[0].id)


def _address(found: Found) -> str:
    if found.page == "customer":
        return url_for("console_payments.show_payments", customer=found.id)
    endpoint, argument = _PAGES[found.page]
    values: dict[str, Any] = {argument: found.id}
    return url_for(endpoint, **values)


def _lists(sought: Sought, named: Iterable[Found]) -> list[tuple[str, str]]:
    """The lists that have all of what is shown the beginning of, in words and by address."""
    lists = []
    if sought.amount is not None:
        amount = show_with_currency(sought.amount, sought.currency)
        lists.append((f"all payments of {amount}", address("console_payments.show_payments", {"amount": amount})))
    if sought.since and sought.until:
        days = {"since": f"{sought.since:%Y-%m-%d}", "until": f"{sought.until:%Y-%m-%d}"}
        lists.append(("all payments of these days", address("console_payments.show_payments", days)))
        lists.append(("all orders of these days", address("console_orders.show_orders", days)))
    for each in named:
        if each.page == "customer":
            customer = {"customer": str(each.id)}
            lists.append(("all payments of this customer", address("console_payments.show_payments", customer)))
            lists.append(("all orders of this customer", address("console_orders.show_orders", customer)))
    if sought.email:
        lists.append(("all orders of this buyer", address("console_orders.show_orders", {"customer": sought.email})))
    return lists
