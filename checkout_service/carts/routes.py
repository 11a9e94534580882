"""The cart over HTTP. Answers are made by hand from one statement's rows; the schemas describe them."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from flask import Response, current_app, request

from checkout_service.api.addresses import address_hash
from checkout_service.api.blueprints import Blueprint
from checkout_service.api.callers import caller, cart_token_beside, guests_too, public
from checkout_service.api.compressing import compressed
from checkout_service.api.links import leads_to
from checkout_service.api.problems import (
    CartFull,
    CurrencyMismatch,
    DatabaseUnavailable,
    Invalid,
    MalformedBody,
    NotFound,
    Problem,
    RateLimited,
    TotalTooLarge,
    Unauthorized,
)
from checkout_service.api.responses import LOCATED, json_answer
from checkout_service.carts import currency, merging, operations, queries
from checkout_service.carts.merging import GuestOfAnother
from checkout_service.carts.schemas import (
    EXAMPLE_CART,
    EXAMPLE_GUEST_CART,
    EXAMPLE_ITEM,
    EXAMPLE_MERGED_CART,
    CartItemSchema,
    CartSchema,
    CurrencySchema,
    GuestCartSchema,
    MergedCartSchema,
    MergeSchema,
    NewCartSchema,
    NewItemSchema,
    QuantitySchema,
)
from checkout_service.identity.cart_tokens import InvalidCartToken, sent_cart_token
from checkout_service.rates.counts import Rate
from checkout_service.rates.limits import hold_to
from checkout_service.settings.values import WebSettings

blueprint = Blueprint(
    "carts", __name__, url_prefix="/api/cart", tag="Cart", description="What the customer is about to buy."
)

MERGES_A_DAY: Final = 50
"""Of one customer. Each links a guest, and each list of the customer's looks through all of those."""

guest_blueprint = Blueprint("guest_carts", __name__, url_prefix="/api/carts", description="Carts before log-in.")


class CustomerHasCart(Problem):
    """Whoever sends an Authorization header needs no token for a cart."""

    status = 409
    slug = "customer-has-cart"
    title = "A customer has a cart"
    default_detail = "A customer has one cart without asking for it, at /api/cart: send no Authorization for a guest's."


@guest_blueprint.post("")
@guest_blueprint.doc(operationId="createGuestCart")
@leads_to("openCheckoutSession", body={"cart_id": "/id"})
@guest_blueprint.arguments(NewCartSchema)
@guest_blueprint.response(
    201, GuestCartSchema, example=EXAMPLE_GUEST_CART, description="The cart, and its token", headers=LOCATED
)
@guest_blueprint.problems(CustomerHasCart, RateLimited, DatabaseUnavailable)
@public
def create_guest_cart(body: dict[str, Any]) -> Response:
    """Make a cart for a guest

    For whoever has not signed in: the answer's `cart_token` is a secret that opens this cart, and the payments and
    orders that come of it, in the header `Cart-Token` in place of Authorization. It ends some time after its last use,
    30 days where the deployment says nothing else. Whoever loses it loses the cart. With an Authorization header this
    is a 409.
    """
    sent_cart_token()
    if "HTTP_AUTHORIZATION" in request.environ:
        raise CustomerHasCart
    settings: WebSettings = current_app.extensions["settings"]
    if (address := address_hash(request.environ)) is not None:
        # Whoever asks for them is somebody new each time, and each leaves a row for some weeks.
        hold_to(Rate("guest-carts", f"guest-carts:{address.hex()}", settings.guest_carts_per_address_per_minute, 60))
    cart = operations.open_guest_cart(currency=body.get("currency"), default_currency=settings.default_currency)
    return json_answer(cart, 201, headers={"Cache-Control": "no-store", "Location": "/api/cart"})


@blueprint.get("")
@blueprint.doc(operationId="getCart")
@leads_to("openCheckoutSession", body={"cart_id": "/id"})
@leads_to("setCartItemQuantity", "removeCartItem", item_id="/items/0/id")
@guests_too()
@blueprint.response(200, CartSchema, example=EXAMPLE_CART, description="The cart; empty and without id at first")
@blueprint.problems(Unauthorized, DatabaseUnavailable)
@compressed
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
@leads_to("openCheckoutSession", body={"cart_id": "/id"})
@guests_too()
@blueprint.arguments(CurrencySchema, example={"currency": "EUR"})
@blueprint.response(200, CartSchema, example=EXAMPLE_CART, description="The cart, priced in this currency")
@blueprint.problems(MalformedBody, Unauthorized, Invalid, CurrencyMismatch, DatabaseUnavailable)
def set_currency(body: dict[str, Any]) -> Response:
    """Choose the cart's currency

    While the cart is empty, or where it is the cart's already. Its lines then cost what their listings cost in it.
    """
    currency.set_currency(caller=caller(), currency=body["currency"])
    default_currency = current_app.extensions["settings"].default_currency
    return json_answer(queries.read_cart(user_id=caller().user_id, default_currency=default_currency))


@blueprint.delete("")
@blueprint.doc(operationId="emptyCart")
@guests_too()
@blueprint.response(204, description="The cart is empty; it stays the same cart")
@blueprint.problems(Unauthorized, DatabaseUnavailable)
def empty_cart() -> Response:
    """Empty the cart

    Takes all lines out. Asking again changes nothing.
    """
    operations.empty_cart(user_id=caller().user_id)
    return Response(status=204)


@blueprint.post("/merge")
@blueprint.doc(operationId="mergeGuestCart")
@leads_to("openCheckoutSession", body={"cart_id": "/id"})
@leads_to("setCartItemQuantity", "removeCartItem", item_id="/items/0/id")
@cart_token_beside
@blueprint.arguments(MergeSchema)
@blueprint.response(200, MergedCartSchema, example=EXAMPLE_MERGED_CART, description="The customer's cart")
@blueprint.problems(
    MalformedBody,
    Unauthorized,
    InvalidCartToken,
    GuestOfAnother,
    CurrencyMismatch,
    Invalid,
    RateLimited,
    DatabaseUnavailable,
)
def merge_guest_cart(body: dict[str, Any]) -> Response:
    """Take a guest's cart over after log-in

    With the customer's token. The guest is the customer's from then on: the customer sees the guest's payments and
    orders among their own. The Cart-Token opens no cart any more; until it ends it reads what its guest paid for and
    bought. Sessions of the guest's cart that nobody has begun to pay are canceled; what somebody has begun to pay goes
    on, and leaves the customer's cart when it is paid. Sent again, it changes nothing, and answers with the cart as it
    is. Quantities stay within the bounds of a cart: `capped` says which did not fit.
    """
    settings: WebSettings = current_app.extensions["settings"]
    hold_to(Rate("merges", f"merges:{caller().user_id}", MERGES_A_DAY, 86_400))
    capped = merging.merge_guest_cart(
        customer=caller(), cart_token=body["cart_token"], how=body["how"], lasts=settings.cart_tokens_last
    )
    cart = queries.read_cart(user_id=caller().user_id, default_currency=settings.default_currency)
    return json_answer(cart | {"capped": capped}, headers={"Cache-Control": "no-store"})


@blueprint.post("/items")
@blueprint.doc(operationId="addCartItem")
@leads_to("setCartItemQuantity", "removeCartItem", item_id="/id")
@guests_too()
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
    item = operations.put_item(caller=caller(), listing_id=body["listing"], qty=body["qty"])
    return json_answer(item.line, 201 if item.is_new else 200)


@blueprint.patch("/items/<uuid:item_id>")
@blueprint.doc(operationId="setCartItemQuantity")
@leads_to("removeCartItem", item_id="{item_id}")
@guests_too()
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
@guests_too()
@blueprint.response(204, description="The line is gone; the cart stays")
@blueprint.problems(Unauthorized, NotFound, DatabaseUnavailable)
def remove_item(item_id: UUID) -> Response:
    """Take a line out of the cart

    The cart stays, empty or not. A line that is not in it is 404.
    """
    operations.remove_item(user_id=caller().user_id, item_id=item_id)
    return Response(status=204)
