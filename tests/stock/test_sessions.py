"""A session proves its holds, and takes over those of the older session for the same filling of the cart."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from sqlalchemy.exc import IntegrityError

from tests.conftest import MakeListing, Sql
from tests.money import bring_to
from tests.stock.holding import (
    Buyer,
    MakeBuyer,
    assert_stock_adds_up,
    buyer,
    counter_of,
    holds_of,
    make_buyer,
    until_of,
)

__all__ = ["buyer", "make_buyer"]

EQUAL = "the holds of payment .* are not its lines"
IN_STOCK = "others took what was left"


def open_payments(sql: Sql) -> int:
    return int(sql("SELECT count(*) FROM payments")[0].count)


def test_a_session_without_its_holds_is_refused(buyer: Buyer, make_listing: MakeListing, sql: Sql) -> None:
    listing = make_listing(stock=3)

    with pytest.raises(IntegrityError, match=EQUAL) as refused:
        buyer.open((listing, 1), payment_id=uuid4())

    assert refused.value.orig.diag.constraint_name == "holds_equal_lines"
    assert open_payments(sql) == 0


@pytest.mark.parametrize("held", [1, 3])
def test_a_session_whose_hold_is_of_another_quantity_is_refused(
    buyer: Buyer, make_listing: MakeListing, sql: Sql, held: int
) -> None:
    listing = make_listing(stock=3)
    payment_id = uuid4()
    buyer.take((listing, held), payment_id=payment_id)

    with pytest.raises(IntegrityError, match=EQUAL):
        buyer.open((listing, 2), payment_id=payment_id)

    assert open_payments(sql) == 0
    assert counter_of(sql, listing) == (3, held)


def test_a_session_with_a_hold_that_no_line_has_is_refused(buyer: Buyer, make_listing: MakeListing, sql: Sql) -> None:
    listing, other = make_listing(stock=3), make_listing(stock=3)
    payment_id = uuid4()
    buyer.take((listing, 1), (other, 1), payment_id=payment_id)

    with pytest.raises(IntegrityError, match=EQUAL):
        buyer.open((listing, 1), payment_id=payment_id)


def test_a_listing_on_two_lines_is_held_for_both(buyer: Buyer, make_listing: MakeListing, sql: Sql) -> None:
    listing, payment_id = make_listing(stock=3), uuid4()

    assert buyer.take((listing, 1), (listing, 2), payment_id=payment_id).held
    assert buyer.open((listing, 1), (listing, 2), payment_id=payment_id)

    assert holds_of(sql, payment_id) == {listing["id"]: (3, 3)}


def test_a_hold_that_is_over_but_still_there_is_good_enough(buyer: Buyer, make_listing: MakeListing, sql: Sql) -> None:
    listing = make_listing(stock=3)
    payment_id = uuid4()
    buyer.take((listing, 1), payment_id=payment_id)
    sql("UPDATE holds SET until = now() - interval '1 minute'")

    buyer.open((listing, 1), payment_id=payment_id)

    assert until_of(sql, payment_id) > 3600


def test_a_session_of_the_release_before_needs_no_hold(buyer: Buyer, make_listing: MakeListing, sql: Sql) -> None:
    listing = make_listing(stock=0)

    payment_id = buyer.open((listing, 1), payment_id=uuid4(), held_for=None)
    bring_to(sql, payment_id, "paid")

    assert sql("SELECT status::text FROM orders")[0].status == "short"
    assert_stock_adds_up(sql)


def test_stock_that_is_no_longer_counted_meanwhile_is_no_obstacle(
    buyer: Buyer, make_listing: MakeListing, sql: Sql
) -> None:
    listing = make_listing(stock=3)
    payment_id = uuid4()
    buyer.take((listing, 1), payment_id=payment_id)
    sql("UPDATE listings SET stock = NULL")

    buyer.open((listing, 1), payment_id=payment_id)

    assert counter_of(sql, listing) == (None, 1)
    assert_stock_adds_up(sql)


def test_stock_that_is_counted_meanwhile_asks_for_a_hold(buyer: Buyer, make_listing: MakeListing, sql: Sql) -> None:
    listing = make_listing(stock=None)
    payment_id = uuid4()
    buyer.take((listing, 1), payment_id=payment_id)
    sql("UPDATE listings SET stock = 3")

    with pytest.raises(IntegrityError, match=EQUAL):
        buyer.open((listing, 1), payment_id=payment_id)
    assert buyer.take((listing, 1), payment_id=payment_id).held
    buyer.open((listing, 1), payment_id=payment_id)

    assert counter_of(sql, listing) == (3, 1)


@pytest.mark.parametrize("quantities", [(3, 3), (1, 3), (3, 1)])
def test_the_last_pieces_go_from_the_older_session_to_the_newer(
    buyer: Buyer, make_listing: MakeListing, sql: Sql, quantities: tuple[int, int]
) -> None:
    before, after = quantities
    listing, dropped, new = make_listing(stock=3), make_listing(stock=1), make_listing(stock=1)
    older, newer = buyer.buy((listing, before), (dropped, 1)), uuid4()

    assert buyer.take((listing, after), (new, 1), payment_id=newer).held

    assert holds_of(sql, older) == {listing["id"]: (before, before), dropped["id"]: (1, 1)}
    assert holds_of(sql, newer) == {listing["id"]: (after, max(after - before, 0)), new["id"]: (1, 1)}
    assert_stock_adds_up(sql)
    buyer.open((listing, after), (new, 1), payment_id=newer)
    assert holds_of(sql, older) == {}
    assert holds_of(sql, newer) == {listing["id"]: (after, after), new["id"]: (1, 1)}
    assert counter_of(sql, dropped) == (1, 0)
    assert_stock_adds_up(sql)


def test_a_newer_session_that_is_not_opened_leaves_the_older_its_holds(
    buyer: Buyer, make_listing: MakeListing, sql: Sql
) -> None:
    listing = make_listing(stock=2)
    older, newer = buyer.buy((listing, 1)), uuid4()
    buyer.take((listing, 2), payment_id=newer)
    assert counter_of(sql, listing) == (2, 2)

    buyer.release(newer)

    assert holds_of(sql, older) == {listing["id"]: (1, 1)}
    assert counter_of(sql, listing) == (2, 1)


def test_the_older_holds_are_there_until_the_newer_session_is(
    buyer: Buyer, make_listing: MakeListing, sql: Sql
) -> None:
    listing = make_listing(stock=2)
    older = buyer.buy((listing, 2))
    sql("UPDATE holds SET until = now() + interval '1 second'")

    buyer.take((listing, 2))

    (hold,) = sql("SELECT until - now() AS left FROM holds WHERE payment_id = :id", id=older)
    assert 100 < hold.left.total_seconds() <= 120


def test_a_session_of_another_filling_keeps_its_holds(
    buyer: Buyer, make_buyer: MakeBuyer, make_listing: MakeListing, sql: Sql
) -> None:
    listing = make_listing(stock=2)
    older = buyer.buy((listing, 1))
    sql("UPDATE carts SET generation = generation + 1 WHERE id = :id", id=buyer.cart_id)

    assert buyer.take((listing, 2)).short
    buyer.buy((listing, 1))

    assert holds_of(sql, older) == {listing["id"]: (1, 1)}
    assert make_buyer().take((listing, 1)).short


@pytest.mark.parametrize("status", ["processing", "authorized", "partially_paid"])
def test_a_session_whose_money_is_under_way_keeps_its_holds(
    buyer: Buyer, make_listing: MakeListing, sql: Sql, status: str
) -> None:
    listing = make_listing(stock=3)
    older = buyer.buy((listing, 2))
    bring_to(sql, older, status, amount="1")

    assert buyer.take((listing, 2)).short
    newer = buyer.buy((listing, 1))

    assert holds_of(sql, older) == {listing["id"]: (2, 2)}
    assert holds_of(sql, newer) == {listing["id"]: (1, 1)}
    assert_stock_adds_up(sql)


@pytest.mark.parametrize("status", ["processing", "authorized"])
def test_money_that_goes_under_way_before_the_newer_session_is_there_keeps_its_pieces(
    buyer: Buyer, make_listing: MakeListing, sql: Sql, status: str
) -> None:
    enough, last = make_listing(stock=4), make_listing(stock=2)
    older, newer = buyer.buy((enough, 2), (last, 2)), uuid4()
    assert buyer.take((enough, 2), (last, 2), payment_id=newer).held
    # Only some of it: all of it would end the filling of the cart.
    bring_to(sql, older, status, amount="1")

    with pytest.raises(IntegrityError, match=IN_STOCK) as refused:
        buyer.open((enough, 2), (last, 2), payment_id=newer)

    assert refused.value.orig.diag.constraint_name == "holds_in_stock"
    assert holds_of(sql, older) == {enough["id"]: (2, 2), last["id"]: (2, 2)}
    assert_stock_adds_up(sql)
    assert buyer.release(newer) == 2
    assert_stock_adds_up(sql)
    sql("UPDATE listings SET stock = 4")
    assert buyer.take((enough, 2), (last, 2), payment_id=newer).held
    assert buyer.open((enough, 2), (last, 2), payment_id=newer)
    assert counter_of(sql, last) == (4, 4)


def test_a_cart_that_was_paid_meanwhile_gets_no_session_and_its_holds_go_back(
    buyer: Buyer, make_listing: MakeListing, sql: Sql
) -> None:
    listing = make_listing(stock=2)
    older, newer, generation = buyer.buy((listing, 1)), uuid4(), buyer.generation
    buyer.take((listing, 2), payment_id=newer)
    bring_to(sql, older, "paid")

    assert buyer.open((listing, 2), payment_id=newer, generation=generation) is None
    assert buyer.release(newer) == 1

    assert holds_of(sql, older) == {listing["id"]: (1, 1)}
    assert counter_of(sql, listing) == (2, 1)


def test_money_that_goes_under_way_meanwhile_lets_the_newer_session_take_what_is_there(
    buyer: Buyer, make_listing: MakeListing, sql: Sql
) -> None:
    listing = make_listing(stock=4)
    older, newer = buyer.buy((listing, 2)), uuid4()
    buyer.take((listing, 2), payment_id=newer)
    assert counter_of(sql, listing) == (4, 2)
    bring_to(sql, older, "processing")

    buyer.open((listing, 2), payment_id=newer)

    assert counter_of(sql, listing) == (4, 4)
    assert_stock_adds_up(sql)


def test_of_two_newer_sessions_the_second_takes_over_from_the_first(
    buyer: Buyer, make_listing: MakeListing, sql: Sql
) -> None:
    listing = make_listing(stock=2)
    oldest, first, second = buyer.buy((listing, 2)), uuid4(), uuid4()
    assert buyer.take((listing, 2), payment_id=first).held
    assert buyer.take((listing, 2), payment_id=second).held

    buyer.open((listing, 2), payment_id=first)
    assert counter_of(sql, listing) == (2, 2)
    buyer.open((listing, 2), payment_id=second)

    assert [holds_of(sql, each) for each in (oldest, first, second)] == [{}, {}, {listing["id"]: (2, 2)}]
    assert_stock_adds_up(sql)


def test_a_take_that_was_never_opened_does_not_shut_its_customer_out(
    buyer: Buyer, make_listing: MakeListing, sql: Sql
) -> None:
    listing = make_listing(stock=2)
    buyer.buy((listing, 2))
    assert buyer.take((listing, 2)).held, "its web process dies now"

    newer = buyer.buy((listing, 2))

    assert holds_of(sql, newer) == {listing["id"]: (2, 2)}
    assert_stock_adds_up(sql)


@pytest.mark.parametrize("closed", ["expired", "canceled"])
def test_holds_end_with_their_payment(buyer: Buyer, make_listing: MakeListing, sql: Sql, closed: str) -> None:
    listing = make_listing(stock=2)
    payment_id = buyer.buy((listing, 2))

    bring_to(sql, payment_id, closed)

    assert holds_of(sql, payment_id) == {}
    assert counter_of(sql, listing) == (2, 0)


def sold(sql: Sql, payment_id: UUID) -> list[str]:
    return [row.state for row in sql("SELECT state::text FROM holds WHERE payment_id = :id", id=payment_id)]


def test_paid_changes_the_holds_row_alone(buyer: Buyer, make_listing: MakeListing, sql: Sql) -> None:
    listing = make_listing(stock=2)
    payment_id = buyer.buy((listing, 2))
    before = sql("SELECT xmin::text, reserved FROM stock_counters")

    bring_to(sql, payment_id, "paid")

    assert sql("SELECT xmin::text, reserved FROM stock_counters") == before
    assert sold(sql, payment_id) == ["sold"]


def test_pieces_of_the_older_session_go_back_where_the_newer_one_wants_none(
    buyer: Buyer, make_listing: MakeListing, sql: Sql
) -> None:
    tracked, untracked = make_listing(stock=3), make_listing(stock=None)
    older, newer = buyer.buy((tracked, 2)), uuid4()

    assert buyer.open((untracked, 1), payment_id=newer)

    assert (holds_of(sql, older), holds_of(sql, newer)) == ({}, {})
    assert counter_of(sql, tracked) == (3, 0)
    assert_stock_adds_up(sql)
