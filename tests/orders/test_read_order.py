"""One order: its customer reads it with its tracking, staff with all that was done about it."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from tests.conftest import Customer, MakeListing, Sql
from tests.money import dispute, fold
from tests.order_requests import ask_cancellation, ask_fulfilment, pieces
from tests.orders.buying import bought, numbered, refund_amount, refund_line
from tests.orders.test_list_orders import LINE, MEMBERS
from tests.refunding import staff_of

STAFF_ONLY = {"customer", "on_hold_reason", "canceled_at", "cancellation", "refunds"}


@pytest.fixture
def order(customer: Customer, make_listing: MakeListing, sql: Sql) -> Any:
    made = bought(customer, sql, (make_listing(), 3), (make_listing(unit_price="5.00"), 1))
    numbered(sql)
    return made


def line_ids(sql: Sql, order: Any) -> list[str]:
    rows = sql("SELECT id FROM order_lines WHERE order_id = :id ORDER BY place", id=order.id)
    return [str(row.id) for row in rows]


def test_a_customer_reads_their_order(customer: Customer, order: Any) -> None:
    answer = customer.get(f"/api/orders/{order.id}")

    assert answer.status_code == 200
    assert set(answer.json) == MEMBERS | {"fulfilments"}
    assert all(set(line) == LINE for line in answer.json["lines"])
    assert (answer.json["id"], answer.json["number"], answer.json["fulfilments"]) == (str(order.id), "1", [])
    assert answer.headers["Cache-Control"] == "private, no-cache"


def test_fulfilments_are_shown_oldest_first(customer: Customer, order: Any, sql: Sql) -> None:
    first, second = line_ids(sql, order)
    staff = staff_of(customer)
    ask_fulfilment(staff, order.id, "one", lines=[pieces(first, 1)], carrier="DHL", tracking="T-1")
    ask_fulfilment(staff, order.id, "two", lines=[pieces(first, 2), pieces(second, 1)])

    shown = customer.get(f"/api/orders/{order.id}").json["fulfilments"]

    assert all(set(each) == {"id", "carrier", "tracking", "lines", "created_at"} for each in shown)
    assert [(each["carrier"], each["tracking"], each["lines"]) for each in shown] == [
        ("DHL", "T-1", [{"line_id": first, "qty": 1}]),
        (None, None, [{"line_id": first, "qty": 2}, {"line_id": second, "qty": 1}]),
    ]
    assert all(each["created_at"].endswith("Z") for each in shown)


def test_an_unchanged_order_is_304_and_a_changed_one_is_not(customer: Customer, order: Any, sql: Sql) -> None:
    path = f"/api/orders/{order.id}"
    etag = customer.get(path).headers["ETag"]
    again = customer.get(path, headers={"If-None-Match": etag})
    ask_fulfilment(staff_of(customer), order.id, lines=[pieces(line_ids(sql, order)[0], 1)])

    assert (again.status_code, again.data) == (304, b"")
    assert customer.get(path, headers={"If-None-Match": etag}).status_code == 200


def test_nobody_reads_anothers_order(customer: Customer, other_customer: Customer, order: Any) -> None:
    for path in (f"/api/orders/{order.id}", f"/api/orders/{uuid4()}"):
        answer = other_customer.get(path)
        assert (answer.status_code, answer.json["type"]) == (404, "/problems/not-found")
    # Staff have a path of their own: what is theirs here is what they bought.
    assert staff_of(other_customer).get(f"/api/orders/{order.id}").status_code == 404
    assert customer.client.get(f"/api/orders/{order.id}").status_code == 401
    assert customer.get("/api/orders/nonsense").status_code == 404


def test_a_customer_sees_nothing_of_what_staff_write(customer: Customer, order: Any) -> None:
    ask_cancellation(staff_of(customer), order.id, reason="looks like fraud")
    answer = customer.get(f"/api/orders/{order.id}")

    assert answer.json["status"] == "canceled"
    assert "looks like fraud" not in answer.text
    assert not STAFF_ONLY & set(answer.json)
    assert all("qty_short" not in line for line in answer.json["lines"])


def test_staff_read_anybodys_order_with_what_was_done_about_it(
    customer: Customer, other_customer: Customer, order: Any, sql: Sql
) -> None:
    first, second = line_ids(sql, order)
    staff = staff_of(other_customer)
    ask_fulfilment(staff, order.id, lines=[pieces(first, 1)])
    refund_line(sql, staff, order.payment_id, second, 1, "succeeded")
    refund_line(sql, staff, order.payment_id, first, 2, "failed")
    refund_amount(sql, staff, order.payment_id, "2.50", "succeeded")
    refund_amount(sql, staff, order.payment_id, "1.00", "processing")
    sql(
        """INSERT INTO refunds (payment_id, amount, provider_ref, status)
        VALUES (:id, 3, 're_of_the_dashboard', 'succeeded')""",
        id=order.payment_id,
    )
    fold(sql, order.payment_id)
    sql("UPDATE order_lines SET qty_short = 1 WHERE id = :id", id=first)

    shown = staff.get(f"/api/admin/orders/{order.id}").json

    assert set(shown) == MEMBERS | STAFF_ONLY | {"fulfilments"}
    assert shown["customer"] == str(customer.id)
    assert [line["qty_short"] for line in shown["lines"]] == [1, 0]
    assert [each["requested_by"] for each in shown["fulfilments"]] == [str(staff.id)]
    assert (shown["canceled_at"], shown["cancellation"]) == (None, None)
    assert [(refund["status"], refund["amount"], refund["lines"]) for refund in shown["refunds"]] == [
        ("succeeded", "5.00", [{"line_id": second, "qty": 1, "amount": "5.00"}]),
        ("failed", "80.00", [{"line_id": first, "qty": 2, "amount": "80.00"}]),
        ("succeeded", "2.50", []),
        ("processing", "1.00", []),
        ("succeeded", "3.00", []),
    ]
    assert [refund["requested_by"] for refund in shown["refunds"]] == [*[str(staff.id)] * 4, None]
    assert (shown["amount_refunded"], shown["amount_refunding"]) == ("10.50", "1.00")


def test_staff_read_who_canceled_an_order_and_why(customer: Customer, order: Any) -> None:
    staff = staff_of(customer)
    ask_cancellation(staff, order.id, reason="agreed by telephone")

    shown = staff.get(f"/api/admin/orders/{order.id}").json

    assert shown["status"] == "canceled"
    assert shown["canceled_at"] is not None
    cancellation = shown["cancellation"]
    assert (cancellation["reason"], cancellation["requested_by"]) == ("agreed by telephone", str(staff.id))
    assert set(cancellation) == {"id", "reason", "requested_by", "created_at"}


def test_staff_read_why_an_order_is_on_hold(customer: Customer, order: Any, sql: Sql) -> None:
    path, staff = f"/api/admin/orders/{order.id}", staff_of(customer)
    before = staff.get(path).json
    dispute(sql, order.payment_id, "10.00")
    disputed = staff.get(path).json
    sql("UPDATE disputes SET money_step = 1, money_out = true, amount = 125, status = 'lost'")
    fold(sql, order.payment_id)
    reversed_ = staff.get(path).json

    assert (before["status"], before["on_hold_reason"]) == ("placed", None)
    assert (disputed["status"], disputed["on_hold_reason"]) == ("on_hold", "chargeback")
    assert (reversed_["status"], reversed_["on_hold_reason"]) == ("on_hold", "payment_reversed")


def test_only_staff_read_the_orders_of_all(customer: Customer, order: Any) -> None:
    for path in ("/api/admin/orders", f"/api/admin/orders/{order.id}", "/api/admin/orders.csv"):
        assert customer.client.get(path).status_code == 401
        answer = customer.get(path)
        assert (answer.status_code, answer.json["type"]) == (403, "/problems/insufficient-scope")
        assert staff_of(customer).get(path).status_code == 200
    assert staff_of(customer).get(f"/api/admin/orders/{uuid4()}").status_code == 404
