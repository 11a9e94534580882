"""Money that comes after its hold ended takes stock again, if there is some; the order is made all the same."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from tests.conftest import Sql
from tests.money import fold
from tests.worker.orders import buying
from tests.worker.orders.buying import Bought
from tests.worker.scripted import event
from tests.worker.transitions.entered import attempt, capture, enter, news, recorded, see_all_reasons

pytestmark = pytest.mark.usefixtures("worker")


@pytest.fixture
def listing(sql: Sql) -> UUID:
    return buying.listing(sql, 3)


@pytest.fixture
def late(sql: Sql, listing: UUID) -> Bought:
    """Two of three pieces in a session whose hold has ended."""
    bought = buying.session(sql, buying.cart(sql, {listing: 2}), {listing: 2})
    buying.release(sql, bought)
    assert buying.stock(sql, listing) == (3, 0)
    return bought


def paid(bought: Bought) -> Any:
    return event(bought.reference, "paid")


def others(sql: Sql, listing: UUID, pieces: int) -> Bought:
    """Another customer's session, which holds so many."""
    return buying.session(sql, buying.cart(sql, {listing: pieces}), {listing: pieces})


def test_what_is_there_is_taken_again(sql: Sql, late: Bought, listing: UUID) -> None:
    enter(paid(late))

    assert (buying.order(sql, late), buying.review(sql, late)) == ("placed", None)
    assert (buying.holds(sql, late), buying.stock(sql, listing)) == ([("sold", 2)], (3, 2))


def test_a_part_is_taken_where_there_is_less(sql: Sql, late: Bought, listing: UUID) -> None:
    others(sql, listing, 2)

    enter(paid(late))

    assert (buying.order(sql, late), buying.review(sql, late)) == ("short", "paid_without_stock")
    assert (buying.holds(sql, late), buying.short(sql, late)) == ([("sold", 1)], [1])
    assert buying.stock(sql, listing) == (3, 3)


def test_nothing_is_taken_where_nothing_is_left(sql: Sql, late: Bought, listing: UUID) -> None:
    others(sql, listing, 3)

    enter(paid(late))

    assert (buying.order(sql, late), buying.review(sql, late)) == ("short", "paid_without_stock")
    assert (buying.holds(sql, late), buying.short(sql, late)) == ([], [2])
    assert buying.stock(sql, listing) == (3, 3)


def test_a_shortage_of_people_takes_nothing_more(sql: Sql, late: Bought, listing: UUID) -> None:
    others(sql, listing, 3)
    sql("UPDATE listings SET stock = 1")

    enter(paid(late))

    assert (buying.order(sql, late), buying.stock(sql, listing)) == ("short", (1, 3))


def test_the_last_version_of_the_payment_is_reported(sql: Sql, late: Bought, listing: UUID) -> None:
    """It is computed twice where something is short, and is one change."""
    others(sql, listing, 3)

    (change,) = [each for each in recorded(paid(late)).changes if each.kind == "payment"]

    (row,) = sql("SELECT version FROM payments WHERE id = :id", id=late.payment)
    assert (change.version, change.status_from, change.status_to) == (row.version, "pending", "paid")


def test_pieces_that_another_payment_of_the_filling_only_holds_come_first(sql: Sql, listing: UUID) -> None:
    cart = buying.cart(sql, {listing: 3})
    first = buying.session(sql, cart, {listing: 3})
    buying.release(sql, first)
    second = buying.session(sql, cart, {listing: 3})
    assert buying.stock(sql, listing) == (3, 3)

    enter(paid(first))

    assert buying.order(sql, first) == "placed"
    assert (buying.holds(sql, first), buying.holds(sql, second)) == ([("sold", 3)], [])
    assert buying.stock(sql, listing) == (3, 3)
    assert buying.cancel_requested(sql, second)


def test_what_a_mate_held_beyond_goes_back(sql: Sql, listing: UUID) -> None:
    cart = buying.cart(sql, {listing: 1})
    first = buying.session(sql, cart, {listing: 1})
    buying.release(sql, first)
    buying.session(sql, cart, {listing: 3})

    enter(paid(first))

    assert (buying.holds(sql, first), buying.stock(sql, listing)) == ([("sold", 1)], (3, 1))


def test_several_late_payments_of_a_set_share_what_is_left(sql: Sql, listing: UUID) -> None:
    late = []
    for _ in range(3):
        late.append(buying.session(sql, buying.cart(sql, {listing: 2}), {listing: 2}))
        buying.release(sql, late[-1])

    enter(*map(paid, late))

    assert sorted(sum(buying.short(sql, each)) for each in late) == [0, 1, 2]
    assert sorted(str(buying.order(sql, each)) for each in late) == ["placed", "short", "short"]
    assert buying.stock(sql, listing) == (3, 3)


def test_what_nobody_counted_when_it_was_bought_and_somebody_counts_now_is_taken(sql: Sql) -> None:
    listing = buying.listing(sql, None)
    bought = buying.session(sql, buying.cart(sql, {listing: 2}), {listing: 2}, held=False)
    sql("UPDATE listings SET stock = 5")

    enter(paid(bought))

    assert (buying.order(sql, bought), buying.stock(sql, listing)) == ("placed", (5, 2))


def test_what_nobody_counts_is_never_short(sql: Sql, late: Bought) -> None:
    sql("UPDATE listings SET stock = NULL")

    enter(paid(late))

    assert (buying.order(sql, late), buying.holds(sql, late)) == ("placed", [])


def test_a_listing_in_two_lines_of_a_session_of_before_is_taken_once(sql: Sql, listing: UUID) -> None:
    cart = buying.cart(sql, {listing: 4})
    bought = buying.session(sql, cart, {listing: 2}, held=False)
    sql("UPDATE checkout_sessions SET lines = lines || lines")

    enter(paid(bought))

    assert (buying.short(sql, bought), buying.holds(sql, bought)) == ([0, 1], [("sold", 3)])
    assert (buying.in_cart(sql, cart), buying.stock(sql, listing)) == ({}, (3, 3))


def test_an_order_that_comes_back_takes_its_pieces_again_or_is_short(sql: Sql, listing: UUID) -> None:
    bought = others(sql, listing, 2)
    enter(news(bought.reference, attempt("at_1", "authorized", authorized=Decimal(80))))
    enter(news(bought.reference, attempt("at_1", "expired")))
    others(sql, listing, 2)

    enter(news(bought.reference, capture("ca_1", "80.00", attempt_ref="at_1")))

    assert (buying.order(sql, bought), buying.review(sql, bought)) == ("short", "paid_without_stock")
    assert (buying.holds(sql, bought), buying.stock(sql, listing)) == ([("sold", 1)], (3, 3))


def test_what_was_short_of_a_canceled_order_is_no_reason_any_more(sql: Sql, late: Bought, listing: UUID) -> None:
    others(sql, listing, 3)
    enter(paid(late))
    sql("UPDATE orders SET canceled_at = now()")

    fold(sql, late.payment)

    assert (buying.order(sql, late), buying.short(sql, late)) == ("canceled", [0])
    assert buying.review(sql, late) == "cancellation_unpaid", "the money is still here"


def test_the_reason_that_a_person_saw_stays_away(sql: Sql, late: Bought, listing: UUID) -> None:
    others(sql, listing, 3)
    enter(paid(late))
    see_all_reasons(sql)
    assert buying.review(sql, late) is None

    enter(paid(late))

    assert (buying.review(sql, late), buying.order(sql, late)) == (None, "short")
