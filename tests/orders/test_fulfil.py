"""Staff fulfil orders: pieces leave the stock, the order moves, one key is one fulfilment."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from tests.conftest import Customer, MakeListing, Sql
from tests.money import bring_to, dispute, fold
from tests.order_requests import (
    Ordered,
    ask_cancellation,
    ask_fulfilment,
    authorized_order,
    handed_over,
    lost,
    ordered,
    pieces,
    problem,
    reasons_of,
    set_stock,
    short_order,
    status_of,
    stock_of,
)
from tests.refunding import ask_refund, staff_of

NOTHING = ([(0, 0), (0, 0)], 0)


@pytest.fixture
def staff(customer: Customer) -> Customer:
    return staff_of(customer)


@pytest.fixture
def listings(make_listing: MakeListing) -> list[dict[str, Any]]:
    return [make_listing(unit_price="40.00"), make_listing(unit_price="33.33", stock=None)]


@pytest.fixture
def order(sql: Sql, customer: Customer, listings: list[dict[str, Any]]) -> Ordered:
    """Of three pieces that are counted, ten of which lie there, and two that nobody counts."""
    return ordered(sql, customer, (listings[0], 3), (listings[1], 2))


def done(sql: Sql, order: Ordered) -> tuple[list[tuple[int, int]], int]:
    """What was handed over of each line, and how many fulfilments there are."""
    return handed_over(sql, order), sql("SELECT count(*) FROM fulfilments")[0].count


def test_all_that_is_left_is_fulfilled(
    staff: Customer, order: Ordered, sql: Sql, listings: list[dict[str, Any]]
) -> None:
    assert stock_of(sql, listings[0]) == (10, 3)

    answer = ask_fulfilment(staff, order.id, carrier="DHL", tracking="0034")

    assert answer.status_code == 201, answer.text
    assert set(answer.json) == {
        *("id", "order_id", "order_status", "lines", "carrier", "tracking", "capture_request_id", "created_at")
    }
    assert (answer.json["order_id"], answer.json["order_status"]) == (str(order.id), "fulfilled")
    assert answer.json["lines"] == [pieces(order.lines[0], 3), pieces(order.lines[1], 2)]
    assert (answer.json["carrier"], answer.json["tracking"], answer.json["capture_request_id"]) == ("DHL", "0034", None)
    assert answer.headers["Location"] == f"/api/admin/orders/{order.id}"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Idempotent-Replayed" not in answer.headers
    (row,) = sql("SELECT *, order_status::text AS now FROM fulfilments")
    assert (str(row.id), row.requested_by, row.idempotency_key) == (answer.json["id"], staff.id, "fulfilment-1")
    assert done(sql, order) == ([(3, 0), (2, 0)], 1)
    assert (status_of(sql, order), stock_of(sql, listings[0])) == ("fulfilled", (7, 0))
    assert sql("SELECT stock FROM listings WHERE id = :id", id=listings[1]["id"])[0].stock is None
    assert sql("SELECT count(*) FROM holds")[0].count == 0


def test_an_order_is_fulfilled_piece_by_piece(
    staff: Customer, order: Ordered, sql: Sql, listings: list[dict[str, Any]]
) -> None:
    first = ask_fulfilment(staff, order.id, "1", lines=[pieces(order.lines[0], 1)])
    assert (first.json["order_status"], first.json["lines"]) == ("partially_fulfilled", [pieces(order.lines[0], 1)])
    assert (done(sql, order), stock_of(sql, listings[0])) == (([(1, 0), (0, 0)], 1), (9, 2))

    second = ask_fulfilment(staff, order.id, "2", lines=[pieces(order.lines[0])])
    assert (second.json["order_status"], second.json["lines"]) == ("partially_fulfilled", [pieces(order.lines[0], 2)])
    assert (done(sql, order), stock_of(sql, listings[0])) == (([(3, 0), (0, 0)], 2), (7, 0))

    third = ask_fulfilment(staff, order.id, "3")
    assert (third.json["order_status"], third.json["lines"]) == ("fulfilled", [pieces(order.lines[1], 2)])
    (version,) = sql("SELECT version FROM orders WHERE id = :id", id=order.id)
    assert version.version >= 4, "each change of an order counts"

    assert problem(ask_fulfilment(staff, order.id, "4")) == (409, "nothing-left-to-fulfil")
    assert problem(ask_fulfilment(staff, order.id, "4", lines=[pieces(order.lines[0])])) == (
        409,
        "nothing-left-to-fulfil",
    )
    assert stock_of(sql, listings[0]) == (7, 0)


@pytest.mark.parametrize("key", ["fulfilment-1", '"fulfilment-1"'])
def test_the_same_key_and_request_get_the_same_answer(staff: Customer, order: Ordered, sql: Sql, key: str) -> None:
    request = {"lines": [pieces(order.lines[0], 1)], "carrier": "DHL"}
    first = ask_fulfilment(staff, order.id, **request)
    assert ask_fulfilment(staff, order.id, "rest").json["order_status"] == "fulfilled"

    again = ask_fulfilment(staff, order.id, key, **request)

    assert (again.status_code, again.json) == (201, first.json)
    assert again.json["order_status"] == "partially_fulfilled", "as it was answered"
    assert again.headers["Idempotent-Replayed"] == "true"
    for other in (
        {},
        {"carrier": "DHL"},
        request | {"lines": [pieces(order.lines[0], 2)]},
        request | {"lines": [pieces(order.lines[0])]},
        request | {"tracking": "1"},
        request | {"capture": True},
    ):
        assert problem(ask_fulfilment(staff, order.id, key, **other)) == (422, "idempotency-key-reused")
    assert done(sql, order) == ([(3, 0), (2, 0)], 2)


def test_a_key_is_of_one_order_and_belongs_to_its_caller(
    staff: Customer, customer: Customer, order: Ordered, sql: Sql, make_listing: MakeListing
) -> None:
    other = ordered(sql, customer, (make_listing(), 1))
    assert ask_fulfilment(staff, other.id).status_code == 201

    assert problem(ask_fulfilment(staff, order.id)) == (422, "idempotency-key-reused")
    assert ask_fulfilment(staff_of(customer), order.id).status_code == 201


def test_more_than_is_left_is_refused_with_what_is_left(staff: Customer, order: Ordered, sql: Sql) -> None:
    ask_fulfilment(staff, order.id, "1", lines=[pieces(order.lines[0], 2)])

    answer = ask_fulfilment(staff, order.id, "2", lines=[pieces(order.lines[0], 2), pieces(order.lines[1], 2)])

    assert problem(answer) == (409, "fulfilment-too-large")
    assert answer.json["lines"] == [{"line_id": str(order.lines[0]), "qty": 2, "left": 1}]
    assert done(sql, order) == ([(2, 0), (0, 0)], 1), "not a part of it"
    assert ask_fulfilment(staff, order.id, "2", lines=[pieces(order.lines[0], 1)]).status_code == 201, "a fresh key"
    done_with = ask_fulfilment(staff, order.id, "3", lines=[pieces(order.lines[0])])
    assert problem(done_with) == (409, "fulfilment-too-large")
    assert done_with.json["lines"] == [{"line_id": str(order.lines[0]), "qty": 0, "left": 0}]


def test_lines_of_another_order_are_no_lines_of_this_one(
    staff: Customer, customer: Customer, order: Ordered, sql: Sql, make_listing: MakeListing
) -> None:
    other = ordered(sql, customer, (make_listing(), 1))
    for line in (other.lines[0], uuid4()):
        answer = ask_fulfilment(staff, order.id, lines=[pieces(order.lines[0]), pieces(line)])
        assert problem(answer) == (422, "invalid")
        assert [fault["pointer"] for fault in answer.json["errors"]] == ["/lines/1/line_id"]
    assert done(sql, order) == NOTHING


def test_nothing_is_fulfilled_while_the_payment_is_disputed_or_gone(staff: Customer, order: Ordered, sql: Sql) -> None:
    dispute(sql, order.payment_id, "10.00")
    assert problem(ask_fulfilment(staff, order.id)) == (409, "order-on-hold")
    assert done(sql, order) == NOTHING

    sql("UPDATE disputes SET status = 'won', rank = rank + 1, reported_at = reported_at + interval '1 s'")
    fold(sql, order.payment_id)
    assert ask_fulfilment(staff, order.id).status_code == 201


def test_what_went_back_is_not_fulfilled(staff: Customer, order: Ordered, sql: Sql) -> None:
    lost(sql, order.payment_id)
    assert status_of(sql, order) == "on_hold"

    assert problem(ask_fulfilment(staff, order.id)) == (409, "order-on-hold")
    assert done(sql, order) == NOTHING


def test_nobody_is_sent_what_they_were_refunded_unless_its_line_says_so(
    staff: Customer, order: Ordered, sql: Sql
) -> None:
    assert ask_refund(staff, order.payment_id, lines=[pieces(order.lines[0], 1)]).status_code == 202
    assert ask_refund(staff, order.payment_id, "refund-2", lines=[pieces(order.lines[1], 2)]).status_code == 202

    answer = ask_fulfilment(staff, order.id)

    assert answer.json["lines"] == [pieces(order.lines[0], 2)], answer.text
    assert answer.json["order_status"] == "partially_fulfilled"
    assert problem(ask_fulfilment(staff, order.id, "fulfilment-2")) == (409, "nothing-left-to-fulfil")
    answer = ask_fulfilment(staff, order.id, "fulfilment-3", lines=[pieces(order.lines[0], 1)])
    assert answer.status_code == 201, answer.text
    assert done(sql, order) == ([(3, 0), (0, 0)], 2)


def test_a_canceled_order_is_not_fulfilled(staff: Customer, order: Ordered, sql: Sql) -> None:
    assert ask_cancellation(staff, order.id).status_code == 202

    assert problem(ask_fulfilment(staff, order.id)) == (409, "order-canceled")
    assert done(sql, order) == NOTHING


def test_an_order_whose_authorisation_ended_is_not_fulfilled(
    staff: Customer, customer: Customer, sql: Sql, listings: list[dict[str, Any]]
) -> None:
    order = authorized_order(sql, customer, (listings[0], 3), (listings[1], 2))
    sql("UPDATE payment_attempts SET status = 'expired'")
    fold(sql, order.payment_id)
    assert (status_of(sql, order), stock_of(sql, listings[0])) == ("canceled", (10, 0))

    assert problem(ask_fulfilment(staff, order.id)) == (409, "order-canceled")
    assert done(sql, order) == NOTHING


def test_an_order_whose_money_is_being_released_is_not_fulfilled(
    staff: Customer, customer: Customer, sql: Sql, listings: list[dict[str, Any]]
) -> None:
    order = authorized_order(sql, customer, (listings[0], 3), (listings[1], 2))
    voided = staff.post(f"/api/admin/payments/{order.payment_id}/void", headers={"Idempotency-Key": "void"})
    assert voided.status_code == 202

    assert problem(ask_fulfilment(staff, order.id)) == (409, "void-outstanding")
    assert done(sql, order) == NOTHING


def test_a_short_order_waits_for_pieces_and_takes_those_that_are_there(
    staff: Customer, customer: Customer, sql: Sql, make_listing: MakeListing
) -> None:
    listing = make_listing(stock=5)
    order = short_order(sql, customer, (listing, 5), left=2)
    assert (status_of(sql, order), handed_over(sql, order), stock_of(sql, listing)) == ("short", [(0, 3)], (2, 2))

    refused = ask_fulfilment(staff, order.id)
    assert problem(refused) == (409, "out-of-stock")
    assert refused.json["lines"] == [{"listing": str(listing["id"]), "wanted": 5, "available": 2}]

    set_stock(sql, listing, 3)
    some = ask_fulfilment(staff, order.id, "1", lines=[pieces(order.lines[0], 3)])
    assert some.json["order_status"] == "partially_fulfilled"
    assert (handed_over(sql, order), stock_of(sql, listing)) == ([(3, 2)], (0, 0))

    set_stock(sql, listing, 9)
    assert ask_fulfilment(staff, order.id, "2").json["order_status"] == "fulfilled"
    assert (handed_over(sql, order), stock_of(sql, listing)) == ([(5, 0)], (7, 0))


def test_the_reason_goes_once_nothing_is_lacking(
    staff: Customer, customer: Customer, sql: Sql, make_listing: MakeListing
) -> None:
    listing = make_listing(stock=2)
    order = short_order(sql, customer, (listing, 2), left=0)
    (payment,) = sql("SELECT review_reason FROM payments WHERE id = :id", id=order.payment_id)
    assert payment.review_reason == "paid_without_stock"
    set_stock(sql, listing, 2)

    ask_fulfilment(staff, order.id)

    (payment,) = sql("SELECT review_reason FROM payments WHERE id = :id", id=order.payment_id)
    assert payment.review_reason is None


def test_pieces_that_others_hold_are_not_taken_for_one_that_is_short(
    staff: Customer, customer: Customer, other_customer: Customer, sql: Sql, make_listing: MakeListing
) -> None:
    listing = make_listing(stock=2)
    order = short_order(sql, customer, (listing, 2), left=0)
    set_stock(sql, listing, 2)
    ordered(sql, other_customer, (listing, 1))

    answer = ask_fulfilment(staff, order.id)
    assert problem(answer) == (409, "out-of-stock")
    assert answer.json["lines"] == [{"listing": str(listing["id"]), "wanted": 2, "available": 1}]
    assert ask_fulfilment(staff, order.id, lines=[pieces(order.lines[0], 1)]).status_code == 201
    assert stock_of(sql, listing) == (1, 1)


def test_a_listing_that_came_to_be_counted_gives_what_is_available(
    staff: Customer, order: Ordered, sql: Sql, listings: list[dict[str, Any]]
) -> None:
    set_stock(sql, listings[1], 1)

    refused = ask_fulfilment(staff, order.id)
    assert problem(refused) == (409, "out-of-stock")
    assert refused.json["lines"] == [{"listing": str(listings[1]["id"]), "wanted": 2, "available": 1}]

    set_stock(sql, listings[1], 5)
    assert ask_fulfilment(staff, order.id).json["order_status"] == "fulfilled"
    assert stock_of(sql, listings[1]) == (3, 0)


def test_a_listing_that_nobody_counts_any_more_lets_its_pieces_go(
    staff: Customer, order: Ordered, sql: Sql, listings: list[dict[str, Any]]
) -> None:
    set_stock(sql, listings[0], None)

    assert ask_fulfilment(staff, order.id).json["order_status"] == "fulfilled"
    assert stock_of(sql, listings[0]) == (None, 0)


def test_what_was_bought_after_the_counting_ended_is_fulfilled(
    staff: Customer, sql: Sql, customer: Customer, make_listing: MakeListing
) -> None:
    """Its counter is still there, and says of nothing how much."""
    listing = make_listing(unit_price="40.00", stock=4)
    short = short_order(sql, customer, (listing, 3), left=1)
    set_stock(sql, listing, None)
    later = ordered(sql, customer, (listing, 2))

    assert [ask_fulfilment(staff, order.id, uuid4().hex).status_code for order in (short, later)] == [201, 201]

    assert [(status_of(sql, order), handed_over(sql, order)) for order in (short, later)] == [
        ("fulfilled", [(3, 0)]),
        ("fulfilled", [(2, 0)]),
    ]
    assert (stock_of(sql, listing), reasons_of(sql, short)) == ((None, 0), None)


def test_what_does_not_lie_there_is_not_handed_over(
    staff: Customer, order: Ordered, sql: Sql, listings: list[dict[str, Any]]
) -> None:
    """People counted less than was sold: the count says that they cannot have handed over what they say."""
    set_stock(sql, listings[0], 1)

    refused = ask_fulfilment(staff, order.id, lines=[pieces(order.lines[0], 2)])
    assert problem(refused) == (409, "out-of-stock")
    assert refused.json["lines"] == [{"listing": str(listings[0]["id"]), "wanted": 2, "available": 1}]
    assert (done(sql, order), stock_of(sql, listings[0])) == (NOTHING, (1, 3))

    assert ask_fulfilment(staff, order.id, lines=[pieces(order.lines[0], 1)]).status_code == 201
    assert stock_of(sql, listings[0]) == (0, 2)


@pytest.mark.parametrize(
    ("key", "slug"),
    [(None, "missing-idempotency-key"), ("", "malformed-idempotency-key"), ("a b", "malformed-idempotency-key")],
)
def test_a_key_is_needed(staff: Customer, order: Ordered, sql: Sql, key: str | None, slug: str) -> None:
    assert problem(ask_fulfilment(staff, order.id, key)) == (400, slug)
    assert done(sql, order) == NOTHING


def test_without_the_scope_nothing_is_fulfilled(customer: Customer, order: Ordered, sql: Sql) -> None:
    """Not even by the order's own customer; and what is wrong with the request is not told."""
    for order_id in (order.id, uuid4()):
        assert problem(ask_fulfilment(customer, order_id, None, lines="nonsense")) == (403, "insufficient-scope")
    answer = customer.client.post(f"/api/admin/orders/{order.id}/fulfilments", json={})
    assert problem(answer) == (401, "unauthorized")
    assert done(sql, order) == NOTHING


def test_an_order_that_is_not_here(staff: Customer, sql: Sql) -> None:
    assert problem(ask_fulfilment(staff, uuid4())) == (404, "not-found")
    assert problem(ask_fulfilment(staff, "nonsense")) == (404, "not-found")


LINE = "01a206b6-2617-7632-98bf-296e992e5fa1"


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"lines": []}, "/lines"),
        ({"lines": None}, "/lines"),
        ({"lines": "all"}, "/lines"),
        ({"lines": [LINE]}, "/lines/0"),
        ({"lines": [{"qty": 1}]}, "/lines/0/line_id"),
        ({"lines": [{"line_id": "nonsense"}]}, "/lines/0/line_id"),
        ({"lines": [{"line_id": LINE, "qty": 0}]}, "/lines/0/qty"),
        ({"lines": [{"line_id": LINE, "qty": -1}]}, "/lines/0/qty"),
        ({"lines": [{"line_id": LINE, "qty": 1.0}]}, "/lines/0/qty"),
        ({"lines": [{"line_id": LINE, "qty": "1"}]}, "/lines/0/qty"),
        ({"lines": [{"line_id": LINE, "qty": True}]}, "/lines/0/qty"),
        ({"lines": [{"line_id": LINE, "qty": None}]}, "/lines/0/qty"),
        ({"lines": [{"line_id": LINE, "qty": 10**30}]}, "/lines/0/qty"),
        ({"lines": [{"line_id": LINE, "price": "1.00"}]}, "/lines/0/price"),
        ({"lines": [{"line_id": LINE}, {"line_id": LINE.upper()}]}, "/lines/1/line_id"),
        ({"lines": [{"line_id": LINE}] * 1001}, "/lines"),
        ({"carrier": ""}, "/carrier"),
        ({"carrier": "x" * 101}, "/carrier"),
        ({"carrier": "two\nlines"}, "/carrier"),
        ({"tracking": "x" * 256}, "/tracking"),
        ({"tracking": "nothing\u0000"}, "/tracking"),
        ({"tracking": 7}, "/tracking"),
        ({"capture": 1}, "/capture"),
        ({"capture": None}, "/capture"),
        ({"status": "fulfilled"}, "/status"),
    ],
)
def test_a_request_must_make_sense(
    staff: Customer, order: Ordered, sql: Sql, members: dict[str, Any], pointer: str
) -> None:
    answer = ask_fulfilment(staff, order.id, **members)

    assert problem(answer)[0] in {400, 422}
    if answer.status_code == 422:
        assert [fault["pointer"] for fault in answer.json["errors"]] == [pointer]
    assert done(sql, order) == NOTHING


@pytest.mark.parametrize("body", ["", "[]", "{", "null", '{"carrier": "a", "carrier": "b"}'])
def test_a_body_that_is_no_object_is_refused(staff: Customer, order: Ordered, sql: Sql, body: str) -> None:
    answer = staff.post(
        f"/api/admin/orders/{order.id}/fulfilments",
        data=body,
        content_type="application/json",
        headers={"Idempotency-Key": "fulfilment-1"},
    )
    assert answer.status_code in {400, 422}
    assert done(sql, order) == NOTHING


def test_what_was_fulfilled_on_a_promise_stays_so_once_it_is_paid(
    staff: Customer, customer: Customer, sql: Sql, listings: list[dict[str, Any]]
) -> None:
    """Fulfilled with a promise, and paid then: it stays fulfilled."""
    order = authorized_order(sql, customer, (listings[0], 1))
    assert ask_fulfilment(staff, order.id).json["order_status"] == "fulfilled"
    bring_to(sql, order.payment_id, "paid")
    assert status_of(sql, order) == "fulfilled"
