"""The sweep sends tasks for refunds and cancellations whose message was lost, and for those whose time has come."""

from __future__ import annotations

import pytest

from checkout_service.settings.secret import Secret
from checkout_service.tasks import TaskName
from tests.conftest import Sql
from tests.refunding import insert_refund, make_due, paid_payment
from tests.webhook_bodies import insert_payment
from tests.worker.conftest import MakeWorker, Messages
from worker.payments.sweeping import sweep

pytestmark = pytest.mark.usefixtures("worker")


def test_it_rings_for_what_is_due_and_for_nothing_else(sql: Sql, messages: Messages) -> None:
    payment, _ = paid_payment(sql)
    due = [insert_refund(sql, payment, "10.00"), insert_refund(sql, payment, "10.00", attempts=3)]
    due.append(insert_refund(sql, payment, "10.00", status="'processing'", provider_ref="'re_1'"))
    insert_refund(sql, payment, "10.00", status="'succeeded'", provider_ref="'re_2'")
    insert_refund(sql, payment, "10.00", status="'failed'")
    reference = insert_payment(sql)
    sql(
        "INSERT INTO cancel_requests (payment_id, requested_by) SELECT id, id FROM payments WHERE provider_ref = :r",
        r=reference,
    )
    sql("INSERT INTO cancel_requests (payment_id, requested_by, next_attempt_at) VALUES (:id, :id, NULL)", id=payment)
    canceled = sql("SELECT id FROM payments WHERE provider_ref = :r", r=reference)[0].id
    make_due(sql)
    insert_refund(sql, payment, "1.00")

    assert sweep() == "sent 4 of 4 that are due"

    assert sorted(messages("payments")) == sorted([(str(each),) for each in [*due, canceled]])
    assert sweep() == "sent 0 of 4 that are due", "their messages are under way"


def test_a_request_whose_message_was_lost_is_due_after_five_seconds(sql: Sql, messages: Messages) -> None:
    payment, _ = paid_payment(sql)
    refund = insert_refund(sql, payment)
    row = sql("SELECT next_attempt_at - created_at AS delay FROM refunds")[0]

    assert row.delay.total_seconds() == 5
    assert sweep() == "sent 0 of 0 that are due"
    sql("UPDATE refunds SET next_attempt_at = now() - interval '1 second'")
    assert sweep() == "sent 1 of 1 that are due"
    assert messages("payments") == [(str(refund),)]


def test_without_a_broker_it_says_so_and_rings_the_next_time(sql: Sql, make_worker: MakeWorker) -> None:
    payment, _ = paid_payment(sql)
    insert_refund(sql, payment)
    make_due(sql)

    with make_worker(broker_url=Secret("redis://127.0.0.1:1/0")).app_context():
        assert sweep() == "sent 0 of 1 that are due"
    assert sweep() == "sent 1 of 1 that are due"


def test_it_is_beats(sql: Sql) -> None:
    assert TaskName.SWEEP_PAYMENTS.value == sweep.name
