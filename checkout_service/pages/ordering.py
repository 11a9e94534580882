"""The shop's pages of orders: what a customer bought, and what became of it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import request, url_for

from checkout_service.api.callers import caller
from checkout_service.api.compressing import compressed
from checkout_service.api.problems import NotFound
from checkout_service.cursors import BadCursorError
from checkout_service.identity.guests import guest, remember_guest
from checkout_service.orders.queries import order_of, orders_of
from checkout_service.orders.status import OrderStatus
from checkout_service.pages import amounts
from checkout_service.pages.base import PageBlueprint
from checkout_service.pages.cart_page import shop_page
from checkout_service.pages.order_words import line_words, money_of_canceled, order_words
from checkout_service.pages.shop import PAGE
from checkout_service.pages.spans import SPAN, read_until, span_of
from checkout_service.payments.queries import payment_of

blueprint = PageBlueprint("your_orders", __name__)
blueprint.after_request(remember_guest)


@blueprint.get("/orders")
@guest
@compressed
def show_orders() -> str:
    """The customer's orders, newest first."""
    cursor = request.args.get("cursor")
    try:
        found = orders_of(user_id=caller().user_id, limit=PAGE, cursor=cursor)
    except BadCursorError:
        raise NotFound("There is no such page of your orders.") from None
    return shop_page(
        "shop/orders.html",
        orders=found.orders,
        order_words=order_words,
        first=url_for("your_orders.show_orders") if cursor else None,
        following=url_for("your_orders.show_orders", cursor=found.next_cursor) if found.next_cursor else None,
    )


def _money_words(order: dict[str, Any]) -> str:
    """What is said of the money of an order that was canceled; nothing of any other."""
    if OrderStatus(order["status"]) is not OrderStatus.CANCELED:
        return ""
    payment = payment_of(payment_id=UUID(order["payment_id"]), user_id=caller().user_id)
    return "" if payment is None else money_of_canceled(payment, amounts.write)


@blueprint.get("/orders/<uuid:order_id>")
@guest
@compressed
def show_order(order_id: UUID) -> str:
    """One order: its lines, its status in plain words, what was given back, and what was sent."""
    order = order_of(order_id=order_id, user_id=caller().user_id)
    if order is None:
        raise NotFound("There is no such order, or it is not yours.")
    amounts.follow(order["buyer"])
    return shop_page(
        "shop/order.html",
        order=order,
        words=order_words(order),
        money_words=_money_words(order),
        line_words=line_words,
        shown=span_of(order["lines"], until=read_until(request.args.get("until")) or SPAN),
        titles={line["id"]: line["title"] for line in order["lines"]},
        most_lines=SPAN,
    )
