"""The cart's page: its lines, what is short of them, and the way to pay or what has to be changed before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from uuid import uuid4

from flask import Response, current_app, render_template, request

from checkout_service.api.callers import caller
from checkout_service.api.problems import CartChanged, OutOfStock, Problem, TotalChanged
from checkout_service.carts.models import LARGEST_QTY
from checkout_service.carts.queries import read_cart
from checkout_service.pages import forms
from checkout_service.pages.spans import SPAN, read_until, span_of
from checkout_service.payments.queries import payments_of

LOOKED_AT: Final = 5
"""So many of the customer's newest payments are looked at for one that is not finished."""

_DETAILS: Final = {
    OutOfStock.slug: "There are fewer pieces than your cart asks for: the lines are marked below.",
    TotalChanged.slug: "A price or your cart is not what it was when you saw it: look at the total before you pay.",
    CartChanged.slug: "It was paid or changed in another window meanwhile: this is how it is now.",
}
"""Where the problem's own words are for programs."""


class Mend(NamedTuple):
    """A line that cannot be paid as it is: ``left`` is what can be had of it, 0 where it has to go."""

    item_id: str
    title: str
    qty: int
    left: int


class Mended(NamedTuple):
    """How many lines were lowered to what there is, and how many were taken out."""

    lowered: int
    removed: int

    @property
    def words(self) -> str:
        """A sentence, or nothing where nothing was changed."""
        parts = [
            f"{count} {'line was' if count == 1 else 'lines were'} {what}"
            for count, what in ((self.lowered, "lowered to what is left"), (self.removed, "removed"))
            if count
        ]
        return f"{', and '.join(parts)}." if parts else ""


def cart_page(problem: Problem | None = None, *, key: str | None = None, faulty: str | None = None) -> Response:
    """The cart, with what is wrong if something is.

    ``key`` is the attempt to pay that goes on; without it the form begins a new one. ``faulty`` names a line. Of a
    long cart a part is shown: the one that the address names, the one with the faulty line, or the first.
    """
    cart = cart_of_customer()
    short = shortages(cart, problem)
    place = next((place for place, item in enumerate(cart["items"]) if item["id"] == faulty), 0)
    until = read_until(request.args.get("until") or request.form.get("until")) or _part_of(place)
    content = shop_page(
        "shop/cart.html",
        cart=cart,
        shown=span_of(cart["items"], until=until),
        pieces=pieces_of(cart),
        problem=problem,
        detail=_DETAILS.get(problem.slug, problem.detail) if problem else None,
        faulty=faulty,
        short=short,
        mends=mends(cart, short),
        mended=_mended(),
        most=LARGEST_QTY,
        most_lines=SPAN,
        key=key or str(uuid4()),
        unfinished=_unfinished(),
    )
    answer = current_app.make_response(content)
    if problem:
        answer.status_code = problem.status
        answer.headers.update(problem.headers)
    return answer


def shop_page(template: str, **context: Any) -> str:
    """A page of the shop, with the token that its forms send."""
    return render_template(template, csrf=forms.token(str(caller().user_id)), **({"pieces": None} | context))


def cart_of_customer() -> dict[str, Any]:
    """The cart as the API shows it."""
    default_currency = current_app.extensions["settings"].default_currency
    return read_cart(user_id=caller().user_id, default_currency=default_currency)


def pieces_of(cart: Mapping[str, Any]) -> int:
    """How many pieces the cart holds."""
    return sum(item["qty"] for item in cart["items"])


def shortages(cart: Mapping[str, Any], problem: Problem | None = None) -> dict[str, int]:
    """By the id of each line that asks for more than there is, how many there are.

    What the problem says counts too: it is what checkout met, though the cart was read after it.
    """
    lines = problem.members.get("lines", ()) if problem and problem.slug == OutOfStock.slug else ()
    met = {str(line["listing"]): line["available"] for line in lines}
    found: dict[str, int] = {}
    for item in cart["items"]:
        listing = item["listing"]
        counts = [count for count in (listing["available"], met.get(listing["id"])) if count is not None]
        if counts and item["qty"] > min(counts):
            found[item["id"]] = min(counts)
    return found


def mends(cart: Mapping[str, Any], short: Mapping[str, int]) -> list[Mend]:
    """What the button does in place of checking out, where the cart cannot be paid as it is."""
    return [
        Mend(item["id"], item["listing"]["title"], item["qty"], short.get(item["id"], 0) if item["available"] else 0)
        for item in cart["items"]
        if not item["available"] or item["id"] in short
    ]


def _mended() -> str:
    """What the button did, where the address tells that it was just pressed."""
    lowered, removed = (read_until(request.args.get(name)) or 0 for name in Mended._fields)
    return Mended(lowered, removed).words


def _part_of(place: int) -> int:
    """Where the part of the cart ends that this line is in."""
    return (place // SPAN + 1) * SPAN


def _unfinished() -> dict[str, Any] | None:
    """The customer's newest payment that may bring money yet."""
    newest = payments_of(user_id=caller().user_id, limit=LOOKED_AT, cursor=None).payments
    return next((payment for payment in newest if payment["status"] in {"pending", "processing"}), None)
