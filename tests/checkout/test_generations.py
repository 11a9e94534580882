"""A cart's generation: sessions belong to one filling of the cart, and a payment ends it."""

from __future__ import annotations

import pytest

from tests.beginning import after_beginning
from tests.conftest import Customer, MakeListing, Sql
from tests.money import bring_to
from tests.purchases import ask, counts, fill_cart, opened


def _generations(sql: Sql) -> list[int]:
    return [row.generation for row in sql("SELECT generation FROM checkout_sessions ORDER BY id")]


def _reason(sql: Sql, payment_id: str) -> str | None:
    return sql("SELECT review_reason FROM payments WHERE id = :id", id=payment_id)[0].review_reason


def test_two_tabs_are_flagged_as_duplicates_whatever_lines_the_second_added(
    customer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    cart_id = fill_cart(customer, (make_listing(unit_price="100.00"), 1))
    first = opened(customer, cart_id, "tab-1")["payment_id"]
    fill_cart(customer, (make_listing(unit_price="50.00"), 1))
    second = opened(customer, cart_id, "tab-2")["payment_id"]
    assert _generations(sql) == [0, 0]

    bring_to(sql, first, "paid")
    assert _reason(sql, first) is None
    bring_to(sql, second, "paid")
    sql("SELECT payments_fold(ARRAY[CAST(:id AS uuid)])", id=first)

    assert (_reason(sql, first), _reason(sql, second)) == ("paid_twice", "paid_twice")


@pytest.mark.parametrize("refunded", [False, True], ids=["kept", "refunded"])
def test_buying_the_same_again_is_no_duplicate(
    customer: Customer, make_listing: MakeListing, sql: Sql, refunded: bool
) -> None:
    listing = make_listing(unit_price="100.00")
    cart_id = fill_cart(customer, (listing, 1))
    march = opened(customer, cart_id, "march")["payment_id"]
    bring_to(sql, march, "paid")
    if refunded:
        sql(
            """INSERT INTO refunds (payment_id, provider_ref, amount, status, next_attempt_at)
            VALUES (:id, 're_1', 100, 'succeeded', NULL)""",
            id=march,
        )
    assert customer.get("/api/cart").json["items"] == [], "what was bought left the cart"
    fill_cart(customer, (listing, 1))
    june = opened(customer, cart_id, "june")["payment_id"]
    bring_to(sql, june, "paid")
    sql("SELECT payments_fold(ARRAY[CAST(:id AS uuid)])", id=march)

    assert _generations(sql) == [0, 1]
    assert (_reason(sql, march), _reason(sql, june)) == (None, None)


def test_a_payment_ends_its_generation_once(customer: Customer, make_listing: MakeListing, sql: Sql) -> None:
    cart_id = fill_cart(customer, (make_listing(), 1))
    payment_id = opened(customer, cart_id)["payment_id"]
    bring_to(sql, payment_id, "paid")
    sql("SELECT payments_fold(ARRAY[CAST(:id AS uuid)])", id=payment_id)

    assert sql("SELECT generation FROM carts WHERE id = :id", id=cart_id)[0].generation == 1


def test_a_cart_that_is_paid_while_a_session_is_opened_gives_none(
    customer: Customer, make_listing: MakeListing, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing = make_listing()
    cart_id = fill_cart(customer, (listing, 1))
    earlier = opened(customer, cart_id, "earlier")["payment_id"]
    after_beginning(monkeypatch, lambda: bring_to(sql, earlier, "paid"))
    answer = ask(customer, cart_id, "later")

    assert answer.status_code == 409
    assert answer.json["type"] == "/problems/cart-changed"
    assert counts(sql) == (1, 1)
    assert sql("SELECT state::text, reserved FROM holds") == [("sold", 1)], "what the later one held went back"
    assert sql("SELECT reserved FROM stock_counters")[0].reserved == 1
    monkeypatch.undo()
    fill_cart(customer, (listing, 1))
    assert ask(customer, cart_id, "once-more").status_code == 201
