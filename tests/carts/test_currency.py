"""A cart is priced in one currency: its first line's, or the one that was chosen. Nothing is ever converted."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from werkzeug.test import TestResponse

from tests.conftest import Customer, MakeListing, Sql
from tests.purchases import add_older_line, ask


def put(customer: Customer, listing: dict[str, Any], qty: int = 1) -> TestResponse:
    return customer.post("/api/cart/items", json={"listing": str(listing["id"]), "qty": qty})


def choose(customer: Customer, currency: str) -> TestResponse:
    return customer.patch("/api/cart", json={"currency": currency})


@pytest.fixture
def dollars(make_listing: MakeListing) -> dict[str, Any]:
    return make_listing(unit_price="40.00", currency="USD")


@pytest.fixture
def both(make_listing: MakeListing, sql: Sql) -> dict[str, Any]:
    """A listing of 50 USD, or 45 EUR."""
    made = make_listing(unit_price="50.00", currency="USD")
    sql("INSERT INTO listing_prices (listing_id, currency, unit_price) VALUES (:id, 'EUR', 45)", id=made["id"])
    return made


@pytest.fixture
def euros(make_listing: MakeListing) -> dict[str, Any]:
    return make_listing(unit_price="7.00", currency="EUR")


def shown(customer: Customer) -> tuple[Any, ...]:
    cart = customer.get("/api/cart").json
    lines = [
        (line["listing"]["unit_price"], line["listing"]["currency"], line["qty"], line["line_total"])
        for line in cart["items"]
    ]
    return cart["currency"], cart["total_amount"], lines


def mismatched(answer: TestResponse) -> bool:
    return (answer.status_code, answer.json["type"]) == (409, "/problems/currency-mismatch")


def test_the_first_line_sets_the_currency_and_others_need_a_price_in_it(
    customer: Customer, dollars: dict[str, Any], both: dict[str, Any], euros: dict[str, Any], sql: Sql
) -> None:
    assert put(customer, euros, 2).status_code == 201

    answer = put(customer, both, 3)

    assert (answer.status_code, answer.json["line_total"]) == (201, "135.00")
    assert answer.json["listing"]["unit_price"] == "45.00"
    assert mismatched(put(customer, dollars))
    lines = [("7.00", "EUR", 2, "14.00"), ("45.00", "EUR", 3, "135.00")]
    assert shown(customer) == ("EUR", "149.00", lines)
    changed = customer.patch(f"/api/cart/items/{answer.json['id']}", json={"qty": 1})
    assert changed.json["line_total"] == "45.00"
    assert put(customer, both, 2).json["line_total"] == "90.00"
    assert sql("SELECT count(*) FROM cart_items")[0][0] == 2


def test_a_chosen_currency_holds_for_the_first_line_too(
    customer: Customer, dollars: dict[str, Any], both: dict[str, Any]
) -> None:
    assert choose(customer, "EUR").json["currency"] == "EUR"
    assert choose(customer, "EUR").status_code == 200
    assert mismatched(put(customer, dollars))
    assert put(customer, both).json["listing"]["unit_price"] == "45.00"
    assert mismatched(choose(customer, "USD"))
    assert choose(customer, "EUR").status_code == 200, "it is that already"
    assert shown(customer)[:2] == ("EUR", "45.00")
    customer.delete("/api/cart")
    assert choose(customer, "USD").status_code == 200
    assert put(customer, both).json["listing"]["unit_price"] == "50.00"


def test_what_a_first_line_set_is_forgotten_where_another_first_line_has_no_price_in_it(
    customer: Customer, dollars: dict[str, Any], both: dict[str, Any], euros: dict[str, Any]
) -> None:
    put(customer, euros)
    customer.delete("/api/cart")
    assert put(customer, both).json["listing"]["currency"] == "EUR", "it has one"
    customer.delete("/api/cart")
    assert put(customer, dollars).status_code == 201
    assert shown(customer)[:2] == ("USD", "40.00")


def test_a_currency_that_is_none_is_refused(customer: Customer, sql: Sql) -> None:
    for currency in ("eur", "XXX", "", None, 1):
        answer = customer.patch("/api/cart", json={"currency": currency})
        assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, "/currency")
    assert sql("SELECT count(*) FROM carts")[0][0] == 0


def test_checkout_asks_for_the_price_in_the_carts_currency(
    customer: Customer, both: dict[str, Any], euros: dict[str, Any], sql: Sql
) -> None:
    choose(customer, "EUR")
    put(customer, both, 2)
    put(customer, euros, 1)

    session = ask(customer, customer.get("/api/cart").json["id"])

    assert (session.status_code, session.json["amount"], session.json["currency"]) == (201, "97.00", "EUR")
    lines = sql("SELECT lines FROM checkout_sessions")[0].lines
    assert sorted((line["unit_price"], line["currency"]) for line in lines) == [("45.00", "EUR"), ("7.00", "EUR")]


def test_a_price_that_is_taken_away_leaves_a_line_that_cannot_be_bought(
    customer: Customer, both: dict[str, Any], euros: dict[str, Any], sql: Sql
) -> None:
    put(customer, euros)
    put(customer, both)
    sql("DELETE FROM listing_prices")

    cart = customer.get("/api/cart").json

    assert [line["available"] for line in cart["items"]] == [True, False]
    assert (cart["currency"], cart["total_amount"]) == (None, None)
    answer = ask(customer, cart["id"])
    assert answer.status_code == 422
    assert sql("SELECT count(*) FROM payments")[0][0] == 0


def test_an_older_line_costs_what_its_listing_costs_and_decides_the_currency(
    customer: Customer, dollars: dict[str, Any], both: dict[str, Any], euros: dict[str, Any], sql: Sql
) -> None:
    put(customer, dollars)
    sql("DELETE FROM cart_items")
    add_older_line(sql, euros)
    assert shown(customer) == ("EUR", "7.00", [("7.00", "EUR", 1, "7.00")])
    assert mismatched(put(customer, dollars))
    assert put(customer, both).json["listing"]["currency"] == "EUR"
    assert shown(customer)[:2] == ("EUR", "52.00")


def test_a_cart_of_before_has_its_lines_currency_when_that_is_chosen(
    customer: Customer, dollars: dict[str, Any], both: dict[str, Any], euros: dict[str, Any], sql: Sql
) -> None:
    put(customer, both)
    add_older_line(sql, dollars)
    answer = choose(customer, "USD")
    assert (answer.status_code, answer.json["currency"], len(answer.json["items"])) == (200, "USD", 2)
    assert mismatched(choose(customer, "EUR"))
    # The release before put a line in, of a currency of its own.
    sql("DELETE FROM cart_items")
    assert choose(customer, "USD").status_code == 200
    sql("INSERT INTO cart_items (cart_id, listing_id, qty) SELECT id, :id, 1 FROM carts", id=euros["id"])
    assert choose(customer, "EUR").status_code == 200
    assert mismatched(choose(customer, "USD"))
    add_older_line(sql, dollars)
    for currency in ("EUR", "USD"):
        assert mismatched(choose(customer, currency)), "it has lines of two"


def test_the_database_keeps_a_line_of_another_currency_out(customer: Customer, euros: dict[str, Any], sql: Sql) -> None:
    put(customer, euros)
    for statement in (
        "UPDATE carts SET currency = 'USD'",
        "UPDATE cart_items SET currency = 'USD'",
    ):
        with pytest.raises(Exception, match="cart_items_currency_fkey"):
            sql(statement)
    assert sql("SELECT count(*) FROM carts WHERE user_id = :id", id=uuid4())[0][0] == 0
