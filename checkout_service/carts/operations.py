"""Writes of carts. Each is one complete statement, so it needs no transaction and two of them cannot mix."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid4

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    Text,
    Uuid,
    and_,
    bindparam,
    case,
    cast,
    delete,
    exists,
    false,
    func,
    literal_column,
    not_,
    null,
    or_,
    select,
    true,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from checkout_service.api.callers import Caller
from checkout_service.api.problems import CartFull, CurrencyMismatch, NotFound, TotalTooLarge
from checkout_service.carts.lines import PRICE, is_withdrawn, line_columns, price_in, show_line
from checkout_service.carts.models import MOST_LINES, Cart, CartItem, User
from checkout_service.catalog.models import Listing, ListingPrice, School, Spec, Vendor
from checkout_service.database.engine import Conflict, constraint_of, execute
from checkout_service.database.errors import DatabaseLockedError
from checkout_service.database.statements import Statement
from checkout_service.identity.cart_tokens import MERGED, InvalidCartToken
from checkout_service.identity.key_form import CART_TOKEN, hash_of, new_key
from checkout_service.identity.models import Guest
from checkout_service.money import LARGEST

CURRENCY_KEY: Final = "cart_items_currency_fkey"
"""A line has the currency of its cart."""

_NO_LISTING = "There is no such listing, or it is not on sale."
_NO_ITEM = "There is no such item in your cart."
_FULL = f"The cart holds {MOST_LINES} different items, as many as a cart may: remove one first."
_LINE_TOO_LARGE = f"The total of this line would be more than {LARGEST}, the largest amount of one payment: take fewer."


class PutItem(NamedTuple):
    """The line as GET shows it, and whether it is new."""

    line: dict[str, Any]
    is_new: bool


class NoCustomerError(RuntimeError):
    """The customer's row cannot be written: their subject stands in a row with another id."""


def put_item(*, caller: Caller, listing_id: UUID, qty: int) -> PutItem:
    """Set how many of a listing the customer wants.

    Opens the cart, and makes the customer's row, where this is the first write: the row keeps what the caller's id was
    computed of. The first line sets the cart's currency. Raises NotFound for a listing that is unknown or off sale,
    CurrencyMismatch, CartFull and TotalTooLarge; then nothing is written. A price in a currency that was withdrawn is
    off sale. Run twice, it leaves the same line, but says the second time that it is not new. Raises InvalidCartToken
    where the guest's cart became a customer's meanwhile: what would come into it would be lost.
    """
    issuer, text = caller.subject or (None, None)
    values = {"user": caller.user_id, "listing": listing_id, "qty": qty, "issuer": issuer, "subject": text}
    try:
        rows = _put(_PUT_ITEM_OF[_kind(caller)], values)
    except Conflict as error:
        # The listing was deleted while the statement ran.
        raise NotFound(_NO_LISTING) from error
    if not rows:
        raise NotFound(_NO_LISTING)
    is_admitted, fits, has_room, is_new, *line = rows[0]
    if not is_admitted:
        raise InvalidCartToken(MERGED)
    if fits is None:
        raise CurrencyMismatch
    if not fits:
        raise TotalTooLarge(_LINE_TOO_LARGE, errors=[{"pointer": "/qty", "detail": _LINE_TOO_LARGE}])
    if not has_room:
        raise CartFull(_FULL)
    return PutItem(line=show_line(line), is_new=is_new)


def open_guest_cart(*, currency: str | None, default_currency: str) -> dict[str, Any]:
    """A new guest with an empty cart, as GET shows one, and the ``cart_token`` that opens it, which is kept nowhere.

    ``currency`` is what the guest chose for it; None: the first line sets it.
    """
    token = new_key(CART_TOKEN)
    ((cart_id,),) = execute(_OPEN_GUEST_CART, {"guest": uuid4(), "hash": hash_of(token), "currency": currency})
    cart = {"id": cart_id, "items": [], "total_amount": "0.00", "currency": currency or default_currency}
    return cart | {"cart_token": token}


def change_quantity(*, user_id: UUID, item_id: UUID, qty: int) -> dict[str, Any]:
    """Set the quantity of the customer's own line and return it as GET shows it. Raises NotFound, TotalTooLarge.

    A line whose listing was taken off sale may still be changed; it stays marked as not available.
    """
    rows = execute(_CHANGE_QUANTITY, {"user": user_id, "item": item_id, "qty": qty})
    if not rows:
        raise NotFound(_NO_ITEM)
    fits, changed, *line = rows[0]
    if not fits:
        raise TotalTooLarge(_LINE_TOO_LARGE, errors=[{"pointer": "/qty", "detail": _LINE_TOO_LARGE}])
    if not changed:
        # Removed by another request while this one ran.
        raise NotFound(_NO_ITEM)
    return show_line(line)


def remove_item(*, user_id: UUID, item_id: UUID) -> None:
    """Take the customer's own line out of the cart; the cart stays. Raises NotFound.

    It raises it too if the connection broke after the deletion, since the statement is then run once more.
    """
    if not execute(_REMOVE_ITEM, {"user": user_id, "item": item_id}):
        raise NotFound(_NO_ITEM)


def empty_cart(*, user_id: UUID) -> None:
    """Take every line out of the customer's cart, if there is one; the cart stays. Run twice, it does the same.

    It takes the cart's lock first, as whoever writes more than one line does: so it waits for a payment that takes out
    what was bought, and neither holds a line that the other waits for.
    """
    execute(_EMPTY_CART, {"user": user_id})


def _kind(caller: Caller) -> str:
    return "by token" if caller.by_cart_token else "by cookie" if caller.is_guest else "customer"


def _put(statement: Statement, values: dict[str, Any]) -> Sequence[Any]:
    """Raises Conflict where it is about the listing, and NoCustomerError."""
    at_odds = False
    for _ in range(3):
        try:
            return execute(statement, values)
        except Conflict as error:
            if constraint_of(error) not in {"carts_user_id_fkey", CURRENCY_KEY}:
                raise
            # The row of the customer was there, and gone a moment later: they were being erased. So it is new now. Or
            # another first line, or the customer, set the currency a moment ago: now it is seen.
            at_odds = constraint_of(error) == CURRENCY_KEY
    if at_odds:
        raise DatabaseLockedError
    raise NoCustomerError("PAYMENT_NAMESPACE is another than when this customer's row was written; see checkout doctor")


_user = bindparam("user", type_=Uuid())
_item = bindparam("item", type_=Uuid())
_qty = cast(bindparam("qty", type_=Integer()), Integer)


def _fitting(price: ColumnElement[Any]) -> ColumnElement[bool]:
    return price * _qty <= LARGEST


def _put_item(kind: str) -> Any:
    # A merge changes this row: either it waits for this write and takes it along, or this finds a customer's.
    guest = (
        select(Guest.id).where(Guest.id == _user, Guest.customer_id.is_(None)).with_for_update(read=True).cte("guest")
    )
    is_admitted = exists(select(guest.c.id)) if kind == "by token" else true()
    mine = select(CartItem.listing_id).join(Cart, Cart.id == CartItem.cart_id).where(Cart.user_id == _user)
    # Two writes at once may both find room for the last line. One line more does no harm.
    has_room = or_(
        exists(mine.where(CartItem.listing_id == Listing.id)),
        select(func.count()).select_from(mine.correlate(None).subquery()).scalar_subquery() < MOST_LINES,
    )
    # Lines of the release before have no currency: then it is that of their listings.
    of_lines = (
        select(func.min(func.coalesce(CartItem.currency, Listing.currency)))
        .join(Listing, Listing.id == CartItem.listing_id)
        .where(CartItem.cart_id == Cart.id)
        .scalar_subquery()
    )
    # An empty cart's gives way where nothing is sold in it any more.
    sold_in = case((is_withdrawn(Cart.currency), null()), else_=Cart.currency)
    known = (
        select(
            Cart.id,
            Cart.currency,
            func.coalesce(sold_in, of_lines).label("priced_in"),
            or_(and_(Cart.currency_chosen, sold_in.is_not(None)), of_lines.is_not(None)).label("is_fixed"),
        )
        .where(Cart.user_id == _user)
        .cte("known")
    )
    offered = or_(known.c.priced_in == Listing.currency, exists(_listed(known.c.priced_in)))
    keeps = and_(known.c.priced_in.is_not(None), or_(known.c.is_fixed, offered))
    chosen = (
        select(Listing.id, case((keeps, known.c.priced_in), else_=Listing.currency).label("currency"))
        .select_from(Listing)
        .outerjoin(known, true())
        .where(Listing.id == bindparam("listing", type_=Uuid()), Listing.active)
        .cte("chosen")
    )
    price = case(
        (chosen.c.currency == Listing.currency, Listing.unit_price),
        else_=_listed(chosen.c.currency).scalar_subquery(),
    )
    offer = (
        select(
            Listing.id,
            chosen.c.currency,
            price.label("price"),
            has_room.label("has_room"),
            is_admitted.label("is_admitted"),
        )
        .join(chosen, chosen.c.id == Listing.id)
        # Without a price in the cart's currency it is at odds with the cart, whatever that currency is.
        .where(or_(not_(is_withdrawn(chosen.c.currency)), price.is_(None)))
        .cte("offer")
    )
    fits = _fitting(offer.c.price)
    listing = select(
        offer,
        fits.label("fits"),
        and_(offer.c.is_admitted, func.coalesce(fits, false()), offer.c.has_room).label("may_enter"),
    ).cte("listing")
    # Nearly always the cart exists, and neither row below is written.
    first_write = select(_user).select_from(listing).where(listing.c.may_enter, ~exists(select(known.c.id)))
    named = first_write.add_columns(*(cast(bindparam(name, type_=Text()), Text) for name in ("issuer", "subject")))
    customer = insert(User).from_select(["id", "issuer", "subject"], named).on_conflict_do_nothing().cte("customer")
    opened = (
        insert(Cart)
        .from_select(["user_id", "currency"], first_write.add_columns(listing.c.currency))
        # A concurrent retry opened it a moment ago: only an update gives back a row that this statement cannot see yet.
        .on_conflict_do_update(index_elements=[Cart.user_id], set_={"updated_at": func.now()})
        .returning(Cart.id)
        .cte("opened")
    )
    # The first line sets the currency, unless another one does at this moment: then the key of the line refuses it.
    priced = (
        update(Cart)
        .where(
            Cart.id == known.c.id,
            listing.c.may_enter,
            Cart.currency.is_not_distinct_from(known.c.currency),
            Cart.currency.is_distinct_from(listing.c.currency),
        )
        .values(currency=listing.c.currency, updated_at=func.now())
        .returning(Cart.id)
        .cte("priced")
    )
    cart = union_all(
        select(known.c.id).select_from(known.outerjoin(priced, priced.c.id == known.c.id)), select(opened.c.id)
    ).cte("cart")
    line = insert(CartItem).from_select(
        ["cart_id", "listing_id", "qty", "currency"],
        select(cart.c.id, listing.c.id, _qty, listing.c.currency).select_from(cart.join(listing, listing.c.may_enter)),
    )
    line = line.on_conflict_do_update(
        index_elements=[CartItem.cart_id, CartItem.listing_id],
        set_={"qty": line.excluded.qty, "currency": line.excluded.currency, "updated_at": func.now()},
    )
    item = line.returning(CartItem.id, literal_column("old.id IS NULL").label("is_new")).cte("item")
    shown = (
        select(
            listing.c.is_admitted,
            listing.c.fits,
            listing.c.has_room,
            item.c.is_new,
            *line_columns(item.c.id, _qty, listing.c.currency),
        )
        .select_from(listing)
        .join(Listing, Listing.id == listing.c.id)
        .outerjoin(ListingPrice, price_in(listing.c.currency))
        .join(Vendor, Vendor.id == Listing.vendor_id)
        .outerjoin(School, School.id == Listing.school_id)
        .outerjoin(Spec, Spec.id == Listing.spec_id)
        .outerjoin(item, true())
        .add_cte(customer, priced)
    )
    if kind != "by cookie":
        return shown
    # Of guests with a cookie nothing is there before this, and they are never merged. When the browser was given the
    # cookie is not known: it is given again at the next page.
    given = first_write.add_columns(func.now() - literal_column("interval '1 day'"))
    return shown.add_cte(
        insert(Guest).from_select(["id", "last_used_at"], given).on_conflict_do_nothing().cte("cookie")
    )


def _listed(currency: ColumnElement[Any]) -> Select[Decimal]:
    """What the statement's listing costs in another currency than its own."""
    return (
        select(ListingPrice.unit_price)
        .where(ListingPrice.listing_id == Listing.id, ListingPrice.currency == currency)
        .correlate_except(ListingPrice)
    )


def _change_quantity() -> Any:
    mine = (
        select(CartItem.id, CartItem.listing_id, CartItem.currency, _fitting(PRICE).label("fits"))
        .join(Cart, Cart.id == CartItem.cart_id)
        .join(Listing, Listing.id == CartItem.listing_id)
        .outerjoin(ListingPrice, price_in(CartItem.currency))
        .where(CartItem.id == _item, Cart.user_id == _user)
        .cte("mine")
    )
    changed = (
        update(CartItem)
        .where(CartItem.id == mine.c.id, mine.c.fits)
        .values(qty=_qty, updated_at=func.now())
        .returning(CartItem.id)
        .cte("changed")
    )
    return (
        select(mine.c.fits, changed.c.id.is_not(None), *line_columns(mine.c.id, _qty, mine.c.currency))
        .select_from(mine)
        .join(Listing, Listing.id == mine.c.listing_id)
        .outerjoin(ListingPrice, price_in(mine.c.currency))
        .join(Vendor, Vendor.id == Listing.vendor_id)
        .outerjoin(School, School.id == Listing.school_id)
        .outerjoin(Spec, Spec.id == Listing.spec_id)
        .outerjoin(changed, true())
    )


_PUT_ITEM = Statement(_put_item("customer"))
_PUT_ITEM_OF: Final = {
    "customer": _PUT_ITEM,
    "by cookie": Statement(_put_item("by cookie")),
    "by token": Statement(_put_item("by token")),
}

# One that was made a moment ago, by a run whose answer was lost, is found again.
_OPEN_GUEST_CART = Statement("""
    WITH customer AS (
        INSERT INTO users (id) VALUES (:guest) ON CONFLICT DO NOTHING
    ), guest AS (
        INSERT INTO guests (id, token_hash) VALUES (:guest, :hash) ON CONFLICT DO NOTHING
    )
    INSERT INTO carts (user_id, currency, currency_chosen)
    VALUES (:guest, CAST(:currency AS char(3)), CAST(:currency AS char(3)) IS NOT NULL)
    ON CONFLICT (user_id) DO UPDATE SET updated_at = now()
    RETURNING id::text
""")
_CHANGE_QUANTITY = Statement(_change_quantity())
_REMOVE_ITEM = Statement(
    delete(CartItem)
    .where(CartItem.id == _item, CartItem.cart_id == Cart.id, Cart.user_id == _user)
    .returning(CartItem.id)
)
_EMPTY_CART = Statement("""
    WITH cart AS (SELECT id FROM carts WHERE user_id = :user FOR NO KEY UPDATE)
    DELETE FROM cart_items AS item USING cart WHERE item.cart_id = cart.id
""")
