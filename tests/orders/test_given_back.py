"""Pieces that were given back by line are not to be sent any more: back into the stock, and waited for no longer."""

from __future__ import annotations

import csv
from io import StringIO
from typing import Any

import pytest

from checkout_service.oversight.order_statements import SHORT_WITHOUT_HOLD, SOLD
from checkout_service.oversight.promises import BEGINNING
from tests.conftest import Customer, MakeListing, Sql
from tests.money import fold
from tests.order_requests import (
    Ordered,
    ask_cancellation,
    ask_fulfilment,
    handed_over,
    ordered,
    ordered_by_captures,
    pieces,
    problem,
    reasons_of,
    set_stock,
    short_order,
    status_of,
    stock_of,
)
from tests.refunding import ask_refund, insert_refund, staff_of, sums
from tests.stock.holding import assert_stock_adds_up


@pytest.fixture
def staff(customer: Customer) -> Customer:
    return staff_of(customer)


@pytest.fixture
def listing(make_listing: MakeListing) -> dict[str, Any]:
    """Ten pieces lie there."""
    return make_listing(unit_price="40.00")


@pytest.fixture
def order(sql: Sql, customer: Customer, listing: dict[str, Any]) -> Ordered:
    """Of 3 × 40.00, paid."""
    return ordered(sql, customer, (listing, 3))


def moved(sql: Sql, order: Ordered, status: str, *, part: int | None = None) -> None:
    """All refunds of the order's payment that have not failed, or one part of each, come to this status."""
    sql(
        """UPDATE refunds SET status = CAST(:status AS refund_status), next_attempt_at = NULL
        WHERE payment_id = :id AND status < 'failed' AND (CAST(:part AS integer) IS NULL OR part = :part)""",
        id=order.payment_id,
        status=status,
        part=part,
    )
    fold(sql, order.payment_id)


def give_back(staff: Customer, sql: Sql, order: Ordered, qty: int, *, line: int = 0, key: str = "refund-1") -> None:
    """Ask for the price of so many pieces, and have it given back."""
    answer = ask_refund(staff, order.payment_id, key, lines=[pieces(order.lines[line], qty)])
    assert answer.status_code == 202, answer.text
    moved(sql, order, "succeeded")


def adds_up(sql: Sql) -> None:
    """Counters are what lies there and is held, and holds are what the orders still need."""
    assert_stock_adds_up(sql)
    assert not [row for row in sql(SOLD.text, **BEGINNING) if row.wrong]
    assert not sql(SHORT_WITHOUT_HOLD.text, limit=None)


def canceled(sql: Sql, order: Ordered) -> list[int]:
    rows = sql("SELECT qty_canceled FROM order_lines WHERE order_id = :id ORDER BY place", id=order.id)
    return [row.qty_canceled for row in rows]


def shown(staff: Customer, order: Ordered) -> tuple[int, int, int]:
    """What the API says of the first line: given back, on its way back, not to be sent any more."""
    line = staff.get(f"/api/admin/orders/{order.id}").json["lines"][0]
    return line["qty_refunded"], line["qty_refunding"], line["qty_canceled"]


def test_what_was_given_back_before_it_was_sent_goes_back_into_the_stock_and_the_order_is_done(
    staff: Customer, order: Ordered, sql: Sql, listing: dict[str, Any]
) -> None:
    ask_fulfilment(staff, order.id, lines=[pieces(order.lines[0], 2)])
    assert ask_refund(staff, order.payment_id, lines=[pieces(order.lines[0], 1)]).status_code == 202
    assert (status_of(sql, order), stock_of(sql, listing)) == ("partially_fulfilled", (8, 1)), "it may fail yet"
    assert shown(staff, order) == (0, 1, 0)

    moved(sql, order, "succeeded")

    assert (status_of(sql, order), stock_of(sql, listing)) == ("fulfilled", (8, 0))
    assert (handed_over(sql, order), canceled(sql, order), shown(staff, order)) == ([(2, 0)], [1], (1, 0, 1))
    adds_up(sql)


def test_what_is_still_to_be_sent_stays_reserved(
    staff: Customer, sql: Sql, customer: Customer, listing: dict[str, Any], make_listing: MakeListing
) -> None:
    other = make_listing(stock=5)
    order = ordered(sql, customer, (listing, 3), (other, 2))

    (before,) = sql("SELECT version FROM orders")
    give_back(staff, sql, order, 2)
    assert (status_of(sql, order), canceled(sql, order)) == ("placed", [2, 0])
    assert sql("SELECT version FROM orders")[0].version > before.version, "who has read it before reads it anew"
    assert (stock_of(sql, listing), stock_of(sql, other)) == ((10, 1), (5, 2))
    adds_up(sql)

    assert ask_fulfilment(staff, order.id).status_code == 201
    assert (status_of(sql, order), handed_over(sql, order)) == ("fulfilled", [(1, 0), (2, 0)])
    assert (stock_of(sql, listing), stock_of(sql, other)) == ((9, 0), (3, 0))
    adds_up(sql)


def test_two_refunds_of_one_line_add_up(staff: Customer, order: Ordered, sql: Sql, listing: dict[str, Any]) -> None:
    give_back(staff, sql, order, 1)
    give_back(staff, sql, order, 1, key="refund-2")
    moved(sql, order, "succeeded")

    assert (canceled(sql, order), stock_of(sql, listing)) == ([2], (10, 1))
    adds_up(sql)


def test_what_was_sent_before_it_was_given_back_is_not_in_the_stock(
    staff: Customer, order: Ordered, sql: Sql, listing: dict[str, Any]
) -> None:
    ask_refund(staff, order.payment_id, lines=[pieces(order.lines[0], 2)])
    ask_fulfilment(staff, order.id, lines=[pieces(order.lines[0], 3)])

    moved(sql, order, "succeeded")

    assert (status_of(sql, order), canceled(sql, order), stock_of(sql, listing)) == ("fulfilled", [0], (7, 0))
    assert shown(staff, order) == (2, 0, 0)


def test_an_order_that_was_given_back_whole_before_anything_was_sent_is_canceled(
    staff: Customer, order: Ordered, sql: Sql, listing: dict[str, Any]
) -> None:
    give_back(staff, sql, order, 3)

    assert (status_of(sql, order), stock_of(sql, listing)) == ("canceled", (10, 0))
    assert problem(ask_fulfilment(staff, order.id)) == (409, "order-canceled")
    assert problem(ask_cancellation(staff, order.id)) == (409, "order-canceled")
    assert sql("SELECT canceled_at FROM orders")[0].canceled_at is None
    adds_up(sql)


def test_where_money_is_left_it_waits_for_somebody_to_cancel_it(
    staff: Customer, customer: Customer, sql: Sql, listing: dict[str, Any]
) -> None:
    order = ordered_by_captures(sql, customer, (listing, 3), amounts=["120.00", "5.00"])
    give_back(staff, sql, order, 3)

    assert (status_of(sql, order), stock_of(sql, listing)) == ("placed", (10, 0))
    assert ask_cancellation(staff, order.id).status_code == 202
    assert (status_of(sql, order), sums(sql, order.payment_id)) == ("canceled", ("120.00", "5.00"))
    adds_up(sql)


def test_one_that_failed_after_all_takes_its_pieces_again(
    staff: Customer, order: Ordered, sql: Sql, listing: dict[str, Any]
) -> None:
    give_back(staff, sql, order, 3)
    assert status_of(sql, order) == "canceled"

    moved(sql, order, "failed")
    sql("UPDATE refunds SET status = 'failed'")
    fold(sql, order.payment_id)

    assert (status_of(sql, order), canceled(sql, order), stock_of(sql, listing)) == ("placed", [0], (10, 3))
    adds_up(sql)


def test_where_others_bought_them_meanwhile_it_is_short(
    staff: Customer, sql: Sql, customer: Customer, make_listing: MakeListing, make_customer: Any
) -> None:
    scarce = make_listing(unit_price="40.00", stock=3)
    order = ordered(sql, customer, (scarce, 3))
    ask_fulfilment(staff, order.id, lines=[pieces(order.lines[0], 1)])
    give_back(staff, sql, order, 2)
    assert (status_of(sql, order), stock_of(sql, scarce)) == ("fulfilled", (2, 0))
    other = ordered(sql, make_customer(), (scarce, 1))

    sql("UPDATE refunds SET status = 'failed'")
    fold(sql, order.payment_id)

    assert (status_of(sql, order), handed_over(sql, order)) == ("partially_fulfilled", [(1, 1)])
    assert (reasons_of(sql, order), stock_of(sql, scarce)) == ("paid_without_stock", (2, 2))
    assert (status_of(sql, other), handed_over(sql, other)) == ("placed", [(0, 0)])
    adds_up(sql)


def test_a_refund_that_failed_before_it_was_made_changes_nothing(
    staff: Customer, order: Ordered, sql: Sql, listing: dict[str, Any]
) -> None:
    ask_refund(staff, order.payment_id, lines=[pieces(order.lines[0], 3)])
    moved(sql, order, "failed")

    assert (status_of(sql, order), canceled(sql, order), stock_of(sql, listing)) == ("placed", [0], (10, 3))


def test_of_an_order_that_is_short_what_it_lacks_is_given_back_first(
    staff: Customer, sql: Sql, customer: Customer, listing: dict[str, Any]
) -> None:
    order = short_order(sql, customer, (listing, 3), left=2)
    assert (status_of(sql, order), reasons_of(sql, order)) == ("short", "paid_without_stock")

    give_back(staff, sql, order, 1)

    assert (status_of(sql, order), reasons_of(sql, order)) == ("placed", None)
    assert (handed_over(sql, order), stock_of(sql, listing)) == ([(0, 0)], (2, 2))
    assert ask_fulfilment(staff, order.id).status_code == 201
    assert (status_of(sql, order), stock_of(sql, listing)) == ("fulfilled", (0, 0))
    adds_up(sql)


def test_named_it_is_sent_all_the_same_of_what_is_there(
    staff: Customer, order: Ordered, sql: Sql, listing: dict[str, Any]
) -> None:
    give_back(staff, sql, order, 2)
    set_stock(sql, listing, 2)

    too_many = ask_fulfilment(staff, order.id, "1", lines=[pieces(order.lines[0], 3)])
    assert problem(too_many) == (409, "out-of-stock")
    assert ask_fulfilment(staff, order.id, "2", lines=[pieces(order.lines[0], 2)]).status_code == 201

    assert (status_of(sql, order), handed_over(sql, order), canceled(sql, order)) == ("fulfilled", [(2, 0)], [1])
    assert stock_of(sql, listing) == (0, 0)
    adds_up(sql)
    fold(sql, order.payment_id)
    assert canceled(sql, order) == [1]


def test_pieces_that_are_not_counted_are_waited_for_no_longer_either(
    staff: Customer, sql: Sql, customer: Customer, make_listing: MakeListing
) -> None:
    order = ordered(sql, customer, (make_listing(unit_price="40.00", stock=None), 3))
    ask_fulfilment(staff, order.id, lines=[pieces(order.lines[0], 1)])

    give_back(staff, sql, order, 2)

    assert (status_of(sql, order), canceled(sql, order)) == ("fulfilled", [2])
    adds_up(sql)


def test_a_refund_that_fails_after_the_counting_ended_has_the_order_keep_all_its_pieces(
    staff: Customer, order: Ordered, sql: Sql, listing: dict[str, Any]
) -> None:
    give_back(staff, sql, order, 2)
    set_stock(sql, listing, None)

    moved(sql, order, "failed")

    assert (canceled(sql, order), handed_over(sql, order)) == ([0], [(0, 0)])
    assert stock_of(sql, listing) == (None, 3)
    adds_up(sql)
    assert ask_fulfilment(staff, order.id).status_code == 201
    assert stock_of(sql, listing) == (None, 0)
    adds_up(sql)


def test_an_amount_without_lines_leaves_all_to_be_sent(
    staff: Customer, order: Ordered, sql: Sql, listing: dict[str, Any]
) -> None:
    insert_refund(sql, order.payment_id, "120.00", status="'requested'")
    moved(sql, order, "succeeded")

    assert (status_of(sql, order), canceled(sql, order), stock_of(sql, listing)) == ("placed", [0], (10, 3))


def test_a_refund_over_several_captures_is_given_back_once_none_of_its_parts_is_under_way(
    staff: Customer, customer: Customer, sql: Sql, listing: dict[str, Any]
) -> None:
    """Where one of them failed it counts all the same, in what is shown and in what may be given back again."""
    order = ordered_by_captures(sql, customer, (listing, 3), amounts=["50.00", "70.00"])
    assert len(ask_refund(staff, order.payment_id, lines=[pieces(order.lines[0], 2)]).json["parts"]) == 2

    moved(sql, order, "failed", part=0)
    assert (shown(staff, order), stock_of(sql, listing)) == ((0, 2, 0), (10, 3))
    moved(sql, order, "succeeded", part=1)
    assert (shown(staff, order), stock_of(sql, listing)) == ((2, 0, 2), (10, 1))
    (row,) = csv.DictReader(StringIO(staff.get("/api/admin/orders.csv").text))
    assert row["qty_refunded"] == "2"
    again = ask_refund(staff, order.payment_id, "2", lines=[pieces(order.lines[0], 2)])
    assert again.json["lines"] == [{"line_id": str(order.lines[0]), "qty": 2, "left": 1}]
    moved(sql, order, "failed")
    assert (shown(staff, order), stock_of(sql, listing)) == ((0, 0, 0), (10, 3))
    adds_up(sql)
