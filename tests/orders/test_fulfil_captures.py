"""A fulfilment captures its share where money is only authorized: with it, once, and never what would lose the rest."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from tests.captures.test_ask_for_a_capture import at_stripe
from tests.capturing import insert_capture_request, insert_void
from tests.conftest import Customer, MakeListing, Servers, Sql
from tests.money import attempt, capture, fold
from tests.order_requests import (
    Ordered,
    ask_fulfilment,
    authorized_order,
    handed_over,
    notified,
    opened_for,
    order_of,
    ordered,
    pieces,
    problem,
    status_of,
    stock_of,
)
from tests.refunding import staff_of


@pytest.fixture
def staff(customer: Customer) -> Customer:
    return staff_of(customer)


@pytest.fixture
def listing(make_listing: MakeListing) -> dict[str, Any]:
    return make_listing(unit_price="33.33")


@pytest.fixture
def order(sql: Sql, customer: Customer, listing: dict[str, Any], make_listing: MakeListing) -> Ordered:
    """Of 3 × 33.33 and 1 × 40.00: all of it authorized, at a provider that captures several times."""
    return authorized_order(sql, customer, (listing, 3), (make_listing(unit_price="40.00"), 1), refs=("at_1",))


def requests(sql: Sql) -> list[tuple[str, str, bool]]:
    rows = sql("SELECT attempt_ref, amount, final FROM capture_requests ORDER BY id")
    return [(row.attempt_ref, str(row.amount), row.final) for row in rows]


def test_the_share_of_the_pieces_is_captured(
    staff: Customer, order: Ordered, sql: Sql, servers: Servers, listing: dict[str, Any]
) -> None:
    answer = ask_fulfilment(staff, order.id, lines=[pieces(order.lines[0], 2)], capture=True)

    assert answer.status_code == 201, answer.text
    assert answer.json["order_status"] == "partially_fulfilled"
    assert requests(sql) == [("at_1", "66.66", False)]
    (row,) = sql("SELECT *, status::text AS now FROM capture_requests")
    assert (str(row.id), row.now, row.payment_id) == (
        answer.json["capture_request_id"],
        "requested",
        order.payment_id,
    )
    assert (row.requested_by, row.idempotency_key) == (staff.id, f"fulfilment {answer.json['id']}")
    assert notified(servers) == [("payments.capture", (str(row.id),))]
    assert stock_of(sql, listing) == (8, 1)


def test_a_retry_captures_nothing_more(staff: Customer, order: Ordered, sql: Sql, servers: Servers) -> None:
    first = ask_fulfilment(staff, order.id, lines=[pieces(order.lines[0], 2)], capture=True)
    notified(servers)

    again = ask_fulfilment(staff, order.id, lines=[pieces(order.lines[0], 2)], capture=True)

    assert (again.json, again.headers["Idempotent-Replayed"]) == (first.json, "true")
    assert len(requests(sql)) == 1
    assert notified(servers, least=0) == []


def test_shares_come_to_the_whole_to_the_cent(staff: Customer, order: Ordered, sql: Sql) -> None:
    ask_fulfilment(staff, order.id, "1", lines=[pieces(order.lines[0], 1)], capture=True)
    ask_fulfilment(staff, order.id, "2", lines=[pieces(order.lines[0], 2)], capture=True)
    last = ask_fulfilment(staff, order.id, "3", capture=True)

    assert last.json["order_status"] == "fulfilled"
    assert requests(sql) == [("at_1", "33.33", False), ("at_1", "66.66", False), ("at_1", "40.00", True)]
    assert sql("SELECT sum(amount) AS total FROM capture_requests")[0].total == (
        sql("SELECT amount FROM orders")[0].amount
    )


def test_without_capture_none_is_requested(staff: Customer, order: Ordered, sql: Sql) -> None:
    assert ask_fulfilment(staff, order.id, "1", lines=[pieces(order.lines[1])]).json["capture_request_id"] is None
    assert ask_fulfilment(staff, order.id, "2", capture=False).json["capture_request_id"] is None
    assert requests(sql) == []


def test_what_is_paid_is_not_captured(staff: Customer, customer: Customer, sql: Sql, listing: dict[str, Any]) -> None:
    order = ordered(sql, customer, (listing, 1))

    answer = ask_fulfilment(staff, order.id, capture=True)

    assert (answer.status_code, answer.json["capture_request_id"]) == (201, None)
    assert requests(sql) == []


def test_what_somebody_captures_already_is_not_captured_again(staff: Customer, order: Ordered, sql: Sql) -> None:
    insert_capture_request(sql, order.payment_id)

    answer = ask_fulfilment(staff, order.id, capture=True)

    assert (answer.status_code, answer.json["capture_request_id"]) == (201, None)
    assert len(requests(sql)) == 1


def test_an_account_that_captures_once_captures_all_or_nothing(
    staff: Customer, order: Ordered, sql: Sql, listing: dict[str, Any]
) -> None:
    at_stripe(sql, order.payment_id)

    refused = ask_fulfilment(staff, order.id, lines=[pieces(order.lines[0], 2)], capture=True)
    assert problem(refused) == (409, "one-capture-only")
    assert (refused.json["releases"], refused.json["currency"]) == ("73.33", "USD")
    assert (handed_over(sql, order), requests(sql), stock_of(sql, listing)) == ([(0, 0), (0, 0)], [], (10, 3))

    answer = ask_fulfilment(staff, order.id, capture=True)
    assert answer.json["order_status"] == "fulfilled"
    assert requests(sql) == [("at_1", "139.99", True)]


def test_the_database_itself_keeps_the_rest_of_an_account_that_captures_once(order: Ordered, sql: Sql) -> None:
    """Whoever read that all was left may be late: the trigger judges under the locks."""
    insert = """INSERT INTO fulfilments
            (order_id, lines, several_captures, requested_by, idempotency_key, request_hash)
        VALUES (:order, jsonb_build_array(jsonb_build_object('line_id', CAST(:line AS text), 'qty', 1)), false,
            uuidv7(), 'key', '')"""
    with pytest.raises(IntegrityError) as refused:
        sql(insert, order=order.id, line=str(order.lines[0]))
    assert refused.value.orig.diag.constraint_name == "fulfilments_capture_whole"
    assert (handed_over(sql, order), requests(sql)) == ([(0, 0), (0, 0)], [])


def test_a_share_that_is_not_open_any_more_is_refused(staff: Customer, order: Ordered, sql: Sql) -> None:
    insert_capture_request(sql, order.payment_id, "100.00", final="false")

    refused = ask_fulfilment(staff, order.id, lines=[pieces(order.lines[0], 2)], capture=True)
    assert problem(refused) == (409, "capture-too-large")
    assert (refused.json["amount_left"], refused.json["currency"]) == ("39.99", "USD")
    assert handed_over(sql, order) == [(0, 0), (0, 0)]

    assert ask_fulfilment(staff, order.id, lines=[pieces(order.lines[0], 2)]).status_code == 201


def test_the_oldest_authorisation_that_has_enough_is_captured(
    staff: Customer, customer: Customer, sql: Sql, listing: dict[str, Any]
) -> None:
    payment_id = opened_for(customer, (listing, 3))
    for ref, amount in (("gift", "20.00"), ("card", "79.99")):
        attempt(sql, payment_id, "authorized", ref=ref, authorized=amount)
    fold(sql, payment_id)
    order = order_of(sql, payment_id)

    assert ask_fulfilment(staff, order.id, lines=[pieces(order.lines[0], 1)], capture=True).status_code == 201
    assert requests(sql) == [("card", "33.33", False)]


def test_what_came_by_a_capture_of_the_share_leaves_the_rest_authorized(
    staff: Customer, order: Ordered, sql: Sql
) -> None:
    ask_fulfilment(staff, order.id, lines=[pieces(order.lines[0], 3)], capture=True)
    sql("UPDATE capture_requests SET status = 'succeeded', provider_ref = 'ca_1', next_attempt_at = NULL")
    capture(sql, order.payment_id, "ca_1", "99.99", attempt_ref="at_1")
    fold(sql, order.payment_id)
    assert status_of(sql, order) == "partially_fulfilled"

    rest = ask_fulfilment(staff, order.id, "rest", capture=True)
    assert rest.json["order_status"] == "fulfilled"
    assert requests(sql)[1] == ("at_1", "40.00", True)


def test_a_capture_that_was_refused_leaves_the_pieces_handed_over(staff: Customer, order: Ordered, sql: Sql) -> None:
    """What is done is done; the money is asked for once more by hand."""
    ask_fulfilment(staff, order.id, capture=True)
    sql("UPDATE capture_requests SET status = 'failed', decline = 'other', next_attempt_at = NULL")
    fold(sql, order.payment_id)
    assert status_of(sql, order) == "fulfilled"


def test_neither_is_done_where_the_other_cannot_be(
    staff: Customer, customer: Customer, order: Ordered, sql: Sql, listing: dict[str, Any]
) -> None:
    insert_void(sql, order.payment_id)
    assert problem(ask_fulfilment(staff, order.id, capture=True)) == (409, "void-outstanding")

    other = authorized_order(sql, customer, (listing, 1))
    sql("UPDATE listings SET stock = 0 WHERE id = :id", id=listing["id"])
    assert problem(ask_fulfilment(staff, other.id, "other", capture=True)) == (409, "out-of-stock")
    assert (requests(sql), sql("SELECT count(*) FROM fulfilments")[0].count) == ([], 0)
