"""A cart becomes a promise: what is answered, and what is written."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID, uuid5

import pytest

from checkout_service.settings.values import DEVELOPMENT_NAMESPACE
from tests.conftest import Customer, MakeListing, Sql, Statements
from tests.purchases import ANSWER, ONE_OF_EACH, ask, counts, fill_cart, opened


def test_create_checkout_session(customer: Customer, make_listing: MakeListing, sql: Sql) -> None:
    cart_id = fill_cart(customer, (make_listing(unit_price="40.00"), 3), (make_listing(unit_price="33.33"), 3))

    answer = ask(customer, cart_id)

    assert answer.status_code == 201, answer.text
    session = answer.json
    assert set(session) == ANSWER
    assert (session["amount"], session["currency"]) == ("219.99", "USD")
    assert (session["status"], session["provider"]) == ("pending", "mock")
    assert session["payment_id"] == str(uuid5(DEVELOPMENT_NAMESPACE, f"{customer.id}:purchase-1"))
    assert session["payment_token"] == "mock_pi_" + UUID(session["payment_id"]).hex
    assert answer.headers["Location"] == f"/api/payments/{session['payment_id']}"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Idempotent-Replayed" not in answer.headers
    assert counts(sql) == ONE_OF_EACH


def test_payment_is_born_pending_with_its_reference_known(
    customer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    session = opened(customer, fill_cart(customer, (make_listing(unit_price="240.00"), 1)))

    (payment,) = sql("SELECT *, next_look_up_at - created_at AS until_look_up FROM payments")
    assert str(payment.id) == session["payment_id"]
    assert payment.user_id == customer.id
    assert (payment.provider, payment.provider_ref) == ("mock", session["payment_token"])
    assert (str(payment.amount), payment.currency, payment.status) == ("240.00", "USD", "pending")
    assert (payment.raw_payload, payment.review_reason, payment.look_ups) == (None, None, 0)
    assert payment.until_look_up == timedelta(minutes=10)


def test_session_row_holds_what_was_answered(customer: Customer, make_listing: MakeListing, sql: Sql) -> None:
    cart_id = fill_cart(customer, (make_listing(unit_price="240.00"), 1))
    session = opened(customer, cart_id, "purchase-1")

    (row,) = sql("SELECT *, expires_at - created_at AS holds_for FROM checkout_sessions")
    assert (row.user_id, str(row.cart_id), row.idempotency_key) == (customer.id, cart_id, "purchase-1")
    assert (str(row.payment_id), row.payment_token) == (session["payment_id"], session["payment_token"])
    assert (str(row.amount), row.currency) == ("240.00", "USD")
    assert row.holds_for == timedelta(days=1)
    assert session["expires_at"].endswith("Z")
    assert datetime.fromisoformat(session["expires_at"]) == row.expires_at


def test_lines_and_prices_are_frozen_into_the_session(customer: Customer, make_listing: MakeListing, sql: Sql) -> None:
    listing = make_listing(title="Atlas", unit_price="33.33")
    plain = make_listing(title="Chalk", unit_price="1.10", school_id=None, spec_id=None)
    cart_id = fill_cart(customer, (listing, 3), (plain, 1))
    opened(customer, cart_id)

    sql("UPDATE listings SET unit_price = 99.99, title = 'Other'")
    fill_cart(customer, (listing, 7))

    (row,) = sql("SELECT lines, amount FROM checkout_sessions")
    assert row.lines == [
        {
            "listing_id": str(listing["id"]),
            "title": "Atlas",
            "unit_price": "33.33",
            "currency": "USD",
            "qty": 3,
            "line_total": "99.99",
            "vendor_id": str(listing["vendor_id"]),
            "vendor": "Harbour Books",
            "school": "Northgate School",
            "spec": "Hardcover",
        },
        {
            "listing_id": str(plain["id"]),
            "title": "Chalk",
            "unit_price": "1.10",
            "currency": "USD",
            "qty": 1,
            "line_total": "1.10",
            "vendor_id": str(plain["vendor_id"]),
            "vendor": "Harbour Books",
            "school": None,
            "spec": None,
        },
    ]
    assert str(row.amount) == "101.09"


def test_checkout_leaves_the_cart_and_the_stock_alone(customer: Customer, make_listing: MakeListing, sql: Sql) -> None:
    cart_id = fill_cart(customer, (make_listing(stock=3), 3), (make_listing(stock=None), 2))
    before = customer.get("/api/cart").json

    opened(customer, cart_id)

    assert customer.get("/api/cart").json == before, "what they hold is there for them"
    assert [row.stock for row in sql("SELECT stock FROM listings ORDER BY id")] == [3, None]


def test_another_purchase_of_the_same_cart_is_another_payment(
    customer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    cart_id = fill_cart(customer, (make_listing(), 1))

    first, second = opened(customer, cart_id, "purchase-1"), opened(customer, cart_id, "purchase-2")

    assert first["payment_id"] != second["payment_id"]
    assert first["payment_token"] != second["payment_token"]
    assert counts(sql) == (2, 2)


@pytest.mark.parametrize("stock", [10, None], ids=["tracked", "not tracked"])
def test_opening_takes_two_statements_whatever_the_size_of_the_cart(
    customer: Customer, make_listing: MakeListing, statements: Statements, stock: int | None
) -> None:
    taken = []
    for lines, key in ((1, "small"), (12, "large")):
        cart_id = fill_cart(customer, *[(make_listing(stock=stock), 1) for _ in range(lines)])
        with statements() as seen:
            opened(customer, cart_id, key)
        taken.append(len(seen))

    assert taken == [2, 2], taken
