"""The shop's pages: what is on sale, and the cart. Every form is harmless when it is sent twice."""

from __future__ import annotations

from contextlib import suppress
from typing import Final
from uuid import UUID

from flask import Response, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from checkout_service.api.callers import caller
from checkout_service.api.compressing import compressed
from checkout_service.api.problems import Invalid, NotFound, Problem
from checkout_service.carts import operations
from checkout_service.carts.models import LARGEST_QTY
from checkout_service.catalog.filters import LONGEST_SEARCH, SHORTEST_SEARCH, ListingFilters
from checkout_service.catalog.queries import listings_by_id
from checkout_service.catalog.searching import ListingPage, find_listings
from checkout_service.cursors import BadCursorError
from checkout_service.identity.guests import guest, remember_guest
from checkout_service.pages import forms
from checkout_service.pages.base import PageBlueprint
from checkout_service.pages.cart_page import (
    Mended,
    cart_of_customer,
    cart_page,
    mends,
    pieces_of,
    shop_page,
    shortages,
)
from checkout_service.pages.spans import SPAN, read_until
from checkout_service.payments.queries import payments_of
from checkout_service.spellings import parse_id

blueprint = PageBlueprint("shop", __name__)
blueprint.after_request(remember_guest)

PAGE: Final = 24

FEW: Final = 5
"""Pieces of a listing of which the shelf says that only so many are left."""


@blueprint.get("/")
@guest
def show_listings() -> str:
    """What is on sale, page by page, perhaps only what matches a search."""
    search = " ".join(request.args.get("q", "").split())[:LONGEST_SEARCH]
    after = request.args.get("after") or None
    found, cart = _found(search, after), cart_of_customer()
    following = url_for("shop.show_listings", q=search or None, after=found.next_cursor) if found.next_cursor else None
    return shop_page(
        "shop/listings.html",
        listings=found.listings,
        search=search,
        too_short=0 < len(search) < SHORTEST_SEARCH,
        longest=LONGEST_SEARCH,
        first=url_for("shop.show_listings", q=search or None) if after else None,
        following=following,
        held={item["listing"]["id"]: item for item in cart["items"]},
        few=FEW,
        pieces=pieces_of(cart),
    )


@blueprint.get("/listings/<uuid:listing_id>")
@guest
def show_listing(listing_id: UUID) -> str:
    """One listing, with its images and all that is to be read of it."""
    found = listings_by_id([listing_id])
    if not found:
        raise NotFound("There is no such listing, or it is not on sale.")
    cart = cart_of_customer()
    line = next((item for item in cart["items"] if item["listing"]["id"] == str(listing_id)), None)
    return shop_page("shop/listing.html", listing=found[0], line=line, few=FEW, pieces=pieces_of(cart))


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
        operations.put_item(caller=caller(), listing_id=listing_id, qty=_qty())
    except Problem as problem:
        return cart_page(problem)
    if "alone" in request.form:
        return redirect(url_for("shop.show_listing", listing_id=listing_id), 303)
    search, after = (request.form.get(name) or None for name in ("q", "after"))
    return redirect(url_for("shop.show_listings", q=search, after=after, _anchor=f"listing-{listing_id}"), 303)


@blueprint.post("/cart/items/<uuid:item_id>")
@guest
def change_line(item_id: UUID) -> BaseResponse:
    """Set a line's quantity, or take the line out, and go back to the line.

    The buttons beside the quantity count from what the form shows, so that a form that is sent twice does it once.
    """
    forms.check(str(caller().user_id))
    try:
        if "remove" in request.form:
            _remove(item_id)
        else:
            operations.change_quantity(user_id=caller().user_id, item_id=item_id, qty=_changed_qty())
    except Problem as problem:
        return cart_page(problem, faulty=str(item_id))
    until, anchor = read_until(request.form.get("until")), f"item-{item_id}"
    return redirect(url_for("shop.show_cart", until=until, _anchor=None if "remove" in request.form else anchor), 303)


@blueprint.post("/cart/mend")
@guest
def mend_cart() -> BaseResponse:
    """Lower what is short to what is left, and take out what cannot be had, so that the rest can be paid.

    By what is true when it comes, some lines at a time. Sent twice it does it once.
    """
    forms.check(str(caller().user_id))
    cart = cart_of_customer()
    faults = mends(cart, shortages(cart))[:SPAN]
    for fault in faults:
        if fault.left == 0:
            _remove(UUID(fault.item_id))
            continue
        with suppress(NotFound):
            operations.change_quantity(user_id=caller().user_id, item_id=UUID(fault.item_id), qty=fault.left)
    removed = sum(fault.left == 0 for fault in faults)
    done = Mended(lowered=len(faults) - removed, removed=removed)._asdict()
    return redirect(url_for("shop.show_cart", **{name: count for name, count in done.items() if count}), 303)


@blueprint.post("/cart/empty")
@guest
def empty_cart() -> BaseResponse:
    """Take every line out."""
    forms.check(str(caller().user_id))
    operations.empty_cart(user_id=caller().user_id)
    return redirect(url_for("shop.show_listings"), 303)


@blueprint.get("/payments")
@guest
@compressed
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


def _found(search: str, after: str | None) -> ListingPage:
    if 0 < len(search) < SHORTEST_SEARCH:
        return ListingPage(listings=[], next_cursor=None)
    try:
        return find_listings(ListingFilters(q=search or None), limit=PAGE, cursor=after)
    except BadCursorError:
        raise NotFound("There is no such page of what is on sale.") from None


def _remove(item_id: UUID) -> None:
    with suppress(NotFound):  # removed in another tab, or by the first of two clicks: it is as was asked for
        operations.remove_item(user_id=caller().user_id, item_id=item_id)


def _changed_qty() -> int:
    step = {"1": 1, "-1": -1}.get(request.form.get("step", ""), 0)
    if "set" in request.form:
        return _qty("set")
    return min(max(_qty() + step, 1), LARGEST_QTY)


def _qty(field: str = "qty") -> int:
    text = request.form.get(field, "")
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 1 <= int(text) <= LARGEST_QTY):
        raise Invalid(f"A quantity is a whole number from 1 to {LARGEST_QTY}.")
    return int(text)


def _id(text: str | None) -> UUID:
    try:
        return parse_id(text or "")
    except ValueError:
        raise NotFound from None
