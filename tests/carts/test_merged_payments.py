"""What becomes of payments that guests began, and of both carts, once the guests are linked to a customer."""

from __future__ import annotations

from uuid import UUID

import pytest
from flask import Flask

from tests.beginning import after_beginning
from tests.carts.guest_carts import begin, generation, lines, make_guest, merge
from tests.conftest import Customer, MakeListing, Sql
from tests.money import attempt, bring_to, fold
from tests.purchases import ask, fill_cart, opened


@pytest.fixture
def guest(app: Flask, sql: Sql) -> Customer:
    return make_guest(app, sql)


@pytest.mark.parametrize("status", ["paid", "authorized"])
def test_what_somebody_has_begun_to_pay_goes_on_and_leaves_the_customers_cart_once_it_is_paid(
    guest: Customer, customer: Customer, make_listing: MakeListing, sql: Sql, status: str
) -> None:
    shared, other = make_listing(), make_listing()
    fill_cart(customer, (shared, 1), (other, 1))
    payment_id = opened(guest, fill_cart(guest, (shared, 2)), "one")["payment_id"]
    begin(sql, payment_id)

    merge(customer, guest)

    assert sql("SELECT FROM cancel_requests") == []
    assert generation(sql, guest) == 1
    assert lines(customer) == {str(shared["id"]): 3, str(other["id"]): 1}
    own = opened(customer, customer.get("/api/cart").json["id"], "mine")
    assert own["also_under_way"] == [payment_id], "both may be charged"
    mine = own["payment_id"]
    bring_to(sql, payment_id, status)
    assert lines(customer) == {str(shared["id"]): 1, str(other["id"]): 1}
    assert [str(row.payment_id) for row in sql("SELECT payment_id FROM orders")] == [payment_id]
    assert (generation(sql, guest), generation(sql, customer)) == (1, 1)
    # What the customer was about to pay held what is bought now.
    assert [str(row.payment_id) for row in sql("SELECT payment_id FROM cancel_requests")] == [mine]


def test_what_was_paid_after_the_customer_bought_the_cart_takes_nothing_out_of_the_next_one(
    guest: Customer, customer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    listing = make_listing()
    payment_id = opened(guest, fill_cart(guest, (listing, 2)), "one")["payment_id"]
    begin(sql, payment_id)
    merge(customer, guest)
    bring_to(sql, opened(customer, customer.get("/api/cart").json["id"], "mine")["payment_id"], "paid")
    fill_cart(customer, (listing, 2))

    bring_to(sql, payment_id, "paid")

    assert lines(customer) == {str(listing["id"]): 2}
    assert len(sql("SELECT FROM orders")) == 2


def test_a_customer_who_kept_their_own_cart_keeps_it_when_the_guests_payment_comes(
    guest: Customer, customer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    listing = make_listing()
    fill_cart(customer, (listing, 2))
    payment_id = opened(guest, fill_cart(guest, (listing, 1)), "one")["payment_id"]
    begin(sql, payment_id)
    merge(customer, guest, "mine")

    bring_to(sql, payment_id, "paid")

    assert lines(customer) == {str(listing["id"]): 2}


def test_a_session_that_nobody_began_to_pay_is_canceled_and_the_carts_filling_is_over(
    guest: Customer, customer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    cart_id = fill_cart(guest, (make_listing(), 2))
    payment_id = opened(guest, cart_id, "one")["payment_id"]

    merge(customer, guest)

    (request,) = sql("SELECT payment_id, requested_by FROM cancel_requests")
    assert (str(request.payment_id), request.requested_by) == (payment_id, customer.id)
    assert generation(sql, guest) == 1
    # If the money was faster it is an order all the same, and what was bought leaves the customer's cart.
    bring_to(sql, payment_id, "paid")
    assert lines(customer) == {}
    assert len(customer.get("/api/orders").json["data"]) == 1


def canceled(sql: Sql) -> list[str]:
    return [str(row.payment_id) for row in sql("SELECT payment_id FROM cancel_requests ORDER BY payment_id")]


def fail(sql: Sql, payment_id: str | UUID) -> None:
    """What somebody had begun failed, and the payment is open once more."""
    sql("UPDATE payment_attempts SET status = 'failed' WHERE payment_id = :id", id=payment_id)
    fold(sql, payment_id)


def test_a_guests_payment_that_failed_is_canceled_once_the_customer_paid_for_the_same(
    guest: Customer, customer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    theirs = opened(guest, fill_cart(guest, (make_listing(), 2)), "one")["payment_id"]
    begin(sql, theirs)
    merge(customer, guest)
    mine = opened(customer, customer.get("/api/cart").json["id"], "mine")
    assert mine["also_under_way"] == [theirs]
    fail(sql, theirs)

    bring_to(sql, mine["payment_id"], "paid")

    assert canceled(sql) == [theirs]


def test_a_session_from_before_the_merge_is_of_other_things_than_the_guests(
    guest: Customer, customer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    """It is paid, and ends that filling: what the guest is paying stays in the cart, and is known to be under way."""
    own, shared = make_listing(), make_listing()
    cart_id = fill_cart(customer, (own, 1))
    mine = opened(customer, cart_id, "mine")["payment_id"]
    theirs = opened(guest, fill_cart(guest, (shared, 2)), "one")["payment_id"]
    begin(sql, theirs)
    merge(customer, guest)

    fail(sql, theirs)
    bring_to(sql, mine, "paid")

    assert lines(customer) == {str(shared["id"]): 2}
    assert canceled(sql) == [], "nobody has bought it"
    attempt(sql, theirs, "under_way", ref="once more")
    fold(sql, theirs)
    later = opened(customer, cart_id, "later")
    assert later["also_under_way"] == [theirs], "both may be charged"
    bring_to(sql, theirs, "paid")
    assert lines(customer) == {}
    assert canceled(sql) == [later["payment_id"]]


def test_a_session_that_is_being_opened_while_its_cart_is_merged_is_not_though_another_is_under_way(
    guest: Customer, customer: Customer, make_listing: MakeListing, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing = make_listing()
    cart_id = fill_cart(guest, (listing, 2))
    payment_id = opened(guest, cart_id, "one")["payment_id"]
    begin(sql, payment_id)
    fill_cart(guest, (make_listing(), 1))
    after_beginning(monkeypatch, lambda: merge(customer, guest))

    answer = ask(guest, cart_id, "two")

    assert (answer.status_code, answer.json["type"]) == (409, "/problems/cart-changed")
    assert [str(row.payment_id) for row in sql("SELECT payment_id FROM checkout_sessions")] == [payment_id]
    assert [str(row.payment_id) for row in sql("SELECT payment_id FROM holds")] == [payment_id]
    assert len(lines(customer)) == 2
    bring_to(sql, payment_id, "paid")
    assert str(listing["id"]) not in lines(customer)


@pytest.mark.parametrize("older", [False, True], ids=["its first session", "beside an older one"])
def test_a_session_of_the_customers_cart_that_is_being_opened_while_it_is_merged_is_one_of_before(
    guest: Customer,
    customer: Customer,
    make_listing: MakeListing,
    sql: Sql,
    monkeypatch: pytest.MonkeyPatch,
    older: bool,
) -> None:
    """It has what the customer saw, and none of the guest's lines, which stay in the cart until they are paid for."""
    own, shared = make_listing(), make_listing()
    cart_id = fill_cart(customer, (own, 1))
    if older:
        opened(customer, cart_id, "older")
    theirs = opened(guest, fill_cart(guest, (shared, 2)), "one")["payment_id"]
    begin(sql, theirs)
    after_beginning(monkeypatch, lambda: merge(customer, guest))

    mine = opened(customer, cart_id, "mine")

    assert mine["also_under_way"] == []
    assert sql("SELECT merges FROM carts WHERE id = :id", id=cart_id)[0].merges == 1
    (session,) = sql("SELECT merges, lines FROM checkout_sessions WHERE payment_id = :id", id=mine["payment_id"])
    assert (session.merges, [line["listing_id"] for line in session.lines]) == (0, [str(own["id"])])
    assert sql("SELECT FROM payment_mates") == []
    bring_to(sql, mine["payment_id"], "paid")
    assert lines(customer) == {str(shared["id"]): 2}
    assert theirs not in canceled(sql)
    later = opened(customer, cart_id, "later")
    assert later["also_under_way"] == [theirs]
    bring_to(sql, theirs, "paid")
    assert lines(customer) == {}


def test_of_two_guests_of_one_filling_the_second_takes_what_it_bought_too(
    app: Flask, guest: Customer, customer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    other, payments = make_guest(app, sql), []
    kept = make_listing()
    fill_cart(customer, (kept, 1))
    for each in (guest, other):
        payments.append(opened(each, fill_cart(each, (make_listing(), 2)), "one")["payment_id"])
        begin(sql, payments[-1])
        merge(customer, each)

    for payment_id in payments:
        bring_to(sql, payment_id, "paid")

    assert lines(customer) == {str(kept["id"]): 1}


def pay_the_rest(sql: Sql, payment_id: str) -> None:
    sql("UPDATE payment_attempts SET amount_presumed = 100 WHERE payment_id = :id", id=payment_id)
    fold(sql, payment_id)


def test_what_was_paid_in_part_before_the_merge_leaves_the_customers_cart_once_it_is_paid(
    guest: Customer, customer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    listing, kept = make_listing(unit_price="50.00"), make_listing()
    fill_cart(customer, (kept, 1))
    payment_id = opened(guest, fill_cart(guest, (listing, 2)), "one")["payment_id"]
    bring_to(sql, payment_id, "partially_paid", amount="40.00")
    merge(customer, guest)
    assert lines(customer) == {str(kept["id"]): 1, str(listing["id"]): 2}

    pay_the_rest(sql, payment_id)

    assert [str(row.payment_id) for row in sql("SELECT payment_id FROM orders")] == [payment_id]
    assert lines(customer) == {str(kept["id"]): 1}


def test_what_was_paid_of_an_older_filling_takes_nothing_of_what_was_put_in_since(
    guest: Customer, customer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    listing = make_listing(unit_price="50.00")
    cart_id = fill_cart(guest, (listing, 2))
    older = opened(guest, cart_id, "one")["payment_id"]
    bring_to(sql, older, "partially_paid", amount="40.00")
    bring_to(sql, opened(guest, cart_id, "two")["payment_id"], "paid")
    fill_cart(guest, (listing, 2))
    merge(customer, guest)

    pay_the_rest(sql, older)

    assert len(sql("SELECT FROM orders")) == 2
    assert lines(customer) == {str(listing["id"]): 2}
    assert generation(sql, customer) == 0
