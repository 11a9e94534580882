"""Operators find orders by what the shop's tokens call a customer, and see it beside the id."""

from __future__ import annotations

from flask import Flask

from tests.conftest import MakeListing, Sql
from tests.console.conftest import Operator
from tests.console.test_orders import orders_on
from tests.identity.test_subjects import customer_called
from tests.orders.buying import bought, name_buyer


def test_orders_are_found_by_the_subject_of_a_customers_tokens(
    operator: Operator, app: Flask, sql: Sql, make_listing: MakeListing
) -> None:
    listing = make_listing()
    made = {
        sub: bought(customer_called(app, sub), sql, (listing, 1)).id for sub in ("auth0|ada", "eve@example.org", 42)
    }
    name_buyer(sql, made[42], email="Eve@example.org")
    customer_called(app, "auth0|new").post("/api/cart/items", json={"listing": str(listing["id"]), "qty": 1})

    for typed, expected in {
        "auth0%7Cada": [made["auth0|ada"]],
        "42": [made[42]],
        # As a subject, since somebody is called so; as a buyer's address where nobody is.
        "eve@example.org": [made["eve@example.org"]],
        "EVE@example.org": [made[42]],
        "auth0%7Cnew": [],
    }.items():
        page = operator.get(f"/ops/orders?customer={typed}")
        assert page.status_code == 200
        assert orders_on(page.text) == expected, typed
        assert "customer-fault" not in page.text, typed
    assert 'id="customer-fault"' in operator.get("/ops/orders?customer=AUTH0%7Cada").text


def test_an_orders_page_shows_the_subject_so_that_it_deceives_nobody(
    operator: Operator, app: Flask, sql: Sql, make_listing: MakeListing
) -> None:
    order = bought(customer_called(app, "<b>a\u202eda</b>"), sql, (make_listing(), 1))
    page = operator.get(f"/ops/orders/{order.id}").text
    assert r"<code>&lt;b&gt;a\u202eda&lt;/b&gt;</code>" in page
    by_id = bought(customer_called(app, str(order.id)), sql, (make_listing(), 1))
    assert f"<code>{order.id}</code></a></dd>" in operator.get(f"/ops/orders/{by_id.id}").text, "the id, and no more"
