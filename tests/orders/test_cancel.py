"""Staff cancel orders: pieces go back, what may be given back is asked for of each capture, one key is done once."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from tests.capturing import insert_capture_request, insert_void
from tests.conftest import Customer, MakeListing, Servers, Sql
from tests.money import bring_to, capture, dispute, fold
from tests.order_requests import (
    Ordered,
    ask_cancellation,
    ask_fulfilment,
    authorized_order,
    lost,
    notified,
    order_of,
    ordered,
    ordered_by_captures,
    pieces,
    problem,
    reasons_of,
    short_order,
    status_of,
    stock_of,
)
from tests.refunding import insert_refund, staff_of, sums


@pytest.fixture
def staff(customer: Customer) -> Customer:
    return staff_of(customer)


@pytest.fixture
def listing(make_listing: MakeListing) -> dict[str, Any]:
    return make_listing(unit_price="40.00")


@pytest.fixture
def order(sql: Sql, customer: Customer, listing: dict[str, Any]) -> Ordered:
    """Of 3 × 40.00, paid; ten pieces lie there."""
    return ordered(sql, customer, (listing, 3))


def requested_of(sql: Sql) -> tuple[list[tuple[str | None, str]], int]:
    """What is given back of which capture, and how many voids there are."""
    rows = sql("SELECT capture_ref, amount FROM refunds ORDER BY part, id")
    return [(row.capture_ref, str(row.amount)) for row in rows], sql("SELECT count(*) FROM voids")[0].count


def test_a_paid_order_is_canceled(
    staff: Customer, order: Ordered, sql: Sql, servers: Servers, listing: dict[str, Any]
) -> None:
    assert stock_of(sql, listing) == (10, 3)

    answer = ask_cancellation(staff, order.id, reason="damaged")

    assert answer.status_code == 202, answer.text
    assert set(answer.json) == {
        *("id", "order_id", "order_status", "payment_id", "reason", "refunds", "void", "created_at")
    }
    assert (answer.json["order_id"], answer.json["payment_id"]) == (str(order.id), str(order.payment_id))
    assert (answer.json["order_status"], answer.json["reason"], answer.json["void"]) == ("canceled", "damaged", None)
    assert answer.headers["Location"] == f"/api/admin/orders/{order.id}"
    assert answer.headers["Cache-Control"] == "no-store"
    (refund,) = sql("SELECT * FROM refunds")
    assert answer.json["refunds"] == [str(refund.id)]
    assert (refund.amount, refund.reason, refund.requested_by) == (120, "damaged", staff.id)
    assert refund.idempotency_key == f"cancellation {answer.json['id']}"
    assert sums(sql, order.payment_id) == ("0.00", "120.00")
    assert notified(servers) == [("payments.refund", (str(refund.id),))]
    assert (status_of(sql, order), stock_of(sql, listing)) == ("canceled", (10, 0))
    (row,) = sql("SELECT canceled_at IS NOT NULL AS for_good, version FROM orders WHERE id = :id", id=order.id)
    assert row.for_good
    assert reasons_of(sql, order) is None


def test_each_capture_is_given_back_by_itself(
    staff: Customer, customer: Customer, sql: Sql, servers: Servers, listing: dict[str, Any]
) -> None:
    order = ordered_by_captures(sql, customer, (listing, 3), amounts=["50.00", "30.00", "40.00"])
    insert_refund(sql, order.payment_id, "10.00", capture_ref=f"'ca_2_{order.payment_id}'")
    insert_refund(sql, order.payment_id, "40.00", capture_ref=f"'ca_3_{order.payment_id}'")

    answer = ask_cancellation(staff, order.id)

    own = sql("SELECT id, capture_ref, amount, part FROM refunds WHERE requested_by = :id ORDER BY part", id=staff.id)
    assert [(row.capture_ref, str(row.amount), row.part) for row in own] == [
        (f"ca_1_{order.payment_id}", "50.00", 0),
        (f"ca_2_{order.payment_id}", "20.00", 1),
    ]
    assert answer.json["refunds"] == [str(row.id) for row in own]
    assert sorted(notified(servers, least=2)) == [("payments.refund", (str(row.id),)) for row in own]
    assert sums(sql, order.payment_id) == ("0.00", "120.00")


def test_what_is_disputed_is_not_given_back(
    staff: Customer, customer: Customer, sql: Sql, listing: dict[str, Any]
) -> None:
    """Also where the dispute names no capture: no more than the payment has left, of the oldest first."""
    order = ordered_by_captures(sql, customer, (listing, 3), amounts=["50.00", "70.00"])
    dispute(sql, order.payment_id, "80.00")
    assert status_of(sql, order) == "on_hold"

    assert ask_cancellation(staff, order.id).status_code == 202

    assert requested_of(sql)[0] == [(f"ca_1_{order.payment_id}", "40.00")]
    assert status_of(sql, order) == "canceled"


def test_of_money_that_went_nothing_is_given_back(
    staff: Customer, order: Ordered, sql: Sql, listing: dict[str, Any]
) -> None:
    lost(sql, order.payment_id)
    assert status_of(sql, order) == "on_hold"

    answer = ask_cancellation(staff, order.id)

    assert (answer.status_code, answer.json["refunds"], answer.json["void"]) == (202, [], None)
    assert (status_of(sql, order), stock_of(sql, listing), requested_of(sql)) == ("canceled", (10, 0), ([], 0))


def test_what_is_authorized_is_released(
    staff: Customer, customer: Customer, sql: Sql, servers: Servers, listing: dict[str, Any]
) -> None:
    order = authorized_order(sql, customer, (listing, 3))

    answer = ask_cancellation(staff, order.id)

    assert (answer.status_code, answer.json["refunds"]) == (202, [])
    (void,) = sql("SELECT * FROM voids")
    assert answer.json["void"] == str(void.id)
    assert (void.releases, void.requested_by) == (120, staff.id)
    assert void.idempotency_key == f"cancellation {answer.json['id']}"
    assert notified(servers) == [("payments.void", (str(void.id),))]
    assert (status_of(sql, order), stock_of(sql, listing)) == ("canceled", (10, 0))


def test_of_what_is_captured_in_part_one_is_given_back_and_the_other_released(
    staff: Customer, customer: Customer, sql: Sql, servers: Servers, listing: dict[str, Any]
) -> None:
    order = authorized_order(sql, customer, (listing, 3), refs=("at_1",))
    capture(sql, order.payment_id, "ca_1", "50.00", attempt_ref="at_1")
    fold(sql, order.payment_id)

    answer = ask_cancellation(staff, order.id)

    assert requested_of(sql) == ([("ca_1", "50.00")], 1)
    tasks = {task for task, _ in notified(servers, least=2)}
    assert tasks == {"payments.refund", "payments.void"}
    assert len(answer.json["refunds"]) == 1
    assert sql("SELECT releases FROM voids")[0].releases == 70


def test_a_void_that_somebody_requested_is_that_of_the_cancellation(
    staff: Customer, customer: Customer, sql: Sql, listing: dict[str, Any]
) -> None:
    order = authorized_order(sql, customer, (listing, 3))
    void = insert_void(sql, order.payment_id)

    answer = ask_cancellation(staff, order.id)

    assert (answer.status_code, answer.json["void"]) == (202, str(void))
    assert requested_of(sql) == ([], 1)


def test_money_that_comes_after_all_does_not_bring_it_back(
    staff: Customer, customer: Customer, sql: Sql, listing: dict[str, Any]
) -> None:
    order = authorized_order(sql, customer, (listing, 3))
    ask_cancellation(staff, order.id)

    bring_to(sql, order.payment_id, "paid")

    assert (status_of(sql, order), stock_of(sql, listing)) == ("canceled", (10, 0))


def test_where_all_was_given_back_before_nothing_more_is(staff: Customer, order: Ordered, sql: Sql) -> None:
    insert_refund(sql, order.payment_id, "120.00")

    answer = ask_cancellation(staff, order.id)

    assert (answer.status_code, answer.json["refunds"], answer.json["void"]) == (202, [], None)
    assert len(requested_of(sql)[0]) == 1


def test_an_order_of_which_something_was_fulfilled_is_not_canceled(
    staff: Customer, customer: Customer, sql: Sql, make_listing: MakeListing, listing: dict[str, Any]
) -> None:
    order = ordered(sql, customer, (listing, 3), (make_listing(), 1))
    ask_fulfilment(staff, order.id, lines=[pieces(order.lines[0], 2)])

    answer = ask_cancellation(staff, order.id)

    assert problem(answer) == (409, "order-fulfilled")
    assert answer.json["lines"] == [{"line_id": str(order.lines[0]), "qty_fulfilled": 2}]
    assert (status_of(sql, order), stock_of(sql, listing), requested_of(sql)) == (
        "partially_fulfilled",
        (8, 1),
        ([], 0),
    )
    assert sql("SELECT count(*) FROM order_cancellations")[0].count == 0


def test_an_order_is_canceled_once(staff: Customer, order: Ordered, sql: Sql) -> None:
    ask_cancellation(staff, order.id)

    assert problem(ask_cancellation(staff, order.id, "another")) == (409, "order-canceled")
    assert problem(ask_cancellation(staff_of(staff), order.id)) == (409, "order-canceled")
    assert len(requested_of(sql)[0]) == 1


def test_an_order_whose_authorisation_ended_needs_no_canceling(
    staff: Customer, customer: Customer, sql: Sql, listing: dict[str, Any]
) -> None:
    order = authorized_order(sql, customer, (listing, 3))
    sql("UPDATE payment_attempts SET status = 'expired'")
    fold(sql, order.payment_id)

    assert problem(ask_cancellation(staff, order.id)) == (409, "order-canceled")


def test_a_capture_under_way_comes_first(
    staff: Customer, customer: Customer, sql: Sql, listing: dict[str, Any]
) -> None:
    order = authorized_order(sql, customer, (listing, 3))
    insert_capture_request(sql, order.payment_id)

    assert problem(ask_cancellation(staff, order.id)) == (409, "capture-outstanding")
    assert (status_of(sql, order), requested_of(sql)) == ("placed", ([], 0))

    sql("UPDATE capture_requests SET status = 'failed', next_attempt_at = NULL")
    assert ask_cancellation(staff, order.id).status_code == 202, "the key was not used up"


def test_a_short_order_is_canceled_and_lacks_nothing_any_more(
    staff: Customer, customer: Customer, sql: Sql, listing: dict[str, Any]
) -> None:
    order = short_order(sql, customer, (listing, 3), left=1)
    assert (status_of(sql, order), reasons_of(sql, order)) == ("short", "paid_without_stock")

    assert ask_cancellation(staff, order.id).status_code == 202

    assert (status_of(sql, order), reasons_of(sql, order), stock_of(sql, listing)) == ("canceled", None, (1, 0))
    assert sql("SELECT sum(qty_short) AS short FROM order_lines")[0].short == 0


def test_a_short_order_of_which_nothing_is_left_to_give_back_has_no_reason_either(
    staff: Customer, customer: Customer, sql: Sql, listing: dict[str, Any]
) -> None:
    order = short_order(sql, customer, (listing, 3), left=0)
    insert_refund(sql, order.payment_id, "120.00")

    assert ask_cancellation(staff, order.id).json["refunds"] == []
    assert reasons_of(sql, order) is None


@pytest.mark.parametrize("key", ["cancel-1", '"cancel-1"'])
def test_the_same_key_and_request_get_the_same_answer(
    staff: Customer, order: Ordered, sql: Sql, servers: Servers, key: str
) -> None:
    first = ask_cancellation(staff, order.id, reason="damaged")
    sql("UPDATE refunds SET status = 'failed', decline = 'other', next_attempt_at = NULL")
    notified(servers)

    again = ask_cancellation(staff, order.id, key, reason="damaged")

    assert (again.status_code, again.json) == (202, first.json)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert problem(ask_cancellation(staff, order.id, key)) == (422, "idempotency-key-reused")
    assert len(requested_of(sql)[0]) == 1
    assert notified(servers, least=0) == []


def test_keys_of_each_kind_do_not_meet(
    staff: Customer, customer: Customer, order: Ordered, sql: Sql, listing: dict[str, Any]
) -> None:
    assert ask_fulfilment(staff, order.id, "key").status_code == 201
    other = ordered(sql, customer, (listing, 1))
    assert ask_cancellation(staff, other.id, "key").status_code == 202
    assert problem(ask_cancellation(staff, order.id, "key")) == (422, "idempotency-key-reused")


def test_a_duplicate_that_is_paid_after_all_is_another_order(
    staff: Customer, customer: Customer, sql: Sql, listing: dict[str, Any]
) -> None:
    """Its first payment was released; another one for the same filling of the cart is paid later."""
    order = authorized_order(sql, customer, (listing, 1))
    (session,) = sql("SELECT * FROM checkout_sessions WHERE payment_id = :id", id=order.payment_id)
    duplicate = _duplicate(sql, session)
    first = ask_cancellation(staff, order.id)
    sql("UPDATE payment_attempts SET status = 'canceled'")
    fold(sql, order.payment_id)
    bring_to(sql, duplicate, "paid")

    assert status_of(sql, order) == "canceled"
    other = order_of(sql, duplicate)
    assert (other.id != order.id, status_of(sql, other)) == (True, "placed")
    second = ask_cancellation(staff, other.id, "again")
    assert (second.status_code, second.json["payment_id"]) == (202, str(duplicate))
    assert ask_cancellation(staff, order.id).json == first.json, "as it was answered"


def _duplicate(sql: Sql, session: Any) -> Any:
    (payment,) = sql(
        """INSERT INTO payments (user_id, provider, provider_ref, amount, currency)
        SELECT user_id, provider, 'mock_pi_duplicate', amount, currency FROM payments WHERE id = :id RETURNING id""",
        id=session.payment_id,
    )
    sql(
        """INSERT INTO checkout_sessions (user_id, cart_id, generation, idempotency_key, request_hash, payment_id,
            payment_token, amount, currency, lines, expires_at)
        SELECT user_id, cart_id, generation, 'duplicate', request_hash, :payment, payment_token, amount, currency,
            lines, expires_at FROM checkout_sessions WHERE id = :id""",
        id=session.id,
        payment=payment.id,
    )
    return payment.id


@pytest.mark.parametrize(
    ("key", "slug"),
    [(None, "missing-idempotency-key"), ("", "malformed-idempotency-key"), ("a b", "malformed-idempotency-key")],
)
def test_a_key_is_needed(staff: Customer, order: Ordered, sql: Sql, key: str | None, slug: str) -> None:
    assert problem(ask_cancellation(staff, order.id, key)) == (400, slug)
    assert requested_of(sql) == ([], 0)


def test_without_the_scope_nothing_is_canceled(customer: Customer, order: Ordered, sql: Sql) -> None:
    for order_id in (order.id, uuid4()):
        assert problem(ask_cancellation(customer, order_id, None, reason=7)) == (403, "insufficient-scope")
    answer = customer.client.post(f"/api/admin/orders/{order.id}/cancel", json={})
    assert problem(answer) == (401, "unauthorized")
    assert (status_of(sql, order), requested_of(sql)) == ("placed", ([], 0))


def test_an_order_that_is_not_here(staff: Customer, sql: Sql) -> None:
    assert problem(ask_cancellation(staff, uuid4())) == (404, "not-found")
    assert problem(ask_cancellation(staff, "nonsense")) == (404, "not-found")


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"reason": ""}, "/reason"),
        ({"reason": "x" * 256}, "/reason"),
        ({"reason": "two\nlines"}, "/reason"),
        ({"reason": 7}, "/reason"),
        ({"reason": None}, "/reason"),
        ({"amount": "1.00"}, "/amount"),
    ],
)
def test_a_request_must_make_sense(
    staff: Customer, order: Ordered, sql: Sql, members: dict[str, Any], pointer: str
) -> None:
    answer = ask_cancellation(staff, order.id, **members)

    assert problem(answer) == (422, "invalid")
    assert [fault["pointer"] for fault in answer.json["errors"]] == [pointer]
    assert (status_of(sql, order), requested_of(sql)) == ("placed", ([], 0))


def test_a_request_without_a_body_gives_no_reason(staff: Customer, order: Ordered, sql: Sql) -> None:
    path, headers = f"/api/admin/orders/{order.id}/cancel", {"Idempotency-Key": "cancel-1"}
    assert staff.post(path, headers=headers, data=b"{}").status_code == 415, "a body says what it is"
    answer = staff.post(path, headers=headers)
    assert (answer.status_code, answer.json["reason"]) == (202, None)
    again = ask_cancellation(staff, order.id)
    assert again.json == answer.json, "it is the same request"
    assert again.headers["Idempotent-Replayed"] == "true"
    assert status_of(sql, order) == "canceled"


@pytest.mark.parametrize("body", ["", "[]", "{", "null", '{"reason": "nothing\\u0000"}'])
def test_a_body_that_is_no_object_is_refused(staff: Customer, order: Ordered, sql: Sql, body: str) -> None:
    answer = staff.post(
        f"/api/admin/orders/{order.id}/cancel",
        data=body,
        content_type="application/json",
        headers={"Idempotency-Key": "cancel-1"},
    )
    assert answer.status_code in {400, 422}
    assert requested_of(sql) == ([], 0)
