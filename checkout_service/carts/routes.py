"""The cart over HTTP. Answers are made by hand from one statement's rows; the schemas describe them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response, current_app

from checkout_service.api.blueprints import Blueprint
from checkout_service.api.callers import caller
from checkout_service.api.problems import (
    CartFull,
    CurrencyMismatch,
    DatabaseUnavailable,
    Invalid,
    MalformedBody,
    NotFound,
    TotalTooLarge,
    Unauthorized,
)
from checkout_service.api.responses import json_answer
from checkout_service.carts import operations, queries
from checkout_service.carts.schemas import (
    EXAMPLE_CART,
    EXAMPLE_ITEM,
    CartItemSchema,
    CartSchema,
    CurrencySchema,
    NewItemSchema,
    QuantitySchema,
)

blueprint = Blueprint("carts", __name__, url_prefix="/api/cart", description="What the customer wants to buy.")


@blueprint.get("")
@blueprint.doc(operationId="getCart")
@blueprint.response(200, CartSchema, example=EXAMPLE_CART, description="The cart; empty and without id at first")
@blueprint.problems(Unauthorized, DatabaseUnavailable)
def get_cart() -> Response:
    """Read the cart

    A line whose listing was taken off sale stays in the cart and in its total, with `available` false. Where the
    lines are of several currencies, `total_amount` and `currency` are null. Neither kind of cart can be checked out.
    A listing's `available` is how many pieces this customer can get at this moment, what their own open session of
    this cart holds among them; null where stock is not tracked. A line may ask for more: checkout refuses it.
    """
    default_currency = current_app.extensions["settings"].default_currency
    return json_answer(queries.read_cart(user_id=caller().user_id, default_currency=default_currency))


@blueprint.patch("")
@blueprint.doc(operationId="setCartCurrency")
@blueprint.arguments(CurrencySchema, example={"currency": "EUR"})
@blueprint.response(200, CartSchema, example=EXAMPLE_CART, description="The cart, priced in this currency")
@blueprint.problems(MalformedBody, Unauthorized, Invalid, CurrencyMismatch, DatabaseUnavailable)
def set_currency(body: dict[str, Any]) -> Response:
    """Choose the cart's currency

    While the cart is empty, or where it is the cart's already. Its lines then cost what their listings cost in it.
    """
    who = caller()
    operations.set_currency(user_id=who.user_id, currency=body["currency"], subject=who.subject)
    default_currency = current_app.extensions["settings"].default_currency
    return json_answer(queries.read_cart(user_id=who.user_id, default_currency=default_currency))


@blueprint.delete("")
@blueprint.doc(operationId="emptyCart")
@blueprint.response(204, description="The cart is empty; it stays the same cart")
@blueprint.problems(Unauthorized, DatabaseUnavailable)
def empty_cart() -> Response:
    """Empty the cart

    Takes all lines out. Asking again changes nothing.
    """
    operations.empty_cart(user_id=caller().user_id)
    return Response(status=204)


@blueprint.post("/items")
@blueprint.doc(operationId="addCartItem")
@blueprint.arguments(NewItemSchema, example={"listing": EXAMPLE_ITEM["listing"]["id"], "qty": 2})
@blueprint.response(201, CartItemSchema, example=EXAMPLE_ITEM, description="A new line")
@blueprint.response(200, CartItemSchema, example=EXAMPLE_ITEM, description="The quantity of the line was set")
@blueprint.problems(
    MalformedBody, Unauthorized, NotFound, Invalid, CartFull, CurrencyMismatch, TotalTooLarge, DatabaseUnavailable
)
def put_item(body: dict[str, Any]) -> Response:
    """Set how many of a listing the cart holds

    A cart has one line for a listing: asking again sets its quantity and does not add to it, so a request may be
    repeated safely. A listing that is unknown or not on sale is not found. The first line sets the cart's currency to
    the listing's own, unless it was chosen before; any other needs a price in that, and costs it.
    """
    who = caller()
    item = operations.put_item(user_id=who.user_id, listing_id=body["listing"], qty=body["qty"], subject=who.subject)
    return json_answer(item.line, 201 if item.is_new else 200)


@blueprint.patch("/items/<uuid:item_id>")
@blueprint.doc(operationId="setCartItemQuantity")
@blueprint.arguments(QuantitySchema, example={"qty": 3})
@blueprint.response(200, CartItemSchema, example=EXAMPLE_ITEM, description="The quantity of the line was set")
@blueprint.problems(MalformedBody, Unauthorized, NotFound, Invalid, TotalTooLarge, DatabaseUnavailable)
def change_quantity(body: dict[str, Any], item_id: UUID) -> Response:
    """Set the quantity of a line

    To take a line out of the cart, delete it: a quantity is at least 1.
    """
    return json_answer(operations.change_quantity(user_id=caller().user_id, item_id=item_id, qty=body["qty"]))


@blueprint.delete("/items/<uuid:item_id>")
@blueprint.doc(operationId="removeCartItem")
@blueprint.response(204, description="The line is gone; the cart stays")
@blueprint.problems(Unauthorized, NotFound, DatabaseUnavailable)
def remove_item(item_id: UUID) -> Response:
    """Take a line out of the cart"""
    operations.remove_item(user_id=caller().user_id, item_id=item_id)
    return Response(status=204)
