"""Pieces are held for a payment all or none, never more than there are."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from checkout_service.stock.operations import HeldResult, ShortLine
from tests.conftest import MakeListing, Sql
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


def test_pieces_are_held_until_the_session_and_then_as_long_as_it_says(
    buyer: Buyer, make_listing: MakeListing, sql: Sql
) -> None:
    listing = make_listing(stock=3)
    payment_id = uuid4()

    assert buyer.take((listing, 2), payment_id=payment_id).held

    assert counter_of(sql, listing) == (3, 2)
    assert 100 < until_of(sql, payment_id) <= 120
    assert sql("SELECT user_id FROM holds")[0].user_id == buyer.id
    buyer.open((listing, 2), payment_id=payment_id)
    assert 4000 < until_of(sql, payment_id) <= 4200
    assert_stock_adds_up(sql)


def test_short_of_one_line_nothing_is_held(make_buyer: MakeBuyer, make_listing: MakeListing, sql: Sql) -> None:
    plenty, few, none = make_listing(stock=9), make_listing(stock=2), make_listing(stock=0)
    assert make_buyer().take((few, 1)).held

    result = make_buyer().take((none, 1), (plenty, 1), (few, 2))

    assert not result.held
    assert set(result.short) == {ShortLine(few["id"], 2, 1), ShortLine(none["id"], 1, 0)}
    assert counter_of(sql, plenty) == (9, 0)
    assert counter_of(sql, few) == (2, 1)
    assert_stock_adds_up(sql)


def test_sold_out_is_answered_without_a_lock(
    make_buyer: MakeBuyer, make_listing: MakeListing, superuser: Engine
) -> None:
    listing = make_listing(stock=1)
    make_buyer().take((listing, 1))

    with superuser.connect().execution_options(isolation_level="READ COMMITTED") as other, other.begin():
        other.exec_driver_sql("SELECT FROM stock_counters FOR UPDATE")
        other.exec_driver_sql("SELECT FROM users FOR UPDATE")

        assert make_buyer().take((listing, 1)).short == [ShortLine(listing["id"], 1, 0)]


def test_less_than_is_reserved_counts_as_nothing(make_buyer: MakeBuyer, make_listing: MakeListing, sql: Sql) -> None:
    listing = make_listing(stock=3)
    make_buyer().take((listing, 3))
    sql("UPDATE listings SET stock = 1")

    assert make_buyer().take((listing, 1)).short == [ShortLine(listing["id"], 1, 0)]


def test_what_nobody_counts_is_not_held(buyer: Buyer, make_listing: MakeListing, sql: Sql) -> None:
    untracked, tracked = make_listing(stock=None), make_listing(stock=2)
    payment_id = uuid4()

    assert buyer.take((untracked, 1000), (tracked, 1), payment_id=payment_id).held
    buyer.open((untracked, 1000), (tracked, 1), payment_id=payment_id)

    assert holds_of(sql, payment_id) == {tracked["id"]: (1, 1)}


def test_a_cart_of_nothing_that_is_counted_takes_no_hold(buyer: Buyer, make_listing: MakeListing, sql: Sql) -> None:
    assert buyer.take((make_listing(stock=None), 5)).held
    assert buyer.take().held

    assert not sql("SELECT FROM holds")


def test_retries_of_one_key_share_their_holds_and_lengthen_them(
    buyer: Buyer, make_listing: MakeListing, sql: Sql
) -> None:
    listing = make_listing(stock=2)
    payment_id = uuid4()
    buyer.take((listing, 2), payment_id=payment_id)
    sql("UPDATE holds SET until = now() + interval '1 second'")

    assert buyer.take((listing, 2), payment_id=payment_id).held

    assert holds_of(sql, payment_id) == {listing["id"]: (2, 2)}
    assert 100 < until_of(sql, payment_id) <= 120
    assert_stock_adds_up(sql)


def test_a_retry_whose_cart_changed_replaces_its_own_holds(buyer: Buyer, make_listing: MakeListing, sql: Sql) -> None:
    kept, gone, more, new = (make_listing(stock=3) for _ in range(4))
    payment_id = uuid4()
    buyer.take((kept, 3), (gone, 3), (more, 1), payment_id=payment_id)

    assert buyer.take((kept, 1), (more, 3), (new, 2), payment_id=payment_id).held

    assert holds_of(sql, payment_id) == {kept["id"]: (1, 1), more["id"]: (3, 3), new["id"]: (2, 2)}
    assert_stock_adds_up(sql)
    assert buyer.take((make_listing(stock=None), 1), payment_id=payment_id).held
    assert holds_of(sql, payment_id) == {}
    assert_stock_adds_up(sql)


def test_a_retry_that_wants_more_than_there_is_changes_nothing(
    make_buyer: MakeBuyer, make_listing: MakeListing, sql: Sql
) -> None:
    listing, other = make_listing(stock=3), make_listing(stock=3)
    buyer, payment_id = make_buyer(), uuid4()
    buyer.take((listing, 1), (other, 1), payment_id=payment_id)
    make_buyer().take((listing, 1))

    assert buyer.take((listing, 3), payment_id=payment_id).short == [ShortLine(listing["id"], 3, 2)]

    assert holds_of(sql, payment_id) == {listing["id"]: (1, 1), other["id"]: (1, 1)}


def test_holds_of_a_session_are_left_alone_by_a_late_retry(buyer: Buyer, make_listing: MakeListing, sql: Sql) -> None:
    listing, other = make_listing(stock=3), make_listing(stock=3)
    payment_id = buyer.buy((listing, 2))

    assert buyer.take((listing, 1), (other, 1), payment_id=payment_id).held

    assert holds_of(sql, payment_id) == {listing["id"]: (2, 2)}
    assert until_of(sql, payment_id) > 4000
    assert_stock_adds_up(sql)


def take_raw(sql: Sql, buyer: Buyer, listings: str, quantities: str) -> list[Any]:
    return sql(
        f"SELECT * FROM hold_take(uuidv7(), :user, :cart, 1, {listings}, {quantities})",
        user=buyer.id,
        cart=buyer.cart_id,
    )


def test_a_listing_that_is_named_twice_is_held_once_with_all_its_pieces(
    buyer: Buyer, make_listing: MakeListing, sql: Sql
) -> None:
    listing = make_listing(stock=3)
    twice = f"ARRAY['{listing['id']}', '{listing['id']}']::uuid[]"

    (short,) = take_raw(sql, buyer, twice, "ARRAY[2, 2]")
    assert (short.pieces, short.available) == (4, 3)
    (most,) = take_raw(sql, buyer, twice, "ARRAY[2147483647, 2147483647]")
    assert (most.pieces, most.available) == (2147483647, 3)
    assert take_raw(sql, buyer, twice, "ARRAY[1, 2]") == []

    assert counter_of(sql, listing) == (3, 3)
    assert [row.qty for row in sql("SELECT qty FROM holds")] == [3]


@pytest.mark.parametrize(
    ("listings", "quantities"),
    [
        ("ARRAY[:a, :b]::uuid[]", "ARRAY[1]"),
        ("ARRAY[:a]::uuid[]", "ARRAY[1, 1]"),
        ("ARRAY[:a, :b]::uuid[]", "ARRAY[1, NULL]"),
        ("ARRAY[:a, NULL]::uuid[]", "ARRAY[1, 1]"),
        ("ARRAY[:a]::uuid[]", "ARRAY[0]"),
        ("ARRAY[:a]::uuid[]", "ARRAY[-1]"),
        ("NULL::uuid[]", "ARRAY[1]"),
        ("ARRAY[:a]::uuid[]", "NULL::integer[]"),
    ],
)
def test_lines_that_are_none_are_refused(
    buyer: Buyer, make_listing: MakeListing, sql: Sql, listings: str, quantities: str
) -> None:
    first, second = make_listing(stock=3), make_listing(stock=3)
    listings = listings.replace(":a", f"'{first['id']}'").replace(":b", f"'{second['id']}'")

    with pytest.raises(DBAPIError, match="each listing has a quantity above 0"):
        take_raw(sql, buyer, listings, quantities)

    assert not sql("SELECT FROM holds")


def test_a_customer_holds_no_more_pieces_than_one_may(buyer: Buyer, make_listing: MakeListing, sql: Sql) -> None:
    listing, untracked = make_listing(stock=99), make_listing(stock=None)
    payment_id = buyer.buy((listing, 3))
    sql("UPDATE carts SET generation = generation + 1")

    assert buyer.take((listing, 2), (untracked, 50), most_of_owner=5).held
    full = buyer.take((listing, 1), most_of_owner=5)

    assert not full.held
    assert full.full_for is not None
    assert 100 < full.full_for <= 120, "the first of them end with the hold that has no session"
    assert buyer.take((untracked, 50), most_of_owner=5).held
    assert buyer.take((listing, 1), most_of_owner=6).held
    assert buyer.take((listing, 99 - 6)).held
    assert holds_of(sql, payment_id) == {listing["id"]: (3, 3)}
    assert_stock_adds_up(sql)


def test_more_than_one_may_ever_hold_is_named_so(buyer: Buyer, make_listing: MakeListing, sql: Sql) -> None:
    listing = make_listing(stock=99)

    assert buyer.take((listing, 6), most_of_owner=5) == HeldResult(most=5)
    assert buyer.take((listing, 5), most_of_owner=5, address=b"here", most_of_address=4) == HeldResult(most=4)

    assert counter_of(sql, listing) == (99, 0)


def test_what_a_payment_or_its_older_session_holds_does_not_count_against_it(
    buyer: Buyer, make_listing: MakeListing
) -> None:
    listing = make_listing(stock=99)
    buyer.buy((listing, 5))
    payment_id = uuid4()

    assert buyer.take((listing, 5), payment_id=payment_id, most_of_owner=5).held
    assert buyer.take((listing, 5), payment_id=payment_id, most_of_owner=5).held


def test_callers_of_one_address_share_a_bound(make_buyer: MakeBuyer, make_listing: MakeListing, sql: Sql) -> None:
    listing = make_listing(stock=99)
    first, second, elsewhere = make_buyer(), make_buyer(), make_buyer()
    payment_id = uuid4()
    first.take((listing, 3), payment_id=payment_id)
    first.open((listing, 3), payment_id=payment_id, address=b"here")

    full = second.take((listing, 3), address=b"here", most_of_address=5)

    assert full.full_for is not None
    assert 4000 < full.full_for <= 4200
    assert elsewhere.take((listing, 3), address=b"there", most_of_address=5).held
    assert second.take((listing, 2), address=b"here", most_of_address=5).held
    assert first.take((listing, 5), address=b"here", most_of_address=5).held, "it takes its older session's over"
    assert second.take((listing, 3), address=None, most_of_address=2).held


def test_what_is_released_can_be_taken_at_once(make_buyer: MakeBuyer, make_listing: MakeListing, sql: Sql) -> None:
    listing, other = make_listing(stock=1), make_listing(stock=None)
    buyer, payment_id = make_buyer(), uuid4()
    buyer.take((listing, 1), (other, 1), payment_id=payment_id)

    assert buyer.release(payment_id) == 1
    assert buyer.release(payment_id) == 0

    assert make_buyer().take((listing, 1)).held
    assert_stock_adds_up(sql)


def test_what_a_session_holds_is_not_released(buyer: Buyer, make_listing: MakeListing, sql: Sql) -> None:
    listing = make_listing(stock=1)
    payment_id = buyer.buy((listing, 1))

    assert buyer.release(payment_id) == 0

    assert counter_of(sql, listing) == (1, 1)
