"""Two payments of one filling of a cart: one has the order, and the other says whose it is."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from tests.conftest import Sql
from tests.worker.orders import buying
from tests.worker.orders.buying import Bought
from tests.worker.scripted import event
from tests.worker.transitions.entered import attempt, capture, enter, news

pytestmark = pytest.mark.usefixtures("worker")

Pair = tuple[Bought, Bought]


@pytest.fixture
def listing(sql: Sql) -> UUID:
    return buying.listing(sql, 10)


@pytest.fixture
def pair(sql: Sql, listing: UUID) -> Pair:
    """Two tabs of one cart: two pieces in the first, three in the second. Both were under way when they were opened."""
    cart = buying.cart(sql, {listing: 2})
    first = buying.session(sql, cart, {listing: 2})
    enter(event(first.reference, "processing"))
    second = buying.session(sql, cart, {listing: 3})
    enter(event(second.reference, "processing"))
    return first, second


def paid(bought: Bought) -> Any:
    return event(bought.reference, "paid")


def authorized(bought: Bought) -> Any:
    return news(bought.reference, attempt("", "authorized", authorized=bought.amount))


def voided(bought: Bought) -> Any:
    return news(bought.reference, attempt("", "canceled"))


def late(bought: Bought) -> Any:
    """Money that comes although its authorization is over."""
    return news(bought.reference, capture(f"ca_{bought.reference}", str(bought.amount)))


@pytest.mark.parametrize("turn", [1, -1])
def test_the_first_has_the_order(sql: Sql, pair: Pair, turn: int) -> None:
    first, second = pair[::turn]
    enter(paid(first))
    enter(paid(second))

    assert (buying.orders(sql), buying.order(sql, first), buying.reason(sql, first)) == (1, "placed", None)
    assert (buying.order(sql, second), buying.reason(sql, second)) == (None, ("duplicate_of", first.payment))
    assert [buying.review(sql, each) for each in pair] == ["paid_twice"] * 2


def test_of_two_in_one_set_one_has_it(sql: Sql, pair: Pair, listing: UUID) -> None:
    enter(*map(paid, pair), *map(paid, pair))

    has, lacks = sorted(pair, key=lambda each: buying.order(sql, each) is None)
    assert (buying.orders(sql), buying.order(sql, has)) == (1, "placed")
    assert buying.reason(sql, lacks) == ("duplicate_of", has.payment)
    assert buying.in_cart(sql, has.cart) == {}


def test_a_duplicate_is_authorized_alike(sql: Sql, pair: Pair) -> None:
    first, second = pair
    enter(authorized(first), event("unknown", "paid"))
    enter(authorized(second))

    assert buying.order(sql, first) == "placed"
    assert buying.reason(sql, second) == ("duplicate_of", first.payment)


@pytest.mark.parametrize("money", [paid, authorized])
def test_a_duplicate_gives_its_pieces_back_at_once(sql: Sql, pair: Pair, listing: UUID, money: Any) -> None:
    first, second = pair
    enter(paid(first))
    assert buying.stock(sql, listing) == (10, 5)

    enter(money(second))

    assert buying.reason(sql, second) == ("duplicate_of", first.payment)
    assert (buying.holds(sql, first), buying.holds(sql, second)) == ([("sold", 2)], [])
    assert buying.stock(sql, listing) == (10, 2)


def test_a_duplicate_of_an_order_that_was_canceled_for_good_keeps_its_pieces(
    sql: Sql, pair: Pair, listing: UUID
) -> None:
    """It has an order of its own, once what is authorized for the other is released."""
    first, second = pair
    enter(authorized(first))
    sql("UPDATE orders SET canceled_at = now()")
    enter(paid(second))
    assert (buying.reason(sql, second), buying.holds(sql, second)) == (("duplicate_of", first.payment), [("held", 3)])

    enter(voided(first))

    assert (buying.order(sql, second), buying.stock(sql, listing)) == ("placed", (10, 3))


@pytest.mark.parametrize("last", ["paid", "voided", "together"])
def test_an_order_whose_authorization_ended_goes_to_the_duplicate_that_has_money(
    sql: Sql, pair: Pair, listing: UUID, last: str
) -> None:
    first, second = pair
    enter(authorized(first))
    sql("UPDATE orders SET number = 7")
    (before,) = sql("SELECT id FROM orders")
    if last == "paid":
        enter(voided(first))
        assert buying.order(sql, first) == "canceled"
        enter(paid(second))
    elif last == "voided":
        enter(paid(second))
        assert buying.reason(sql, second) == ("duplicate_of", first.payment)
        enter(voided(first))
    else:
        enter(paid(second), voided(first))

    assert (buying.orders(sql), buying.order(sql, first), buying.order(sql, second)) == (1, None, "placed")
    assert [buying.reason(sql, each) for each in pair] == [None, None]
    (made,) = sql("SELECT id, number, amount, (SELECT sum(qty) FROM order_lines) AS qty FROM orders")
    assert tuple(made) == (before.id, 7, 120, 3)
    assert (buying.holds(sql, first), buying.holds(sql, second)) == ([], [("sold", 3)])
    assert buying.stock(sql, listing) == (10, 3)

    enter(late(first))
    assert buying.reason(sql, first) == ("duplicate_of", second.payment)
    assert buying.orders(sql) == 1


def test_pieces_go_along_with_an_order_that_is_passed_on(sql: Sql, pair: Pair, listing: UUID) -> None:
    first, second = pair
    enter(authorized(first))
    buying.release(sql, second)
    sql("UPDATE listings SET stock = 2")
    assert buying.stock(sql, listing) == (2, 2)

    enter(voided(first), paid(second))

    assert (buying.order(sql, second), buying.short(sql, second)) == ("short", [1])
    assert (buying.holds(sql, second), buying.stock(sql, listing)) == ([("sold", 2)], (2, 2))
    assert buying.review(sql, second) == "paid_without_stock"


def test_an_order_that_was_canceled_for_good_gives_the_filling_up(sql: Sql, pair: Pair, listing: UUID) -> None:
    first, second = pair
    enter(authorized(first))
    sql("UPDATE orders SET canceled_at = now()")
    enter(voided(first))

    enter(paid(second))

    assert (buying.orders(sql), buying.order(sql, first), buying.order(sql, second)) == (2, "canceled", "placed")
    assert buying.reason(sql, second) is None
    assert (buying.holds(sql, second), buying.stock(sql, listing)) == ([("sold", 3)], (10, 3))
    enter(late(first))
    assert (buying.order(sql, first), buying.orders(sql)) == ("canceled", 2)
    assert "cancellation_unpaid" in str(buying.review(sql, first))


def test_a_payment_of_before_gets_no_order_of_another(sql: Sql, pair: Pair) -> None:
    first, second = pair
    sql("INSERT INTO order_reasons (payment_id, reason) VALUES (:id, 'before_orders')", id=second.payment)
    enter(authorized(first))
    enter(paid(second))
    enter(voided(first))

    assert (buying.order(sql, first), buying.reason(sql, second)) == ("canceled", ("before_orders", None))


def test_open_payments_of_the_filling_are_to_be_canceled_and_those_under_way_are_not(
    sql: Sql, pair: Pair, listing: UUID
) -> None:
    first, second = pair
    third = buying.session(sql, first.cart, {listing: 1}, held=False)
    enter(paid(first))

    assert [buying.cancel_requested(sql, each) for each in (first, second, third)] == [False, False, True]


def test_sessions_without_a_generation_are_fillings_of_their_own(sql: Sql, listing: UUID) -> None:
    cart = buying.cart(sql, {listing: 5})
    old = [buying.session(sql, cart, {listing: 2}, held=False, generation="NULL") for _ in range(2)]

    enter(*map(paid, old))

    assert [buying.order(sql, each) for each in old] == ["placed", "placed"]
    assert (buying.in_cart(sql, cart), buying.generation(sql, cart)) == ({listing: 1}, 0)
    assert buying.stock(sql, listing) == (10, 4)


def test_a_mate_with_too_little_money_gets_no_order_of_another(sql: Sql, pair: Pair) -> None:
    first, second = pair
    enter(authorized(first))
    enter(event(second.reference, "paid", amount=Decimal(5), currency="USD"))
    enter(voided(first))

    assert (buying.order(sql, first), buying.order(sql, second)) == ("canceled", None)
