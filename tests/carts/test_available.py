"""How many pieces a customer can get, as the cart shows it; more may be put in."""

from __future__ import annotations

import re
from typing import Any

import pytest

from checkout_service.carts.queries import _SHOWN_CART
from tests.conftest import Customer, MakeListing, Sql, Statements
from tests.money import attempt, bring_to, fold
from tests.purchases import fill_cart, opened


def available(customer: Customer) -> list[int | None]:
    """Of each line, in the order in which they were put in."""
    return [item["listing"]["available"] for item in customer.get("/api/cart").json["items"]]


def test_it_is_a_whole_number_and_null_where_stock_is_not_tracked(
    customer: Customer, make_listing: MakeListing
) -> None:
    fill_cart(customer, (make_listing(stock=7), 1), (make_listing(stock=None), 1), (make_listing(stock=0), 1))

    assert available(customer) == [7, None, 0]


def test_stock_that_is_no_longer_tracked_is_null_whatever_was_held(
    customer: Customer, other_customer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    listing = make_listing(stock=7)
    opened(other_customer, fill_cart(other_customer, (listing, 2)))
    fill_cart(customer, (listing, 1))
    assert available(customer) == [5]

    sql("UPDATE listings SET stock = NULL")

    assert available(customer) == [None]


def test_more_than_there_is_may_be_put_in_and_every_answer_says_what_there_is(
    customer: Customer, make_listing: MakeListing
) -> None:
    listing = make_listing(stock=2)

    new = customer.post("/api/cart/items", json={"listing": str(listing["id"]), "qty": 3})
    again = customer.post("/api/cart/items", json={"listing": str(listing["id"]), "qty": 9999})
    changed = customer.patch(f"/api/cart/items/{new.json['id']}", json={"qty": 5})

    assert [answer.status_code for answer in (new, again, changed)] == [201, 200, 200]
    assert [answer.json["listing"]["available"] for answer in (new, again, changed)] == [2, 2, 2]
    assert customer.get("/api/cart").json["items"] == [changed.json]
    assert changed.json["available"] is True, "it is on sale"


def test_what_others_hold_and_what_is_sold_counts(
    customer: Customer, other_customer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    listing = make_listing(stock=10)
    fill_cart(customer, (listing, 1))
    theirs = opened(other_customer, fill_cart(other_customer, (listing, 4)))["payment_id"]
    assert available(customer) == [6]

    bring_to(sql, theirs, "paid")
    assert available(customer) == [6]
    opened(other_customer, fill_cart(other_customer, (listing, 1)), "again")
    assert available(customer) == [5]


def test_the_customers_own_open_session_does_not_stand_against_them(
    customer: Customer, other_customer: Customer, make_listing: MakeListing
) -> None:
    listing = make_listing(stock=3)
    opened(customer, fill_cart(customer, (listing, 2)))
    fill_cart(other_customer, (listing, 1))

    assert available(customer) == [3]
    assert available(other_customer) == [1]
    item = customer.get("/api/cart").json["items"][0]["id"]
    assert customer.patch(f"/api/cart/items/{item}", json={"qty": 3}).json["listing"]["available"] == 3
    assert fill_cart(customer, (listing, 3)), "as POST says it"
    assert opened(customer, fill_cart(customer, (listing, 3)), "second")


@pytest.mark.parametrize("status", ["processing", "paid", "canceled"])
def test_what_they_are_paying_or_paid_does(
    customer: Customer, make_listing: MakeListing, sql: Sql, status: str
) -> None:
    listing = make_listing(stock=3)
    payment_id = opened(customer, fill_cart(customer, (listing, 2)))["payment_id"]
    bring_to(sql, payment_id, status)
    fill_cart(customer, (listing, 1))

    assert available(customer) == [3 if status == "canceled" else 1]


def test_a_session_of_a_filling_that_was_paid_counts_until_it_is_canceled(
    customer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    """Its pieces cannot be taken over any more."""
    listing = make_listing(stock=5)
    cart_id = fill_cart(customer, (listing, 1))
    first = opened(customer, cart_id, "first")["payment_id"]
    attempt(sql, first, "under_way", ref="at")
    fold(sql, first)
    opened(customer, cart_id, "second")
    bring_to(sql, first, "paid")
    fill_cart(customer, (listing, 1))

    assert available(customer) == [3]


def test_it_is_read_by_indexes_and_once_for_all_lines(customer: Customer, make_listing: MakeListing, sql: Sql) -> None:
    """A customer with many holds and a cart of many lines: which holds count is looked up once."""
    listings = [make_listing(stock=5) for _ in range(30)]
    opened(customer, fill_cart(customer, *[(listing, 1) for listing in listings]))
    sql("""INSERT INTO holds (payment_id, listing_id, user_id, qty, reserved, until)
        SELECT uuidv7(), uuidv7(), uuidv7(), 1, 1, now() FROM generate_series(1, 20000)""")
    sql("ANALYZE holds, stock_counters, listings, payments, checkout_sessions, carts")

    values = {**_SHOWN_CART.constants, "user": customer.id}
    query = re.sub(r"%\((\w+)\)s(?:::\w+)?", lambda name: f":{name[1]}", _SHOWN_CART.sql)
    plan = sql("EXPLAIN (ANALYZE, FORMAT JSON) " + query, **values)[0][0][0]["Plan"]

    parts = list(_parts(plan))
    of_holds = [part for part in parts if part.get("Relation Name") == "holds"]
    assert of_holds
    assert not [part for part in of_holds if part["Node Type"] == "Seq Scan"]
    assert sum(part["Actual Loops"] for part in of_holds if part.get("Alias") == "own") == 1
    assert available(customer) == [5] * 30


class TestEmptying:
    def test_it_takes_all_lines_out_and_may_be_repeated(
        self, customer: Customer, make_listing: MakeListing, sql: Sql, statements: Statements
    ) -> None:
        cart_id = fill_cart(customer, *[(make_listing(), 2) for _ in range(5)])

        with statements() as seen:
            first = customer.delete("/api/cart")

        assert (first.status_code, first.data) == (204, b"")
        assert len(seen) == 1
        assert customer.delete("/api/cart").status_code == 204
        assert customer.get("/api/cart").json["id"] == cart_id, "the cart stays"
        assert customer.get("/api/cart").json["items"] == []
        assert sql("SELECT generation FROM carts")[0].generation == 0

    def test_it_is_the_callers_own_alone(
        self, customer: Customer, other_customer: Customer, make_listing: MakeListing
    ) -> None:
        fill_cart(customer, (make_listing(), 1))

        assert other_customer.delete("/api/cart").status_code == 204, "who has no cart has an empty one"
        assert customer.client.delete("/api/cart").status_code == 401
        assert len(customer.get("/api/cart").json["items"]) == 1

    def test_open_sessions_stay_as_they_are(self, customer: Customer, make_listing: MakeListing, sql: Sql) -> None:
        session = opened(customer, fill_cart(customer, (make_listing(), 2)))

        customer.delete("/api/cart")

        shown = customer.get(f"/api/checkout/session/{session['payment_id']}").json
        assert (shown["status"], len(shown["lines"])) == ("pending", 1)
        assert sql("SELECT reserved FROM stock_counters")[0].reserved == 2


def _parts(plan: dict[str, Any]) -> Any:
    yield plan
    for part in plan.get("Plans", []):
        yield from _parts(part)
