"""What is known before the provider is asked, and what is held by then: one statement."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask

from checkout_service.checkout.beginning import Begun, begin
from checkout_service.checkout.bounds import Bounds
from checkout_service.checkout.request import Order
from checkout_service.stock.operations import HELD, ShortLine
from tests.conftest import Customer, MakeListing, Sql, Statements
from tests.purchases import fill_cart, opened
from tests.stock.holding import assert_stock_adds_up, counter_of, holds_of


def bounds(customer: Customer, **changes: Any) -> Bounds:
    given = {"sessions_of_caller": 20, "sessions_of_address": 0, "pieces_of_caller": 0, "pieces_of_address": 0}
    return Bounds(caller=str(customer.id), is_guest=False, address=None, **given | changes)


class Begin:
    """Begins for a customer's order as ``open_session`` does."""

    def __init__(self, app: Flask, customer: Customer) -> None:
        self.app = app
        self.customer = customer

    def __call__(
        self,
        cart_id: str | UUID,
        *,
        may_hold: bool = True,
        key: str = "new",
        bounds_of: Bounds | None = None,
        **order: Any,
    ) -> tuple[UUID, Begun]:
        payment_id = uuid4()
        order_of = Order(
            user_id=self.customer.id,
            key=key,
            cart_id=UUID(str(cart_id)),
            provider=None,
            expected_total=order.get("expected_total"),
            bounds=bounds_of or bounds(self.customer),
        )
        with self.app.app_context():
            return payment_id, begin(order_of, payment_id=payment_id, may_hold=may_hold)


@pytest.fixture
def begun_by(app: Flask, customer: Customer) -> Begin:
    return Begin(app, customer)


def test_a_cart_is_read_whole_and_held_in_one_statement(
    begun_by: Begin, customer: Customer, make_listing: MakeListing, statements: Statements, sql: Sql
) -> None:
    book = make_listing(unit_price="33.33", title="Atlas", stock=9)
    pen = make_listing(unit_price="0.50", title="Pen", school_id=None, spec_id=None, stock=None)
    cart_id = fill_cart(customer, (book, 3), (pen, 2))

    with statements() as seen:
        payment_id, begun = begun_by(cart_id)

    assert len(seen) == 1
    assert (begun.given, begun.full_for, begun.held) == (None, None, HELD)
    assert holds_of(sql, payment_id) == {book["id"]: (3, 3)}
    cart = begun.cart
    assert cart is not None
    assert (cart.id, cart.generation, cart.has_sessions, cart.holds_some) == (UUID(cart_id), 0, False, False)
    first, second = cart.lines
    assert (first.listing_id, first.title, first.qty) == (book["id"], "Atlas", 3)
    assert (first.unit_price, first.line_total, first.currency) == (Decimal("33.33"), Decimal("99.99"), "USD")
    assert (first.vendor, first.school, first.spec) == ("Harbour Books", "Northgate School", "Hardcover")
    assert (second.school, second.spec) == (None, None)
    assert (first.available, second.available) == (True, True)
    assert (first.unreserved_pieces, second.unreserved_pieces) == (9, None)
    assert first.item_id < second.item_id
    assert (cart.total_amount, cart.currency) == (Decimal("100.99"), "USD")
    assert first.as_json() == {
        "listing_id": str(book["id"]),
        "title": "Atlas",
        "unit_price": "33.33",
        "currency": "USD",
        "qty": 3,
        "line_total": "99.99",
        "vendor_id": str(book["vendor_id"]),
        "vendor": "Harbour Books",
        "school": "Northgate School",
        "spec": "Hardcover",
    }


def test_lines_are_in_the_order_of_their_listings(
    begun_by: Begin, customer: Customer, make_listing: MakeListing
) -> None:
    listings = [make_listing(stock=9) for _ in range(5)]

    _, begun = begun_by(fill_cart(customer, *[(listing, 1) for listing in reversed(listings)]))

    assert begun.cart is not None
    assert [line.listing_id for line in begun.cart.lines] == sorted(listing["id"] for listing in listings)
    assert begun.held == HELD


def test_a_cart_that_is_anothers_or_unknown_is_not_found(
    begun_by: Begin, app: Flask, customer: Customer, other_customer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    cart_id = fill_cart(customer, (make_listing(stock=9), 1))

    assert Begin(app, other_customer)(cart_id)[1] == Begun(None, None, None, None)
    assert begun_by(uuid4())[1] == Begun(None, None, None, None)
    assert sql("SELECT FROM holds") == []


def test_an_emptied_cart_is_empty(begun_by: Begin, customer: Customer, make_listing: MakeListing) -> None:
    cart_id = fill_cart(customer, (make_listing(stock=9), 1))
    customer.delete("/api/cart")

    cart, held = begun_by(cart_id)[1][2:]

    assert cart is not None
    assert cart.lines == ()
    assert cart.total_amount == 0
    assert held is None


def test_a_key_that_was_answered_gets_its_answer_and_holds_nothing(
    begun_by: Begin, customer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    listing = make_listing(stock=9)
    cart_id = fill_cart(customer, (listing, 1))
    session = opened(customer, cart_id, "old")

    payment_id, begun = begun_by(cart_id, key="old", bounds_of=bounds(customer, sessions_of_caller=1))

    assert begun.given is not None
    assert begun.given.answer == {name: value for name, value in session.items() if name != "next_action"}
    assert begun[1:] == (None, None, None)
    assert holds_of(sql, payment_id) == {}


@pytest.mark.parametrize(
    ("change", "order"),
    [
        ("UPDATE listings SET active = false WHERE title = 'Pen'", {}),
        ("UPDATE listings SET currency = 'EUR' WHERE title = 'Pen'", {}),
        ("UPDATE listings SET stock = 1 WHERE title = 'Pen'", {}),
        ("UPDATE listings SET unit_price = 9999999999.99 WHERE title = 'Pen'", {}),
        ("UPDATE listings SET stock = NULL", {}),
        (None, {"expected_total": Decimal("7.00")}),
        (None, {"may_hold": False}),
    ],
    ids=str,
)
def test_a_cart_that_is_refused_holds_nothing_not_even_for_a_moment(
    begun_by: Begin,
    customer: Customer,
    make_listing: MakeListing,
    sql: Sql,
    change: str | None,
    order: dict[str, Any],
) -> None:
    cart_id = fill_cart(customer, (make_listing(stock=9), 1), (make_listing(stock=9, title="Pen"), 2))
    assert begun_by(cart_id, expected_total=begun_by(cart_id, may_hold=False)[1].cart.total_amount)[1].held == HELD
    sql("DELETE FROM holds")
    sql("UPDATE stock_counters SET reserved = 0")
    if change:
        sql(change)

    payment_id, begun = begun_by(cart_id, **order)

    assert begun.held is None
    assert begun.cart is not None
    assert holds_of(sql, payment_id) == {}


def test_who_has_as_many_sessions_open_as_one_may_holds_nothing(
    begun_by: Begin, customer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    listing = make_listing(stock=9)
    cart_id = fill_cart(customer, (listing, 1))
    opened(customer, cart_id, "old")

    payment_id, begun = begun_by(cart_id, bounds_of=bounds(customer, sessions_of_caller=1))

    assert begun.full_for is not None
    assert begun.full_for > 80_000
    assert begun.held is None
    assert holds_of(sql, payment_id) == {}


def test_what_is_short_of_what_the_customer_holds_already_is_found_by_the_attempt(
    begun_by: Begin, customer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    listing = make_listing(stock=3)
    cart_id = fill_cart(customer, (listing, 2))
    opened(customer, cart_id, "old")
    fill_cart(customer, (listing, 4))

    payment_id, begun = begun_by(cart_id)

    assert begun.cart is not None
    assert (begun.cart.has_sessions, begun.cart.holds_some) == (True, True)
    assert begun.held is not None
    assert begun.held.short == [ShortLine(listing["id"], 4, 3)]
    assert holds_of(sql, payment_id) == {}
    assert counter_of(sql, listing) == (3, 2)
    assert_stock_adds_up(sql)


def test_more_pieces_than_one_may_hold_are_found_by_the_attempt(
    begun_by: Begin, customer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    cart_id = fill_cart(customer, (make_listing(stock=9), 4))

    _, most = begun_by(cart_id, bounds_of=bounds(customer, pieces_of_caller=3))
    assert most.held is not None
    assert (most.held.most, most.held.held) == (3, False)
    begun_by(cart_id, bounds_of=bounds(customer, pieces_of_caller=4))
    _, full = begun_by(cart_id, bounds_of=bounds(customer, pieces_of_caller=7))

    assert full.held is not None
    assert full.held.full_for is not None
    assert 100 < full.held.full_for <= 120
    assert sql("SELECT sum(qty) AS all FROM holds")[0].all == 4
