"""/api/orders: what a customer bought; /api/admin/orders: what staff find among all orders, also as CSV."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from flask import Response, request, url_for

from checkout_service.api.blueprints import Blueprint
from checkout_service.api.callers import InsufficientScope, caller, guests_too, scoped
from checkout_service.api.compressing import compressed
from checkout_service.api.links import leads_to
from checkout_service.api.problems import Invalid, NotFound, TooManyAtOnce
from checkout_service.api.responses import json_answer, show_time
from checkout_service.api.scopes import Scope
from checkout_service.cursors import BadCursorError
from checkout_service.identity.subjects import customer_in
from checkout_service.orders.export import csv_pages
from checkout_service.orders.queries import OrderPage, order_of, orders_of
from checkout_service.orders.schemas import (
    ORDER_EXAMPLE,
    PAGE_EXAMPLE,
    STAFF_EXAMPLE,
    STAFF_PAGE_EXAMPLE,
    OrderFiltersQuery,
    OrderPageSchema,
    OrdersQuery,
    StaffOrderPageSchema,
    WholeOrderSchema,
    WholeStaffOrderSchema,
)
from checkout_service.orders.searching import OrderFilters, find_orders
from checkout_service.orders.status import OrderStatus
from checkout_service.payments.schemas import PageQuery
from checkout_service.server.downloads import ExportTooLarge, NoRoomForExport, csv_answer

BEFORE: Final = (Scope.REFUNDS,)
"""Who may give money back also saw what was bought, before there was a scope for it."""

blueprint = Blueprint(
    "orders", __name__, url_prefix="/api/orders", description="What was bought, and what was sent of it."
)

staff_blueprint = Blueprint(
    "staff_orders",
    __name__,
    url_prefix="/api/admin",
    tag="Orders for staff",
    description="The orders of all customers.",
)


@blueprint.get("")
@blueprint.doc(operationId="listOrders")
@leads_to("getOrder", order_id="/data/0/id")
@guests_too(after_merge=True)
@blueprint.arguments(PageQuery, location="query")
@blueprint.response(200, OrderPageSchema, example=PAGE_EXAMPLE)
@blueprint.alt_response(304, description="Not modified since the ETag in If-None-Match")
@blueprint.problems(Invalid)
@compressed
def list_orders(query: dict[str, Any]) -> Response:
    """List orders

    The caller's orders, newest first, in keyset pages: pass next_cursor as cursor to go on.
    """
    try:
        found = orders_of(user_id=caller().user_id, limit=query["limit"], cursor=query["cursor"])
    except BadCursorError as error:
        raise _bad_cursor() from error
    return _page(found, "orders.list_orders", {"limit": query["limit"]})


@blueprint.get("/<uuid:order_id>")
@blueprint.doc(operationId="getOrder")
@leads_to("getPayment", payment_id="/payment_id")
@guests_too(after_merge=True)
@blueprint.response(200, WholeOrderSchema, example=ORDER_EXAMPLE)
@blueprint.alt_response(304, description="Not modified since the ETag in If-None-Match")
@blueprint.problems(NotFound)
@compressed
def read_order(order_id: UUID) -> Response:
    """Read an order

    Its lines, the part of each vendor, and what was handed over, with its tracking; for its customer alone. Poll it
    with If-None-Match: an unchanged order answers 304 without a body.
    """
    order = order_of(order_id=order_id, user_id=caller().user_id)
    if order is None:
        raise NotFound("There is no such order, or it is not yours.")
    return _with_etag(order)


@staff_blueprint.get("/orders")
@staff_blueprint.doc(operationId="adminListOrders")
@leads_to("adminGetOrder", order_id="/data/0/id")
@scoped(Scope.ORDERS_READ, of_tokens=BEFORE)
@staff_blueprint.arguments(OrdersQuery, location="query")
@staff_blueprint.response(200, StaffOrderPageSchema, example=STAFF_PAGE_EXAMPLE)
@staff_blueprint.alt_response(304, description="Not modified since the ETag in If-None-Match")
@staff_blueprint.problems(Invalid, InsufficientScope)
@compressed
def find_staff_orders(query: dict[str, Any]) -> Response:
    """Find orders

    Takes the scope `orders:read`. Everybody's orders that all filters let through, newest first, in keyset
    pages: pass next_cursor as cursor to go on, with the same filters. A page looks through 20,000 orders at most, so
    it may hold fewer than limit, even none, while has_more says that there may be others.
    """
    try:
        found = find_orders(_filters(query), limit=query["limit"], cursor=query["cursor"])
    except BadCursorError as error:
        raise _bad_cursor() from error
    return _page(found, "staff_orders.find_staff_orders", _address(query))


@staff_blueprint.get("/orders/<uuid:order_id>")
@staff_blueprint.doc(operationId="adminGetOrder")
@leads_to("createFulfilment", "cancelOrder", order_id="/id")
@leads_to("adminGetPayment", "createRefund", payment_id="/payment_id")
@scoped(Scope.ORDERS_READ, of_tokens=BEFORE)
@staff_blueprint.response(200, WholeStaffOrderSchema, example=STAFF_EXAMPLE)
@staff_blueprint.alt_response(304, description="Not modified since the ETag in If-None-Match")
@staff_blueprint.problems(NotFound, InsufficientScope)
@compressed
def read_staff_order(order_id: UUID) -> Response:
    """Read anybody's order

    Takes the scope `orders:read`. As its customer sees it, and whose it is, why it is on hold, what is short,
    how it was canceled, and all refunds of its payment.
    """
    order = order_of(order_id=order_id, user_id=None)
    if order is None:
        raise NotFound("There is no such order.")
    return _with_etag(order)


@staff_blueprint.get("/orders.csv")
@staff_blueprint.doc(operationId="adminExportOrders")
@scoped(Scope.ORDERS_READ, of_tokens=BEFORE)
@staff_blueprint.arguments(OrderFiltersQuery, location="query")
@staff_blueprint.response(
    200,
    {"type": "string"},
    content_type="text/csv",
    example="order_id,number,status,created_at,…\r\n",
    description="One row a line of an order, after a header row",
)
@staff_blueprint.problems(Invalid, InsufficientScope, ExportTooLarge, NoRoomForExport, TooManyAtOnce)
def export_orders(query: dict[str, Any]) -> Response:
    """Export orders as CSV

    Takes the scope `orders:read`. All lines of the orders that the filters let through, the newest order
    first: RFC 4180 in UTF-8, amounts as the API writes them, times in UTC. `order_refunds` has each refund of the
    order's payment, as amount, status and id, with commas between. A cell that a spreadsheet would take for a
    formula begins with an apostrophe, after a semicolon as well. The file is complete: its length is told before its
    first byte.
    """
    return csv_answer(csv_pages(_filters(query)), name="orders.csv", caller=caller().user_id)


def _filters(query: Mapping[str, Any]) -> OrderFilters:
    given = {name: query[name] for name in ("vendor", "since", "until", "number", "email")}
    status = None if query["status"] is None else OrderStatus(query["status"])
    return OrderFilters(status=status, customer=customer_in(query), **given)


def _address(query: Mapping[str, Any]) -> dict[str, Any]:
    """The query as a link repeats it."""
    moments = {name: None if query[name] is None else show_time(query[name]) for name in ("since", "until")}
    return {**query, **moments, "cursor": None}


def _page(found: OrderPage, endpoint: str, query: Mapping[str, Any]) -> Response:
    answer = _with_etag(
        {"data": found.orders, "next_cursor": found.next_cursor, "has_more": found.next_cursor is not None}
    )
    if found.next_cursor:
        following = url_for(endpoint, **{**query, "cursor": found.next_cursor})
        answer.headers["Link"] = f'<{following}>; rel="next"'
    return answer


def _with_etag(shown: Mapping[str, Any]) -> Response:
    answer = json_answer(shown, headers={"Cache-Control": "private, no-cache"})
    answer.add_etag(weak=True)
    answer.make_conditional(request)
    return answer


def _bad_cursor() -> Invalid:
    return Invalid(errors=[{"pointer": "/cursor", "detail": "Not a cursor of this list."}])
