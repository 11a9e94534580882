"""What lies there goes from a listing to its counter, whoever wrote it and how; what is reserved stays."""

from __future__ import annotations

from tests.conftest import MakeListing, Sql
from tests.money import bring_to
from tests.stock.holding import Buyer, MakeBuyer, assert_stock_adds_up, buyer, counter_of, make_buyer

__all__ = ["buyer", "make_buyer"]


def test_a_listing_gets_its_counter_with_its_stock(make_listing: MakeListing, sql: Sql) -> None:
    listing, untracked = make_listing(stock=3), make_listing(stock=None)

    assert counter_of(sql, listing) == (3, 0)
    assert not sql("SELECT FROM stock_counters WHERE listing_id = :id", id=untracked["id"])
    sql("UPDATE listings SET stock = 5 WHERE id = :id", id=untracked["id"])
    assert counter_of(sql, untracked) == (5, 0)


def test_an_update_of_many_listings_carries_each(make_buyer: MakeBuyer, make_listing: MakeListing, sql: Sql) -> None:
    listings = [make_listing(stock=number) for number in range(1, 20)]
    make_buyer().take(*[(listing, 1) for listing in listings])

    sql("UPDATE listings SET stock = stock * 2, title = 'x' || stock")

    assert [counter_of(sql, listing) for listing in listings] == [(number * 2, 1) for number in range(1, 20)]
    assert_stock_adds_up(sql)


def test_an_update_of_something_else_writes_no_counter(make_listing: MakeListing, sql: Sql) -> None:
    make_listing(stock=3)
    before = sql("SELECT xmin::text FROM stock_counters")

    sql("UPDATE listings SET title = 'another', stock = stock")

    assert sql("SELECT xmin::text FROM stock_counters") == before


def test_an_upsert_carries_what_is_new_and_what_changed(buyer: Buyer, make_listing: MakeListing, sql: Sql) -> None:
    changed, same = make_listing(stock=3), make_listing(stock=4)
    buyer.take((changed, 2), (same, 1))

    sql(
        """INSERT INTO listings (id, vendor_id, title, unit_price, currency, stock)
        SELECT id, vendor_id, title, unit_price, currency, stock + 5 FROM listings WHERE id = :changed
        UNION ALL SELECT id, vendor_id, title, unit_price, currency, stock FROM listings WHERE id = :same
        UNION ALL SELECT uuidv7(), vendor_id, 'new', unit_price, currency, 7 FROM listings WHERE id = :same
        ON CONFLICT (id) DO UPDATE SET stock = excluded.stock""",
        changed=changed["id"],
        same=same["id"],
    )

    (new,) = sql("SELECT id FROM listings WHERE title = 'new'")
    assert counter_of(sql, {"id": new.id}) == (7, 0)
    assert (counter_of(sql, changed), counter_of(sql, same)) == ((8, 2), (4, 1))
    assert_stock_adds_up(sql)


def test_stock_that_nobody_counts_for_a_while_keeps_what_is_reserved(
    make_buyer: MakeBuyer, make_listing: MakeListing, sql: Sql
) -> None:
    listing = make_listing(stock=3)
    buyer = make_buyer()
    payment_id = buyer.buy((listing, 2))

    sql("UPDATE listings SET stock = NULL")
    assert make_buyer().take((listing, 99)).held
    bring_to(sql, payment_id, "paid")
    sql("UPDATE listings SET stock = 3")

    assert counter_of(sql, listing) == (3, 2)
    (short,) = make_buyer().take((listing, 2)).short
    assert short.available == 1
    assert_stock_adds_up(sql)


def test_a_listing_that_was_deleted_and_is_there_again_has_its_holds(
    make_buyer: MakeBuyer, make_listing: MakeListing, sql: Sql
) -> None:
    listing = make_listing(stock=3)
    payment_id = make_buyer().buy((listing, 2))
    sql("DELETE FROM listings WHERE id = :id", id=listing["id"])
    assert not sql("SELECT FROM stock_counters")

    make_listing(id=listing["id"], stock=3)

    assert counter_of(sql, listing) == (3, 2)
    (short,) = make_buyer().take((listing, 2)).short
    assert short.available == 1
    bring_to(sql, payment_id, "canceled")
    assert counter_of(sql, listing) == (3, 0)


def test_one_that_is_there_again_uncounted_has_them_once_it_is_counted(
    make_buyer: MakeBuyer, make_listing: MakeListing, sql: Sql
) -> None:
    listing = make_listing(stock=3)
    make_buyer().buy((listing, 2))
    sql("DELETE FROM listings WHERE id = :id", id=listing["id"])
    make_listing(id=listing["id"], stock=None)

    sql("UPDATE listings SET stock = 4")

    assert counter_of(sql, listing) == (4, 2)


def test_money_is_recorded_though_a_listing_is_gone(buyer: Buyer, make_listing: MakeListing, sql: Sql) -> None:
    listing = make_listing(stock=3)
    payment_id = buyer.buy((listing, 2))
    sql("DELETE FROM listings WHERE id = :id", id=listing["id"])

    bring_to(sql, payment_id, "paid")

    assert sql("SELECT status::text FROM orders")[0].status == "placed"


def test_a_counter_that_somebody_changed_by_hand_keeps_no_money_from_being_recorded(
    buyer: Buyer, make_listing: MakeListing, sql: Sql
) -> None:
    listing = make_listing(stock=3)
    payment_id = buyer.buy((listing, 2))
    sql("UPDATE stock_counters SET reserved = 1")

    bring_to(sql, payment_id, "canceled")

    assert counter_of(sql, listing) == (3, 0)
