"""What a customer sees of the cart, and what checkout reads of it."""

from __future__ import annotations

import pytest

from tests.conftest import Customer, MakeListing, Sql, Statements
from tests.purchases import add_older_line


def put(customer: Customer, listing: dict[str, object], qty: int) -> None:
    answer = customer.post("/api/cart/items", json={"listing": str(listing["id"]), "qty": qty})
    assert answer.status_code == 201, answer.text


def test_a_cart_is_empty_before_the_first_write(customer: Customer, sql: Sql) -> None:
    answer = customer.get("/api/cart")

    assert answer.status_code == 200
    assert answer.json == {"id": None, "items": [], "total_amount": "0.00", "currency": "USD"}
    assert sql("SELECT id FROM users UNION ALL SELECT id FROM carts") == []


def test_get_cart_with_total(customer: Customer, make_listing: MakeListing, sql: Sql) -> None:
    book, pen = make_listing(unit_price="120.00"), make_listing(unit_price="0.75", title="Pen", school_id=None)
    put(customer, book, 2)
    put(customer, pen, 10)

    cart = customer.get("/api/cart").json

    assert cart["id"] == str(sql("SELECT id FROM carts")[0].id)
    assert [line["listing"]["id"] for line in cart["items"]] == [str(book["id"]), str(pen["id"])]
    assert [line["line_total"] for line in cart["items"]] == ["240.00", "7.50"]
    assert cart["items"][1]["listing"]["school"] is None
    assert cart["items"][1]["listing"]["vendor"] == {"id": str(pen["vendor_id"]), "name": "Harbour Books"}
    assert (cart["total_amount"], cart["currency"]) == ("247.50", "USD")


def test_three_times_33_33_is_99_99(customer: Customer, make_listing: MakeListing) -> None:
    put(customer, make_listing(unit_price="33.33"), 3)

    assert customer.get("/api/cart").json["total_amount"] == "99.99"


def test_a_line_in_the_cart_is_the_line_that_the_write_answered(customer: Customer, make_listing: MakeListing) -> None:
    answer = customer.post("/api/cart/items", json={"listing": str(make_listing()["id"]), "qty": 4})

    assert customer.get("/api/cart").json["items"] == [answer.json]


def test_an_emptied_cart_stays_the_same_cart(customer: Customer, make_listing: MakeListing) -> None:
    put(customer, make_listing(), 1)
    before = customer.get("/api/cart").json

    customer.delete(f"/api/cart/items/{before['items'][0]['id']}")

    assert customer.get("/api/cart").json == {
        "id": before["id"],
        "items": [],
        "total_amount": "0.00",
        "currency": "USD",
    }


def test_a_customer_sees_only_their_own_cart(
    customer: Customer, other_customer: Customer, make_listing: MakeListing
) -> None:
    put(customer, make_listing(), 1)

    assert other_customer.get("/api/cart").json["items"] == []


def test_a_line_shows_the_price_of_this_moment(customer: Customer, make_listing: MakeListing, sql: Sql) -> None:
    put(customer, make_listing(unit_price="10.00"), 2)

    sql("UPDATE listings SET unit_price = 11.50")

    assert customer.get("/api/cart").json["total_amount"] == "23.00"


def test_a_line_whose_listing_went_off_sale_is_shown_and_marked(
    customer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    gone = make_listing(unit_price="5.00")
    put(customer, gone, 1)
    put(customer, make_listing(unit_price="7.00"), 1)

    sql("UPDATE listings SET active = false WHERE id = :id", id=gone["id"])

    cart = customer.get("/api/cart").json
    assert [line["available"] for line in cart["items"]] == [False, True]
    assert cart["total_amount"] == "12.00"


def test_an_older_cart_of_mixed_currencies_has_no_total(
    customer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    put(customer, make_listing(unit_price="5.00", currency="USD"), 1)
    add_older_line(sql, make_listing(unit_price="7.00", currency="EUR"), 2)

    cart = customer.get("/api/cart").json

    assert (cart["total_amount"], cart["currency"]) == (None, None)
    assert [line["listing"]["currency"] for line in cart["items"]] == ["USD", "EUR"]
    assert [line["line_total"] for line in cart["items"]] == ["5.00", "14.00"]


def test_a_cart_in_another_currency_than_the_default_is_in_that_one(
    customer: Customer, make_listing: MakeListing
) -> None:
    put(customer, make_listing(unit_price="7.00", currency="EUR"), 2)

    cart = customer.get("/api/cart").json

    assert (cart["total_amount"], cart["currency"]) == ("14.00", "EUR")


def test_a_total_beyond_one_payment_is_shown_as_it_is(customer: Customer, make_listing: MakeListing) -> None:
    for _ in range(2):
        put(customer, make_listing(unit_price="99999999.99"), 1)

    assert customer.get("/api/cart").json["total_amount"] == "199999999.98"


@pytest.mark.parametrize("count", [0, 1, 100])
def test_reading_a_cart_is_one_statement_whatever_its_size(
    customer: Customer, make_listing: MakeListing, statements: Statements, count: int
) -> None:
    for _ in range(count):
        put(customer, make_listing(), 1)

    with statements() as seen:
        cart = customer.get("/api/cart").json

    assert len(cart["items"]) == count
    assert len(seen) == 1
