"""Payments of a guest's cart and of the customer's that it went into: what was paid twice, and what was not.

Every webhook is delivered twice, and each time to another worker.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from tests.carts.guest_carts import begin, lines, make_guest, merge
from tests.conftest import Customer, MakeListing, Sql
from tests.purchases import fill_cart, opened
from tests.worker.money.test_fillings import Deliver, deliver, found, money

__all__ = ["deliver"]  # fixtures

Listing = dict[str, Any]
Pay = Callable[..., dict[str, Any]]

ORDERS = pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["guest first", "customer first"])
TOGETHER = pytest.mark.parametrize("together", [False, True], ids=["apart", "together"])


@pytest.fixture
def guest(app: Flask, sql: Sql) -> Customer:
    return make_guest(app, sql)


@pytest.fixture
def guest_pays(guest: Customer, sql: Sql) -> Pay:
    """A guest's session of these lines, which somebody has begun to pay."""

    def pay(*chosen: tuple[Listing, int]) -> dict[str, Any]:
        session = opened(guest, fill_cart(guest, *chosen), "theirs")
        begin(sql, session["payment_id"])
        return session

    return pay


def own_session(customer: Customer, key: str = "own") -> dict[str, Any]:
    return opened(customer, customer.get("/api/cart").json["id"], key)


def flagged(sql: Sql, *sessions: dict[str, Any]) -> list[str | None]:
    """Why somebody has to look at the payment of each session."""
    return [
        sql("SELECT review_reason FROM payments WHERE id = :id", id=session["payment_id"])[0].review_reason
        for session in sessions
    ]


def remove(customer: Customer, listing: Listing) -> None:
    (item,) = [one for one in customer.get("/api/cart").json["items"] if one["listing"]["id"] == str(listing["id"])]
    assert customer.delete(f"/api/cart/items/{item['id']}").status_code == 204


@TOGETHER
@ORDERS
@pytest.mark.parametrize("how", ["sum", "max", "guest"])
def test_a_guests_payment_and_the_customers_for_the_merged_cart_are_duplicates_of_each_other(
    guest: Customer,
    guest_pays: Pay,
    customer: Customer,
    make_listing: MakeListing,
    sql: Sql,
    deliver: Deliver,
    how: str,
    order: tuple[int, int],
    together: bool,
) -> None:
    shared, other = make_listing(unit_price="100.00"), make_listing(unit_price="7.00")
    fill_cart(customer, (shared, 1), (other, 1))
    theirs = guest_pays((shared, 2))
    merge(customer, guest, how)
    mine = own_session(customer)
    pair = [theirs, mine]

    deliver([money(sql, pair[place]) for place in order], together=together)

    assert found(customer, sql, theirs) == ("paid", "paid_twice", [mine["payment_id"]])
    assert found(customer, sql, mine) == ("paid", "paid_twice", [theirs["payment_id"]])
    assert len(sql("SELECT FROM orders")) == 2
    assert guest.get(f"/api/payments/{theirs['payment_id']}").json["duplicate_of"] == [], "the customer's is not theirs"
    events = sql(
        """SELECT object_id, body::jsonb -> 'duplicate_of' AS others FROM events
        WHERE type = 'payment.flagged' ORDER BY id"""
    )
    assert {(str(row.object_id), *row.others) for row in events} == {
        (theirs["payment_id"], mine["payment_id"]),
        (mine["payment_id"], theirs["payment_id"]),
    }


@ORDERS
def test_who_kept_their_own_cart_paid_for_other_things(
    guest: Customer,
    guest_pays: Pay,
    customer: Customer,
    make_listing: MakeListing,
    sql: Sql,
    deliver: Deliver,
    order: tuple[int, int],
) -> None:
    listing = make_listing(unit_price="100.00")
    fill_cart(customer, (listing, 1))
    theirs = guest_pays((listing, 1))
    merge(customer, guest, "mine")
    mine = own_session(customer)

    deliver([money(sql, (theirs, mine)[place]) for place in order])

    assert found(customer, sql, theirs) == ("paid", None, [])
    assert found(customer, sql, mine) == ("paid", None, [])


@pytest.mark.parametrize("kept", [False, True], ids=["none of it", "a part of it"])
def test_what_the_customer_took_out_of_the_cart_before_they_paid_is_not_paid_twice(
    guest: Customer,
    guest_pays: Pay,
    customer: Customer,
    make_listing: MakeListing,
    sql: Sql,
    deliver: Deliver,
    kept: bool,
) -> None:
    one, two, other = (make_listing(unit_price="100.00") for _ in range(3))
    fill_cart(customer, (other, 1))
    theirs = guest_pays((one, 1), (two, 1))
    merge(customer, guest)
    remove(customer, one)
    if not kept:
        remove(customer, two)
    mine = own_session(customer)

    deliver([money(sql, theirs), money(sql, mine)])

    assert flagged(sql, theirs, mine) == ["paid_twice" if kept else None] * 2


@ORDERS
def test_a_session_of_before_the_merge_is_of_other_things_though_of_the_same_listing(
    guest: Customer,
    guest_pays: Pay,
    customer: Customer,
    make_listing: MakeListing,
    sql: Sql,
    deliver: Deliver,
    order: tuple[int, int],
) -> None:
    listing = make_listing(unit_price="100.00")
    mine = opened(customer, fill_cart(customer, (listing, 1)), "own")
    begin(sql, mine["payment_id"])
    theirs = guest_pays((listing, 2))
    merge(customer, guest)

    deliver([money(sql, (theirs, mine)[place]) for place in order])

    assert flagged(sql, theirs, mine) == [None, None]
    assert lines(customer) == {}


def test_what_the_customer_buys_once_more_after_either_was_paid_is_meant(
    guest: Customer, guest_pays: Pay, customer: Customer, make_listing: MakeListing, sql: Sql, deliver: Deliver
) -> None:
    listing = make_listing(unit_price="100.00")
    theirs = guest_pays((listing, 1))
    merge(customer, guest)
    mine = own_session(customer)
    deliver([money(sql, mine)])
    fill_cart(customer, (listing, 1))
    again = own_session(customer, "again")
    deliver([money(sql, again), money(sql, theirs)])
    fill_cart(customer, (listing, 1))
    last = own_session(customer, "last")
    deliver([money(sql, last)])

    assert flagged(sql, theirs, mine, again, last) == ["paid_twice", "paid_twice", None, None]


def test_what_is_bought_once_more_after_the_guests_payment_came_is_meant(
    guest: Customer, guest_pays: Pay, customer: Customer, make_listing: MakeListing, sql: Sql, deliver: Deliver
) -> None:
    listing = make_listing(unit_price="100.00")
    theirs = guest_pays((listing, 1))
    merge(customer, guest)
    deliver([money(sql, theirs)])
    assert lines(customer) == {}
    fill_cart(customer, (listing, 1))
    again = own_session(customer)
    deliver([money(sql, again)])

    assert flagged(sql, theirs, again) == [None, None]


def test_two_guests_of_one_cart_paid_for_what_each_of_them_had(
    app: Flask,
    guest: Customer,
    guest_pays: Pay,
    customer: Customer,
    make_listing: MakeListing,
    sql: Sql,
    deliver: Deliver,
) -> None:
    listing, another = make_listing(unit_price="100.00"), make_guest(app, sql)
    first = guest_pays((listing, 1))
    second = opened(another, fill_cart(another, (listing, 1)), "theirs")
    begin(sql, second["payment_id"])
    merge(customer, guest)
    merge(customer, another)
    mine = own_session(customer)

    deliver([money(sql, first), money(sql, second)])
    assert flagged(sql, first, second) == [None, None]

    deliver([money(sql, mine)])
    assert flagged(sql, first, second, mine) == ["paid_twice"] * 3
    assert found(customer, sql, mine)[2] == sorted([first["payment_id"], second["payment_id"]])
    assert found(customer, sql, first)[2] == [mine["payment_id"]]


def test_what_was_paid_in_part_before_the_merge_and_whole_by_the_customer_is_paid_twice(
    guest: Customer, guest_pays: Pay, customer: Customer, make_listing: MakeListing, sql: Sql, deliver: Deliver
) -> None:
    theirs = guest_pays((make_listing(unit_price="100.00"), 1))
    deliver([money(sql, theirs, amount="40.00")])
    merge(customer, guest)
    mine = own_session(customer)

    deliver([money(sql, mine)])

    assert flagged(sql, theirs, mine) == ["paid_twice"] * 2


@pytest.mark.parametrize("which", [0, 1], ids=["the guest's", "the customer's"])
@pytest.mark.parametrize(
    ("status", "details"), [("reversed", {}), ("succeeded", {"refund_ref": "re_1"})], ids=["reversed", "refunded"]
)
def test_money_that_goes_back_leaves_what_it_leaves_of_two_payments_of_one_filling(
    guest: Customer,
    guest_pays: Pay,
    customer: Customer,
    make_customer: Callable[[], Customer],
    make_listing: MakeListing,
    sql: Sql,
    deliver: Deliver,
    which: int,
    status: str,
    details: dict[str, str],
) -> None:
    listing = make_listing(unit_price="100.00")
    theirs = guest_pays((listing, 1))
    merge(customer, guest)
    merged = [theirs, own_session(customer)]
    somebody = make_customer()
    cart_id = fill_cart(somebody, (listing, 1))
    plain = [opened(somebody, cart_id, "tab-1")]
    begin(sql, plain[0]["payment_id"])
    plain.append(opened(somebody, cart_id, "tab-2"))

    for pair in (merged, plain):
        deliver([money(sql, session) for session in pair])
        given = details and {"refund_ref": f"re_{pair[0]['payment_id']}"}
        deliver([money(sql, pair[which], status, **given)])

    assert flagged(sql, *merged) == flagged(sql, *plain)
    shown = [[found(customer, sql, each)[0] for each in merged], [found(somebody, sql, each)[0] for each in plain]]
    assert shown[0] == shown[1]


def test_both_are_flagged_anew_where_more_money_comes_after_somebody_saw_it(
    guest: Customer, guest_pays: Pay, customer: Customer, make_listing: MakeListing, sql: Sql, deliver: Deliver
) -> None:
    theirs = guest_pays((make_listing(unit_price="100.00"), 1))
    merge(customer, guest)
    mine = own_session(customer)
    deliver([money(sql, theirs, amount="40.00"), money(sql, mine)])
    sql("""INSERT INTO payment_reviews (payment_id, reason, amounts) SELECT payment_id, reason, amounts
        FROM payment_reasons(ARRAY(SELECT sums FROM payment_sums(ARRAY(SELECT id FROM payments)) AS sums))""")
    sql("SELECT FROM payments_fold(ARRAY(SELECT id FROM payments))")
    assert flagged(sql, theirs, mine) == [None, None]

    deliver([money(sql, theirs, event_id="evt_rest")])

    assert flagged(sql, theirs, mine) == ["paid_twice"] * 2


@pytest.mark.parametrize("since", ["-1 second", "1 second"], ids=["before the merge", "after it"])
def test_a_session_that_a_release_before_wrote_is_known_by_its_time(
    guest: Customer, guest_pays: Pay, customer: Customer, make_listing: MakeListing, sql: Sql, since: str
) -> None:
    theirs = guest_pays((make_listing(unit_price="100.00"), 1))
    merge(customer, guest)
    mine = own_session(customer)["payment_id"]
    (before,) = sql("SELECT id FROM payments WHERE id = :id", id=mine)
    sql("DELETE FROM payment_mates")
    sql(
        """WITH payment AS (
            INSERT INTO payments (user_id, provider, provider_ref, amount, currency)
            SELECT user_id, provider, 'of a release before', amount, currency FROM payments WHERE id = :id
            RETURNING id
        )
        INSERT INTO checkout_sessions (user_id, cart_id, generation, idempotency_key, request_hash, payment_id,
            payment_token, amount, currency, lines, expires_at, created_at)
        SELECT session.user_id, cart_id, generation, 'before', '', payment.id, '', amount, currency, lines, expires_at,
            guest.linked_at + CAST(:since AS interval)
        FROM payment, guests AS guest, checkout_sessions AS session
        WHERE session.payment_id = :id AND guest.id = :guest""",
        id=before.id,
        guest=guest.id,
        since=since,
    )

    pairs = sql("SELECT mate.provider_ref FROM payment_mates JOIN payments AS mate ON mate.id = payment_id")
    (reference,) = sql("SELECT provider_ref FROM payments WHERE id = :id", id=theirs["payment_id"])
    expected = [] if since.startswith("-") else sorted([reference.provider_ref, "of a release before"])
    assert sorted(row.provider_ref for row in pairs) == expected
