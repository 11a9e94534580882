"""Amounts on their way from a listing to a payment, in currencies of three decimals and of none."""

from __future__ import annotations

import pytest

from tests.conftest import Customer, MakeListing, Sql
from tests.purchases import ask, fill_cart


@pytest.mark.parametrize(
    ("price", "currency", "each", "total"),
    [
        ("1.234", "KWD", "1.234", "3.702"),
        ("1.5", "KWD", "1.500", "4.500"),
        ("0.001", "BHD", "0.001", "0.003"),
        ("120", "JPY", "120.00", "360.00"),
    ],
)
def test_an_amount_keeps_the_decimals_of_its_currency(
    customer: Customer, make_listing: MakeListing, sql: Sql, price: str, currency: str, each: str, total: str
) -> None:
    cart = fill_cart(customer, (make_listing(unit_price=price, currency=currency), 3))
    shown = customer.get("/api/cart").json

    answer = ask(customer, cart, expected_total=total)

    assert (shown["items"][0]["listing"]["unit_price"], shown["items"][0]["line_total"]) == (each, total)
    assert (shown["total_amount"], answer.json["amount"]) == (total, total)
    (row,) = sql("SELECT amount = CAST(:total AS numeric) AS exact FROM payments", total=total)
    assert row.exact
    assert customer.get(f"/api/payments/{answer.json['payment_id']}").json["amount"] == total
