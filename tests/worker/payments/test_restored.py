"""What waits for its look-up after a restore is asked about until the answer is recorded, and not refunded before."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask, current_app
from sqlalchemy.exc import IntegrityError

from checkout_service.providers.base import ProviderUnavailableError
from checkout_service.refunds.queries import refundable
from tests.capturing import ask_capture, authorized_payment, insert_capture_request
from tests.conftest import Customer, MakeListing, Sql
from tests.money import fold
from tests.order_requests import ask_cancellation, ordered
from tests.refunding import ask_refund, insert_refund, paid_payment, refund_event, staff_of
from tests.webhook_bodies import insert_payment
from tests.worker.scripted import ScriptedProvider
from worker.payments import status_queries
from worker.payments.look_ups import look_up


def wait(sql: Sql, payment_id: object) -> None:
    sql(
        """INSERT INTO look_ups_after_restore (payment_id, provider) SELECT id, provider FROM payments WHERE id = :id
        ON CONFLICT (payment_id) DO UPDATE SET due_at = now()""",
        id=payment_id,
    )


def waiting(sql: Sql) -> int:
    return len(sql("SELECT FROM look_ups_after_restore"))


def rows_due(sql: Sql) -> int:
    return len(sql("SELECT FROM look_ups_after_restore WHERE due_at <= now()"))


def request_lost(sql: Sql, payment_id: UUID) -> bool:
    return bool(sql("SELECT refund_request_lost(:id) AS lost", id=payment_id)[0].lost)


def test_a_paid_payment_is_looked_up_until_there_was_an_answer(sql: Sql, scripted: ScriptedProvider) -> None:
    payment, reference = paid_payment(sql)
    wait(sql, payment)
    scripted.truths[reference] = ProviderUnavailableError("away")
    look_up()
    assert scripted.looked_up == [reference]
    assert (waiting(sql), rows_due(sql)) == (1, 0), "taken for a while, and not lost"

    scripted.truths[reference] = [refund_event(reference, "succeeded", refund_id=uuid4())]
    wait(sql, payment)
    # Whatever moves the payment meanwhile.
    fold(sql, payment)
    look_up()
    assert scripted.looked_up == [reference] * 2
    assert waiting(sql) == 0
    assert request_lost(sql, payment)
    look_up()
    assert len(scripted.looked_up) == 2


def test_what_a_run_has_no_time_for_stays_due(
    sql: Sql, scripted: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        wait(sql, paid_payment(sql)[0])
    now = [0.0]
    monkeypatch.setattr(status_queries, "monotonic", lambda: now[0])

    def last(_: Any) -> list[Any]:
        now[0] += status_queries.WORK_FOR
        return []

    monkeypatch.setattr(scripted, "look_up", last)
    look_up()
    assert 0 < rows_due(sql) == waiting(sql) < 3


def test_nothing_new_is_an_answer_and_a_half_one_is_none(sql: Sql, scripted: ScriptedProvider) -> None:
    payment, reference = paid_payment(sql)
    scripted.truths[reference] = [refund_event(reference, "succeeded", amount=None)]
    wait(sql, payment)
    look_up()
    assert waiting(sql) == 1, "a refund without an amount waits for what names it"
    scripted.truths[reference] = []
    wait(sql, payment)
    look_up()
    assert waiting(sql) == 0


def test_an_answer_of_a_provider_that_cannot_tell_leaves_it_to_an_operator(
    sql: Sql, scripted: ScriptedProvider
) -> None:
    reference = insert_payment(sql, status="paid", provider="adyen")
    current_app.extensions["providers"] = {"adyen": scripted}
    wait(sql, sql("SELECT id FROM payments WHERE provider_ref = :reference", reference=reference)[0].id)
    look_up()
    sql("UPDATE look_ups_after_restore SET due_at = now()")
    look_up()
    assert len(scripted.looked_up) == 1
    (row,) = sql("SELECT answered_at FROM look_ups_after_restore")
    assert row.answered_at is not None


def test_nothing_is_refunded_captured_or_canceled_before(
    sql: Sql, customer: Customer, make_listing: MakeListing
) -> None:
    payment, _ = paid_payment(sql)
    promised, _ = authorized_payment(sql)
    order = ordered(sql, customer, (make_listing(), 1))
    for each in (payment, promised, order.payment_id):
        wait(sql, each)
    refunds, captures = staff_of(customer), staff_of(customer, scope="captures")
    orders = staff_of(customer, scope="refunds orders")

    def ask() -> list[int]:
        answers = (ask_refund(refunds, payment), ask_capture(captures, promised), ask_cancellation(orders, order.id))
        return [answer.status_code for answer in answers]

    assert ask() == [503] * 3
    sql("DELETE FROM look_ups_after_restore")
    codes = ask()
    assert all(200 <= code < 300 for code in codes), codes


def test_the_statement_itself_refuses_what_came_between(sql: Sql) -> None:
    payment, _ = paid_payment(sql)
    promised, _ = authorized_payment(sql)
    for each in (payment, promised):
        wait(sql, each)
    with pytest.raises(IntegrityError, match="waits for its look-up"):
        insert_refund(sql, payment)
    with pytest.raises(IntegrityError, match="waits for its look-up"):
        insert_capture_request(sql, promised)
    sql("DELETE FROM look_ups_after_restore")
    lose_a_request(sql, payment)
    with pytest.raises(IntegrityError, match="was requested before, and is not here"):
        insert_refund(sql, payment)


def test_a_review_lays_the_lost_request_to_rest_for_good(sql: Sql, app: Flask) -> None:
    payment, _ = paid_payment(sql)
    lose_a_request(sql, payment)

    def seen() -> bool:
        with app.app_context():
            found = refundable(payment_id=payment, requested_by=uuid4(), key="key")
        assert found is not None
        return found.request_lost

    assert seen()
    sql("INSERT INTO payment_reviews (payment_id, reason, amounts) VALUES (:id, 'refund_mismatch', '1')", id=payment)
    assert not seen(), "the reason may be there for another notice, which came later"


def lose_a_request(sql: Sql, payment: UUID) -> None:
    sql(
        """INSERT INTO payment_notices (payment_id, reason, ref, detail)
        VALUES (:id, 'refund_mismatch', 're_9', 'refund 9 was requested here, and is not here')""",
        id=payment,
    )
    fold(sql, payment)
