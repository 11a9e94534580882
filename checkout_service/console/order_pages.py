"""GET /ops/orders: the list of orders, also as CSV, and one in full."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from flask import Response, request

from checkout_service.api.problems import MalformedBody, NotFound
from checkout_service.console.access import for_operators, operator
from checkout_service.console.filters import read_place
from checkout_service.console.order_filters import NAMES, read_order_search
from checkout_service.console.order_queries import BesideOrder, beside_order
from checkout_service.console.page import ConsoleBlueprint, address, listing, page
from checkout_service.cursors import read_cursor
from checkout_service.orders.export import csv_pages
from checkout_service.orders.queries import OrderPage, order_of
from checkout_service.orders.searching import LOOKED_THROUGH, MOST_LOOKS, find_orders
from checkout_service.orders.status import OrderStatus
from checkout_service.server.downloads import csv_answer

blueprint = ConsoleBlueprint("console_orders", __name__)

PAGE: Final = 50

ENDED: Final = (OrderStatus.CANCELED.value, OrderStatus.FULFILLED.value)


@blueprint.get("/orders")
@for_operators
def show_orders() -> tuple[str, int]:
    """Orders, newest first."""
    search = read_order_search(request.args)
    before = read_place(request.args, read_cursor, search.faults).before
    none = OrderPage(orders=[], next_cursor=None)
    found = none if search.faults else find_orders(search.filters, limit=PAGE, cursor=before)
    list_address = "console_orders.show_orders"
    return listing(
        "orders.html",
        faults=search.faults,
        filters=search,
        orders=found.orders,
        statuses=[status.value for status in OrderStatus],
        looked_through=LOOKED_THROUGH * MOST_LOOKS,
        older=address(list_address, search.given, before=found.next_cursor) if found.next_cursor else None,
        first=address(list_address, search.given) if before else None,
        csv=address("console_orders.export_orders", search.given),
    )


@blueprint.get("/orders.csv")
@for_operators
def export_orders() -> Response:
    """The lines of all orders that the filters let through, as the API's file."""
    search = read_order_search(request.args)
    if search.faults or request.args.keys() - NAMES:
        # Everybody's orders are not what was looked for.
        raise MalformedBody("A filter cannot be read, so there is no file: go back and mend it.")
    return csv_answer(csv_pages(search.filters), name="orders.csv", caller=operator().name)


@blueprint.get("/orders/<uuid:order_id>")
@for_operators
def show_order(order_id: UUID) -> str:
    """One order, and what can be done about it."""
    order, beside = whole_order(order_id)
    lines = order["lines"]
    titles = {line["listing_id"]: line["title"] for line in lines}
    return page(
        "order.html",
        order=order,
        beside=beside,
        by_line={line["id"]: line["title"] for line in lines},
        titles=titles,
        can=ways_on(order, beside),
    )


def whole_order(order_id: UUID) -> tuple[dict[str, Any], BesideOrder]:
    """The order as staff see it, and what stands beside it. Raises NotFound."""
    order, beside = order_of(order_id=order_id, user_id=None), beside_order(order_id)
    if order is None or beside is None:
        raise NotFound(f"There is no order {order_id}.")
    return order, beside


def ways_on(order: dict[str, Any], beside: BesideOrder) -> dict[str, bool]:
    """Which of the forms make sense for it now; the database judges when one is sent."""
    lines, status = order["lines"], order["status"]
    return {
        "fulfil": status not in {*ENDED, OrderStatus.ON_HOLD.value},
        "cancel": status not in ENDED and all(line["qty_fulfilled"] == 0 for line in lines),
        "refund": beside.amount_refundable > 0
        and any(line["qty"] > line["qty_refunded"] + line["qty_refunding"] for line in lines),
    }
