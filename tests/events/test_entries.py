"""Events of captures, refunds, disputes, voids and sessions: each with the type that its row decides, and the body that
the API shows."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from flask import Flask

from checkout_service.disputes.queries import evidence_at
from checkout_service.providers.registry import provider_specs
from tests.capturing import authorized_payment, insert_capture_request, insert_void
from tests.conftest import Customer, MakeListing, Sql
from tests.disputes.entered import enter_dispute
from tests.events.written import types, written
from tests.money import fold
from tests.ordering import BUYER, paid_order
from tests.purchases import fill_cart, opened
from tests.refunding import ask_refund, insert_refund, paid_payment, refund_event, staff_of
from tests.webhook_bodies import insert_payment
from tests.worker.conftest import worker
from tests.worker.transitions.entered import attempt, capture, dispute, enter, news, payment_id

__all__ = ["worker"]  # fixtures


@pytest.fixture
def staff(customer: Customer) -> Customer:
    return staff_of(customer)


def captures_of(staff: Customer, payment: UUID) -> dict[str, Any]:
    answer = staff.get(f"/api/admin/payments/{payment}/captures")
    assert answer.status_code == 200, answer.text
    return answer.json


def without(shown: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in shown.items() if name not in names}


def test_captures_tell_what_came_and_what_came_to_nothing(staff: Customer, sql: Sql, worker: Flask) -> None:
    reference = insert_payment(sql)
    payment = payment_id(sql, reference)
    pending = news(reference, attempt("at_1"), capture("ch_1", "100.00", "pending", attempt_ref="at_1"))

    enter(pending)
    assert written(sql, "capture") == []
    enter(news(reference, capture("ch_1", "100.00", attempt_ref="at_1")))
    enter(news(reference, capture("ch_1", "100.00", attempt_ref="at_1")))
    enter(
        news(reference, capture("ch_1", "140.00", attempt_ref="at_1")),
        news(reference, capture("ch_2", "100.005", attempt_ref="at_2")),
        news(reference, capture("ch_3", "7.00", "refused")),
    )

    events = written(sql, "capture")
    assert [(event.type, event.body["ref"], event.body["amount"]) for event in events] == [
        ("capture.succeeded", "ch_1", "100.00"),
        ("capture.succeeded", "ch_1", "140.00"),
        ("capture.succeeded", "ch_2", "100.005"),
        ("capture.failed", "ch_3", "7.00"),
    ]
    assert {event.lane for event in events} == {payment}
    assert [event.version for event in events[:2]] == [2, 3]
    shown = {each["ref"]: each | {"payment_id": str(payment)} for each in captures_of(staff, payment)["captures"]}
    assert [event.body for event in events[1:]] == [shown["ch_1"], shown["ch_2"], shown["ch_3"]]
    assert [event.object_id for event in events[1:]] == [UUID(shown[ref]["id"]) for ref in ("ch_1", "ch_2", "ch_3")]

    enter(news(reference, capture("ch_2", "100.005", "undone", attempt_ref="at_2")))
    (*_, last) = written(sql, "capture")
    assert (last.type, last.body["status"], last.body["amount_refundable"]) == ("capture.failed", "undone", "0.00")


def test_a_capture_tells_what_may_be_given_back_beside_refunds_and_disputes(
    staff: Customer, sql: Sql, worker: Flask
) -> None:
    reference = insert_payment(sql, amount="100.00")
    payment = payment_id(sql, reference)
    enter(news(reference, capture("ch_1", "100.00")))
    refund = insert_refund(sql, payment, "40.00", capture_ref="'ch_1'")
    enter(news(reference, capture("ch_1", "120.00")))

    first, second = written(sql, "capture")

    assert (first.body["amount_refundable"], second.body["amount_refundable"]) == ("100.00", "80.00")
    assert second.body == captures_of(staff, payment)["captures"][0] | {"payment_id": str(payment)}
    assert [event.object_id for event in written(sql, "refund")] == [refund]


def test_a_request_to_capture_tells_that_it_failed(staff: Customer, sql: Sql) -> None:
    payment, _ = authorized_payment(sql)
    request = insert_capture_request(sql, payment, "200.00")
    assert written(sql, "capture_request") == []

    sql("UPDATE capture_requests SET status = 'processing', version = 2, updated_at = now()")
    sql("""UPDATE capture_requests SET status = 'failed', decline = 'not_in_this_state', detail = '400: no such charge',
        next_attempt_at = NULL, version = 3, updated_at = now()""")
    sql("UPDATE capture_requests SET updated_at = updated_at")

    (event,) = written(sql, "capture_request")
    assert (event.type, event.object_id, event.version, event.lane) == ("capture.failed", request, 3, payment)
    assert event.body == captures_of(staff, payment)["requests"][0]


def test_refunds_tell_who_requests_one_and_what_becomes_of_it(staff: Customer, sql: Sql, worker: Flask) -> None:
    payment, reference = paid_payment(sql)
    assert ask_refund(staff, payment, amount="40.00", reason="returned").status_code == 202
    (requested,) = written(sql, "refund")
    enter(refund_event(reference, "processing", refund_id=requested.object_id))
    enter(refund_event(reference, "succeeded", refund_id=requested.object_id))
    enter(refund_event(reference, "failed", refund_id=requested.object_id))
    enter(refund_event(reference, "succeeded", refund_ref="re_theirs", amount=Decimal("10.00")))
    enter(refund_event(reference, "processing", refund_ref="re_slow", amount=Decimal("5.00")))

    events = written(sql, "refund")

    assert [event.type for event in events] == [
        "refund.requested",
        "refund.succeeded",
        "refund.failed",
        "refund.succeeded",
    ]
    assert {event.lane for event in events} == {payment}
    shown = [without(each, "provider_answer") for each in staff.get(f"/api/payments/{payment}/refunds").json["data"]]
    assert events[2].body == shown[0]
    assert events[3].body == shown[1]
    assert (events[3].body["made_by"], events[0].body["made_by"]) == ("provider", "request")
    first = shown[0] | {"status": "requested", "decline": None, "updated_at": shown[0]["created_at"]}
    assert events[0].body == first
    versions = [event.version for event in events[:3]]
    assert versions == sorted(set(versions))


def test_a_refund_by_line_tells_its_lines(staff: Customer, sql: Sql, make_listing: MakeListing) -> None:
    order, payment = paid_order(sql, (make_listing(), 3), buyer=BUYER)
    (line,) = sql("SELECT id FROM order_lines WHERE order_id = :order", order=order)

    answer = ask_refund(staff, payment, lines=[{"line_id": str(line.id), "qty": 2}])

    assert answer.status_code == 202, answer.text
    (event,) = written(sql, "refund")
    assert event.type == "refund.requested"
    assert event.body["lines"] == [{"line_id": str(line.id), "qty": 2, "amount": "80.00"}]
    assert event.body == without(answer.json, "provider_answer")


DUE = datetime(2026, 12, 24, 12, tzinfo=UTC)

STEPS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "opened": ({}, ["dispute.opened"]),
    "again": ({}, []),
    "a later deadline": ({"evidence_due_at": DUE, "rank": 1}, ["dispute.updated"]),
    "money went": ({"evidence_due_at": DUE, "rank": 1, "step": 1, "money_out": True}, ["dispute.funds_withdrawn"]),
    "evidence was sent": ({"status": "under_review", "rank": 2, "evidence_due_at": DUE}, ["dispute.updated"]),
    "won, and money back": (
        {"status": "won", "rank": 3, "evidence_due_at": DUE, "step": 2},
        ["dispute.funds_reinstated", "dispute.won"],
    ),
    "lost after all": (
        {"status": "lost", "rank": 4, "evidence_due_at": DUE, "step": 3, "money_out": True},
        ["dispute.funds_withdrawn", "dispute.lost"],
    ),
    "older news": ({"status": "accepted", "rank": 2}, []),
}
"""What is reported of one dispute, step by step, and what each step tells."""


def test_a_dispute_tells_each_change_that_is_shown(staff: Customer, sql: Sql, worker: Flask) -> None:
    reference = insert_payment(sql, amount="100.00")
    payment = payment_id(sql, reference)
    enter(news(reference, capture("ch_1", "100.00")))
    at = datetime(2026, 12, 1, tzinfo=UTC)

    for name, (step, expected) in STEPS.items():
        before = len(written(sql, "dispute"))
        values = {"status": "needs_response", "amount": "40.00", "at": at, "capture_ref": "ch_1"} | step
        enter(news(reference, dispute("du_1", **values)))
        events = written(sql, "dispute")[before:]
        assert [event.type for event in events] == expected, name
        (shown,) = staff.get("/api/admin/disputes").json["data"]
        for event in events:
            assert event.body == shown, name
            assert (event.lane, str(event.object_id)) == (payment, shown["id"])
            assert event.version == sql("SELECT version FROM disputes")[0].version


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"status": "'lost'"}, ["dispute.opened", "dispute.lost"]),
        ({"status": "'accepted'", "money_step": "1", "money_out": "true"}, ["opened", "funds_withdrawn", "accepted"]),
        ({"status": "'expired'"}, ["opened", "expired"]),
        ({"status": "'closed'", "stage": "'inquiry'"}, ["opened"]),
        ({"status": "'won'", "money_step": "2"}, ["opened", "won"]),
    ],
)
def test_a_dispute_that_is_heard_of_late_tells_all_of_it(
    sql: Sql, columns: dict[str, str], expected: list[str]
) -> None:
    payment, _ = paid_payment(sql)

    enter_dispute(sql, payment, "du_1", **columns)

    assert types(sql, "dispute") == [f"dispute.{name.removeprefix('dispute.')}" for name in expected]


def test_a_dispute_without_an_amount_took_all_that_came_with_it(staff: Customer, sql: Sql, worker: Flask) -> None:
    """Its payment is computed after the entries of a set; what is shown then is told."""
    reference = insert_payment(sql, amount="100.00")
    enter(
        news(
            reference,
            capture("ch_1", "100.00"),
            dispute("", "needs_response", step=1, money_out=True, currency=None),
        )
    )

    (shown,) = staff.get("/api/admin/disputes").json["data"]

    assert shown["amount_lost"] == "100.00"
    assert [event.body for event in written(sql, "dispute")] == [shown, shown]


@pytest.mark.parametrize("provider", [*provider_specs(), "acme"])
def test_evidence_is_sent_where_the_api_says(sql: Sql, provider: str) -> None:
    assert sql("SELECT dispute_evidence_at(:provider) AS place", provider=provider)[0].place == evidence_at(provider)


def test_a_void_tells_of_its_payment_as_the_transaction_leaves_it(staff: Customer, sql: Sql) -> None:
    payment, _ = authorized_payment(sql)
    void = insert_void(sql, payment)
    refused = insert_void(sql, authorized_payment(sql)[0])

    sql("UPDATE voids SET status = 'failed', decline = 'other', next_attempt_at = NULL WHERE id = :id", id=refused)
    sql(
        f"""DO $$ BEGIN
            UPDATE voids SET status = 'succeeded', next_attempt_at = NULL, version = 2 WHERE id = '{void}';
            UPDATE payment_attempts SET status = 'canceled';
            PERFORM payments_fold(ARRAY['{payment}'::uuid]);
        END $$"""
    )

    voided = [event for event in written(sql, "payment") if event.type == "payment.voided"]
    shown = {
        each["id"]: each for each in staff_of(staff, scope="payments:read").get("/api/admin/payments").json["data"]
    }
    assert [(event.object_id, event.lane) for event in voided] == [(payment, payment)]
    assert voided[0].body == shown[str(payment)]
    assert (voided[0].version, voided[0].body["status"]) == (shown[str(payment)]["version"], "canceled")


def test_a_session_tells_what_its_customer_reads_but_not_what_they_pay_with(
    customer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    cart = fill_cart(customer, (make_listing(), 2), (make_listing(stock=None), 1))
    first = opened(customer, cart, "one", buyer=BUYER)
    fold(sql, first["payment_id"])
    opened(customer, cart, "two")
    opened(customer, cart, "two")

    events = written(sql, "checkout_session")

    assert [event.type for event in events] == ["checkout.session.opened"] * 2
    rows = {str(row.payment_id): row for row in sql("SELECT id, payment_id FROM checkout_sessions")}
    for event in events:
        shown = customer.get(f"/api/checkout/session/{event.lane}").json
        assert event.body == without(shown, "payment_token", "next_action") | {
            "id": str(event.object_id),
            "cart_id": cart,
            "customer": str(customer.id),
        }
        assert event.object_id == rows[str(event.lane)].id
    assert events[0].lane == UUID(first["payment_id"])


def test_what_is_rolled_back_was_never_written(sql: Sql) -> None:
    payment, _ = paid_payment(sql)
    with pytest.raises(Exception, match="left to give back"):
        insert_refund(sql, payment, "500.00")

    assert written(sql, "refund") == []
