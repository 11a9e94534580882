"""What is written of payments, sessions and orders when money moves: each status that was reached, once."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from checkout_service.events.queries import events_page
from checkout_service.events.types import EVENT_TYPES
from tests.conftest import Customer, MakeListing, Servers, Sql
from tests.events.numbered import newest, sequence, types_of
from tests.money import attempt, bring_to, capture, dispute, fold
from tests.order_requests import ask_cancellation, ask_fulfilment, authorized_order, opened_for, ordered
from tests.ordering import ADDRESS, BUYER, paid_order
from tests.purchases import fill_cart, opened
from tests.refunding import insert_refund, open_payment, staff_of
from tests.worker.conftest import worker
from tests.worker.orders import buying
from tests.worker.transitions import entered

__all__ = ["worker"]  # fixtures


def listed(customer: Customer, kind: str, object_id: object) -> dict[str, Any]:
    """The entry of the list that staff read."""
    staff = staff_of(customer, scope="payments:read orders:read")
    answer = staff.get(f"/api/admin/{kind}?limit=100")
    assert answer.status_code == 200, answer.text
    (found,) = [entry for entry in answer.json["data"] if entry["id"] == str(object_id)]
    return found


@pytest.mark.parametrize(
    "status", ["processing", "failed", "authorized", "partially_paid", "paid", "reversed", "expired", "canceled"]
)
def test_a_payment_has_an_event_of_the_status_that_it_came_to(
    sql: Sql, customer: Customer, make_listing: MakeListing, status: str
) -> None:
    payment = opened_for(customer, (make_listing(), 1))
    bring_to(sql, payment, status, amount="10.00" if status == "partially_paid" else None)

    assert types_of(sql, payment, about=("payment",))[0] == f"payment.{status}"
    closed = [each for each in types_of(sql, payment, about=("checkout_session",)) if not each.endswith("opened")]
    assert closed == ([f"checkout.session.{status}"] if status in {"expired", "canceled"} else [])
    assert newest(sql, f"payment.{status}", payment) == listed(customer, "payments", payment)
    fold(sql, payment)
    assert len(types_of(sql, payment, about=("payment",))) == len(set(types_of(sql, payment, about=("payment",))))


def test_every_type_that_is_written_is_documented(sql: Sql, customer: Customer, make_listing: MakeListing) -> None:
    bought = ordered(sql, customer, (make_listing(), 2))
    dispute(sql, bought.payment_id, "10.00")
    ask_cancellation(staff_of(customer, scope="orders:write refunds"), bought.id)

    assert {row.type for row in sql("SELECT DISTINCT type FROM events")} <= set(EVENT_TYPES)


def test_statuses_that_are_passed_through_have_no_event(sql: Sql) -> None:
    payment, _ = open_payment(sql)
    attempt(sql, payment, "under_way", ref="a")
    attempt(sql, payment, "authorized", ref="b", authorized="100.00")
    capture(sql, payment, "ca", "100.00", attempt_ref="b")
    fold(sql, payment)

    assert types_of(sql, payment) == ["payment.paid"]


@pytest.mark.usefixtures("worker")
def test_a_payment_is_paid_once_in_its_life(sql: Sql) -> None:
    payment, reference = open_payment(sql)
    entered.enter(entered.news(reference, entered.capture("ca", "100.00")))
    entered.enter(entered.news(reference, entered.dispute("dp", "lost", "100.00", step=1, money_out=True)))
    entered.enter(entered.news(reference, entered.dispute("dp", "won", "100.00", step=2, money_out=False)))

    assert types_of(sql, payment, about=("payment",)) == ["payment.paid", "payment.reversed", "payment.reinstated"]
    with pytest.raises(IntegrityError, match="payments_first_paid_once"):
        sql("UPDATE payments SET first_paid_at = NULL")


def test_a_payment_that_was_paid_before_there_were_events_is_not_paid_again(sql: Sql) -> None:
    payment, _ = open_payment(sql)
    bring_to(sql, payment, "reversed")
    sql("DELETE FROM events")
    sql("UPDATE unsequenced_events SET events = '{}', types = '{}', objects = '{}', lanes = '{}'")
    sql("UPDATE disputes SET status = 'won', money_step = 2, money_out = false")
    fold(sql, payment)

    assert types_of(sql, payment, about=("payment",)) == ["payment.reinstated"]


@pytest.mark.usefixtures("worker")
def test_what_came_in_part_and_went_again_is_paid_when_all_of_it_comes(sql: Sql) -> None:
    payment, reference = open_payment(sql)
    entered.enter(entered.news(reference, entered.capture("ca", "40.00")))
    entered.enter(entered.news(reference, entered.dispute("dp", "lost", "40.00", step=1, money_out=True)))
    entered.enter(entered.news(reference, entered.capture("cb", "60.00")))

    assert [each for each in types_of(sql, payment, about=("payment",)) if each != "payment.flagged"] == [
        "payment.partially_paid",
        "payment.reversed",
        "payment.paid",
    ]


def test_a_reason_to_look_is_an_event_when_it_is_new(sql: Sql) -> None:
    payment, _ = open_payment(sql)
    capture(sql, payment, "ca_1", "40.00")
    fold(sql, payment)
    capture(sql, payment, "ca_2", "20.00")
    fold(sql, payment)
    capture(sql, payment, "ca_3", "140.00")
    fold(sql, payment)

    # mismatch; mismatch still; overpaid in its place.
    assert types_of(sql, payment, about=("payment",)) == [
        *("payment.partially_paid", "payment.flagged"),
        *("payment.paid", "payment.flagged"),
    ]
    assert newest(sql, "payment.flagged", payment)["review_reasons"] == ["overpaid"]


def test_an_order_is_short_and_then_placed(sql: Sql) -> None:
    listing = buying.listing(sql, 5)
    bought = buying.session(sql, buying.cart(sql, {listing: 2}), {listing: 2})
    buying.release(sql, bought)
    sql("UPDATE listings SET stock = 1 WHERE id = :id", id=listing)
    bring_to(sql, bought.payment, "paid")
    assert types_of(sql, bought.payment) == ["payment.paid", "payment.flagged", "order.short"]

    sql("UPDATE listings SET stock = 5 WHERE id = :id", id=listing)
    with_stock = sql("SELECT id FROM orders")[0].id
    line = sql("SELECT id FROM order_lines")[0].id
    sql(
        """INSERT INTO fulfilments (order_id, lines, requested_by, idempotency_key, request_hash)
        VALUES (:order, jsonb_build_array(jsonb_build_object('line_id', CAST(:line AS text), 'qty', 2)),
            uuidv7(), 'k', '')""",
        order=with_stock,
        line=str(line),
    )
    assert types_of(sql, bought.payment)[3:] == ["order.fulfilled"]


def test_a_held_order_is_released_and_both_are_events(sql: Sql, make_listing: MakeListing) -> None:
    _, payment = paid_order(sql, (make_listing(), 1))
    dispute(sql, payment, "10.00")
    sql("UPDATE disputes SET status = 'won'")
    fold(sql, payment)

    assert types_of(sql, payment, about=("order",)) == ["order.placed", "order.on_hold", "order.placed"]
    assert [row.version for row in sql("SELECT version FROM events WHERE object_type = 'order' ORDER BY version")] == [
        1,
        2,
        3,
    ]


def test_what_staff_do_with_orders_is_written_once(sql: Sql, customer: Customer, make_listing: MakeListing) -> None:
    staff = staff_of(customer, scope="orders:write refunds captures")
    sent = ordered(sql, customer, (make_listing(), 2))
    part = [{"line_id": str(sent.lines[0]), "qty": 1}]
    assert ask_fulfilment(staff, sent.id, uuid4().hex, lines=part).status_code == 201
    assert types_of(sql, sent.payment_id, about=("order",)) == ["order.placed", "order.partially_fulfilled"]
    assert newest(sql, "order.partially_fulfilled", sent.id) == listed(customer, "orders", sent.id)
    assert ask_fulfilment(staff, sent.id, uuid4().hex).status_code == 201

    canceled = ordered(sql, customer, (make_listing(), 1))
    assert ask_cancellation(staff, canceled.id).status_code == 202
    assert types_of(sql, canceled.payment_id) == ["payment.paid", "order.placed", "order.canceled"]
    assert newest(sql, "order.canceled", canceled.id) == listed(customer, "orders", canceled.id)

    voided = authorized_order(sql, customer, (make_listing(), 1))
    assert ask_cancellation(staff, voided.id, uuid4().hex).status_code == 202
    assert types_of(sql, voided.payment_id) == ["payment.authorized", "order.placed", "order.canceled"]
    assert newest(sql, "payment.authorized", voided.payment_id)["order"]["id"] == str(voided.id)


def test_orders_that_are_short_are_canceled_with_an_event_each(sql: Sql) -> None:
    listing = buying.listing(sql, 5)
    lanes = []
    for _ in range(2):
        bought = buying.session(sql, buying.cart(sql, {listing: 2}), {listing: 2})
        buying.release(sql, bought)
        lanes.append(bought.payment)
    sql("UPDATE listings SET stock = 0 WHERE id = :id", id=listing)
    for lane in lanes:
        bring_to(sql, lane, "paid")
    sql("SELECT orders_cancel_short(10, uuidv7())")

    for lane in lanes:
        assert types_of(sql, lane, about=("order",)) == ["order.short", "order.canceled"]


def test_an_order_that_another_payment_gets_goes_on_in_the_lane_of_that(sql: Sql) -> None:
    listing = buying.listing(sql)
    cart = buying.cart(sql, {listing: 1})
    first, second = (buying.session(sql, cart, {listing: 1}, held=number == 0) for number in range(2))
    bring_to(sql, first.payment, "paid")
    bring_to(sql, second.payment, "paid")
    assert newest(sql, "payment.paid", second.payment)["duplicate_of"] == [str(first.payment)]
    sql("UPDATE orders SET canceled_at = now()")
    fold(sql, first.payment)
    done = sql("SELECT done FROM order_take_over(:id)", id=second.payment)[0].done

    assert done
    assert types_of(sql, first.payment, about=("order",)) == ["order.placed", "order.canceled"]
    assert types_of(sql, second.payment, about=("order",)) == ["order.placed"]


@pytest.mark.parametrize("currency", ["USD", "JPY", "KWD"])
def test_bodies_are_what_lists_show(
    sql: Sql, app: Flask, customer: Customer, make_listing: MakeListing, currency: str
) -> None:
    price = {"JPY": "1200", "KWD": "1.234"}.get(currency, "40.50")
    listings = [
        make_listing(currency=currency, unit_price=price, title=f'"{n}" \\ "number":null é\t') for n in range(3)
    ]
    listings[2] |= {"vendor_id": listings[0]["vendor_id"]}
    order, payment = paid_order(
        sql, *[(listing, number + 1) for number, listing in enumerate(listings)], buyer=BUYER, address=ADDRESS
    )
    assert sequence(sql) == (1, 2 if _without_entries(sql, payment) else sql("SELECT count(*) FROM events")[0].count)

    with app.app_context():
        bodies = {row.type: json.loads(row.body) for row in events_page(0, limit=100).events}
    assert bodies["order.placed"] == listed(customer, "orders", order)
    assert bodies["payment.paid"] == listed(customer, "payments", payment)
    assert bodies["order.placed"]["number"] == bodies["payment.paid"]["order"]["number"] == "S-1"

    line = sql("SELECT id, unit_price FROM order_lines ORDER BY place LIMIT 1")[0]
    refund = insert_refund(sql, payment, str(line.unit_price))
    sql(
        "INSERT INTO refund_lines (refund_id, order_line_id, qty, amount) VALUES (:refund, :line, 1, :amount)",
        refund=refund,
        line=line.id,
        amount=line.unit_price,
    )
    sql("UPDATE refunds SET status = 'succeeded', next_attempt_at = NULL")
    dispute(sql, payment, "1")
    assert newest(sql, "order.on_hold", order) == listed(customer, "orders", order)
    assert newest(sql, "order.on_hold", order)["on_hold_reason"] == "chargeback"


def test_an_authorization_says_when_it_ends(sql: Sql, customer: Customer) -> None:
    payment, _ = open_payment(sql)
    attempt(sql, payment, "authorized", authorized="100.00")
    sql("UPDATE payment_attempts SET expires_at = '2031-02-03T04:05:06Z'")
    sql("INSERT INTO payment_notices (payment_id, reason, ref) VALUES (:id, 'fraud_warning', 'x')", id=payment)
    fold(sql, payment)

    body = newest(sql, "payment.authorized", payment)
    assert body["authorization_expires_at"] == "2031-02-03T04:05:06Z"
    assert body == listed(customer, "payments", payment)
    assert types_of(sql, payment, about=("payment",)) == ["payment.authorized", "payment.flagged"]


def test_a_session_that_ends_is_shown_as_its_customer_reads_it(
    sql: Sql, customer: Customer, make_listing: MakeListing
) -> None:
    answer = opened(customer, fill_cart(customer, (make_listing(), 2)))
    bring_to(sql, answer["payment_id"], "canceled")
    bring_to(sql, answer["payment_id"], "canceled")

    session = sql("SELECT id, cart_id FROM checkout_sessions")[0]
    shown = customer.get(f"/api/checkout/session/{answer['payment_id']}").json
    del shown["payment_token"], shown["next_action"]
    body = newest(sql, "checkout.session.canceled", session.id)
    assert body == shown | {"id": str(session.id), "cart_id": str(session.cart_id), "customer": str(customer.id)}
    assert "payment_token" not in json.dumps(body)
    assert "next_action" not in json.dumps(body)


def test_money_that_rolls_back_leaves_no_event(sql: Sql, superuser: Engine) -> None:
    payment, _ = open_payment(sql)
    attempt(sql, payment, "started", presumed="100.00")
    with superuser.execution_options(isolation_level="READ COMMITTED").connect() as other:
        other.execute(text("SELECT payments_fold(ARRAY[CAST(:id AS uuid)])"), {"id": payment})
        assert other.execute(text("SELECT count(*) FROM events")).scalar_one() > 0
        other.rollback()

    assert types_of(sql, payment) == []


@pytest.mark.parametrize("role", ["web", "worker"])
@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO events (object_id, version, lane, type) SELECT id, 1, id, 'payment.paid' FROM users",
        "UPDATE events SET type = 'payment.paid'",
        "DELETE FROM events",
        "INSERT INTO events_of_no_day SELECT * FROM events",
        "INSERT INTO event_numbers (seq, day, event_id, object_id) SELECT 1, now(), id, id FROM users",
        "UPDATE event_numbers SET seq = 1",
        "DELETE FROM event_numbers_of_no_day",
        "INSERT INTO unsequenced_events (events, types, objects, lanes) VALUES ('{}', '{}', '{}', '{}')",
        "DELETE FROM unsequenced_events",
        "UPDATE event_series SET last_seq = 0",
        "UPDATE payments SET first_paid_at = NULL",
        "SELECT events_write('{}', '{}', '{}', '{}', '{}', CAST('{}' AS text[]))",
        "SELECT events_follow('{}', '{}', '{}', '{}', '{}')",
    ],
)
def test_nobody_but_the_owner_writes_the_log(role: str, statement: str, servers: Servers) -> None:
    engine = create_engine(servers.web_url if role == "web" else servers.worker_url)
    try:
        with engine.connect() as connection, pytest.raises(DBAPIError, match="permission denied"):
            connection.execute(text(statement))
    finally:
        engine.dispose()


def _without_entries(sql: Sql, lane: UUID) -> bool:
    """Whether the lane holds nothing but events of its payment and order."""
    rows = sql("SELECT FROM events WHERE lane = :lane AND object_type NOT IN ('payment', 'order')", lane=lane)
    return not rows
