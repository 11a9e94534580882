"""The shop's pages: what is on sale, and the cart. Every form is harmless when it is sent twice."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final
from uuid import UUID, uuid4

from flask import Response, current_app, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from checkout_service.api.callers import caller
from checkout_service.api.problems import Invalid, NotFound, Problem
from checkout_service.carts import operations
from checkout_service.carts.models import LARGEST_QTY
from checkout_service.carts.queries import read_cart
from checkout_service.catalog.queries import FIRST, listings_on_sale
from checkout_service.identity.guests import guest, remember_guest
from checkout_service.pages import forms
from checkout_service.pages.base import PageBlueprint
from checkout_service.pages.spans import SPAN, read_until, span_of
from checkout_service.payments.queries import payments_of

blueprint = PageBlueprint("shop", __name__)
blueprint.after_request(remember_guest)

PAGE: Final = 24
LONGEST_SEARCH: Final = 60


@blueprint.get("/")
@guest
def show_listings() -> str:
    """What is on sale, page by page, perhaps only what matches a search."""
    search = " ".join(request.args.get("q", "").split())[:LONGEST_SEARCH]
    after = _id(request.args.get("after"), otherwise=FIRST)
    found = listings_on_sale(search=search, after=after, limit=PAGE)
    cart = _cart()
    return shop_page(
        "shop/listings.html",
        listings=found.listings,
        looked_through=found.looked_through,
        search=search,
        first=url_for("shop.show_listings", q=search or None) if after != FIRST else None,
        following=url_for("shop.show_listings", q=search or None, after=found.following) if found.following else None,
        held={item["listing"]["id"]: item["qty"] for item in cart["items"]},
        pieces=_pieces(cart),
    )


@blueprint.get("/cart")
@guest
def show_cart() -> Response:
    """The cart, and the way to pay."""
    return cart_page()


@blueprint.post("/cart/items")
@guest
def put_into_cart() -> BaseResponse:
    """Set how many of a listing the cart holds, and go back to where the customer was."""
    forms.check(str(caller().user_id))
    listing_id = _id(request.form.get("listing"))
    try:
        operations.put_item(user_id=caller().user_id, listing_id=listing_id, qty=_qty())
    except Problem as problem:
        return cart_page(problem)
    search, after = (request.form.get(name) or None for name in ("q", "after"))
    return redirect(url_for("shop.show_listings", q=search, after=after, _anchor=f"listing-{listing_id}"), 303)


@blueprint.post("/cart/items/<uuid:item_id>")
@guest
def change_line(item_id: UUID) -> BaseResponse:
    """Set a line's quantity, or take the line out, and go back to the part of the cart that it is in."""
    forms.check(str(caller().user_id))
    try:
        if "remove" in request.form:
            _remove(item_id)
        else:
            operations.change_quantity(user_id=caller().user_id, item_id=item_id, qty=_qty())
    except Problem as problem:
        return cart_page(problem, faulty=str(item_id))
    return redirect(url_for("shop.show_cart", until=read_until(request.form.get("until"))), 303)


@blueprint.post("/cart/empty")
@guest
def empty_cart() -> BaseResponse:
    """Take every line out, for somebody who has paid and begins again."""
    forms.check(str(caller().user_id))
    operations.empty_cart(user_id=caller().user_id)
    return redirect(url_for("shop.show_listings"), 303)


@blueprint.get("/payments")
@guest
def show_payments() -> str:
    """The customer's payments, newest first."""
    cursor = request.args.get("cursor")
    try:
        found = payments_of(user_id=caller().user_id, limit=PAGE, cursor=cursor)
    except ValueError:
        raise NotFound("There is no such page of your payments.") from None
    return shop_page(
        "shop/payments.html",
        payments=found.payments,
        first=url_for("shop.show_payments") if cursor else None,
        following=url_for("shop.show_payments", cursor=found.next_cursor) if found.next_cursor else None,
    )


def cart_page(problem: Problem | None = None, *, key: str | None = None, faulty: str | None = None) -> Response:
    """The cart, with what is wrong if something is.

    ``key`` is the attempt to pay that goes on; without it the form begins a new one. ``faulty`` names a line. Of a
    long cart a part is shown: the one that the address names, the one with the faulty line, or the first.
    """
    cart = _cart()
    place = next((place for place, item in enumerate(cart["items"]) if item["id"] == faulty), 0)
    until = read_until(request.args.get("until") or request.form.get("until")) or (place // SPAN + 1) * SPAN
    newest = payments_of(user_id=caller().user_id, limit=1, cursor=None).payments
    content = shop_page(
        "shop/cart.html",
        cart=cart,
        shown=span_of(cart["items"], until=until),
        pieces=_pieces(cart),
        problem=problem,
        faulty=faulty,
        most=LARGEST_QTY,
        key=key or str(uuid4()),
        unfinished=next((payment for payment in newest if payment["status"] in {"pending", "processing"}), None),
    )
    answer = current_app.make_response(content)
    if problem:
        answer.status_code = problem.status
        answer.headers.update(problem.headers)
    return answer


def shop_page(template: str, **context: Any) -> str:
    """A page of the shop, with the token that its forms send."""
    return render_template(template, csrf=forms.token(str(caller().user_id)), **({"pieces": None} | context))


def _cart() -> dict[str, Any]:
    default_currency = current_app.extensions["settings"].default_currency
    return read_cart(user_id=caller().user_id, default_currency=default_currency)


def _pieces(cart: dict[str, Any]) -> int:
    return sum(item["qty"] for item in cart["items"])


def _remove(item_id: UUID) -> None:
    with suppress(NotFound):  # removed in another tab, or by the first of two clicks: it is as was asked for
        operations.remove_item(user_id=caller().user_id, item_id=item_id)


def _qty() -> int:
    text = request.form.get("qty", "")
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 1 <= int(text) <= LARGEST_QTY):
        raise Invalid(f"A quantity is a whole number from 1 to {LARGEST_QTY}.")
    return int(text)


def _id(text: str | None, otherwise: UUID | None = None) -> UUID:
    if text is None and otherwise is not None:
        return otherwise
    try:
        return UUID(text or "")
    except ValueError:
        raise NotFound from None
