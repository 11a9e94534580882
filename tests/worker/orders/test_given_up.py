"""Orders that were canceled for good, beside other payments for the same filling of the cart that have money."""

from __future__ import annotations

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


def authorized(bought: Bought) -> Any:
    return news(bought.reference, attempt("", "authorized", authorized=bought.amount))


def voided(bought: Bought) -> Any:
    return news(bought.reference, attempt("", "canceled"))


def late(bought: Bought) -> Any:
    """Money that comes although its authorization is over."""
    return news(bought.reference, capture(f"ca_{bought.reference}", str(bought.amount)))


def cancel(sql: Sql, bought: Bought) -> None:
    """What staff ask for: the order is canceled at once, and what is authorized is to be released."""
    sql(
        """INSERT INTO order_cancellations (order_id, requested_by, idempotency_key, request_hash)
        SELECT id, uuidv7(), id::text, '' FROM orders WHERE payment_id = :id""",
        id=bought.payment,
    )


def test_a_duplicate_that_was_paid_before_gets_an_order_once_the_other_money_is_released(
    sql: Sql, pair: Pair, listing: UUID
) -> None:
    first, second = pair
    enter(authorized(first))
    enter(event(second.reference, "paid"))
    assert buying.reason(sql, second) == ("duplicate_of", first.payment)
    cancel(sql, first)
    assert buying.reason(sql, second) == ("duplicate_of", first.payment)

    enter(voided(first))

    assert (buying.order(sql, first), buying.order(sql, second)) == ("canceled", "placed")
    assert (buying.orders(sql), buying.reason(sql, second)) == (2, None)
    assert (buying.holds(sql, second), buying.stock(sql, listing)) == ([("sold", 3)], (10, 3))


def test_a_payment_whose_order_was_canceled_for_good_gets_no_second_one(sql: Sql, pair: Pair, listing: UUID) -> None:
    first, second = pair
    enter(authorized(first))
    enter(authorized(second))
    cancel(sql, first)
    enter(voided(first))
    assert [buying.order(sql, each) for each in pair] == ["canceled", "placed"]
    enter(late(first))

    enter(voided(second))

    assert [buying.order(sql, each) for each in pair] == ["canceled", "canceled"]
    assert buying.stock(sql, listing) == (10, 0)
    assert "cancellation_unpaid" in str(buying.review(sql, first))


@pytest.mark.parametrize("end", ["canceled", "expired"])
def test_a_newer_session_takes_the_pieces_over_of_one_whose_only_attempt_ended(sql: Sql, end: str) -> None:
    """The payment itself is not closed, so they are held until its session's end: for the same customer."""
    last = buying.listing(sql, 1)
    cart = buying.cart(sql, {last: 1})
    first = buying.session(sql, cart, {last: 1})
    enter(news(first.reference, attempt("at_1", end)))
    assert buying.holds(sql, first) == [("held", 1)]

    second = buying.session(sql, cart, {last: 1})

    assert (buying.holds(sql, first), buying.holds(sql, second)) == ([], [("held", 1)])
    enter(event(second.reference, "paid"))
    assert (buying.order(sql, second), buying.stock(sql, last)) == ("placed", (1, 1))
