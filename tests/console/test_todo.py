"""All that waits for a person on one page, and what operators ask of a payment's money."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from flask import Flask

from checkout_service.cache import cache
from checkout_service.refunds.operations import operator_id
from tests.capturing import authorized_payment, insert_capture_request, request_row
from tests.conftest import Sql
from tests.console.conftest import InWorker, Operator
from tests.console.test_lists import payments_on
from tests.money import bring_to, dispute
from tests.refunding import insert_refund, open_payment, paid_payment
from tests.worker.scripted import ScriptedProvider
from worker.commands import run_commands
from worker.payments.cancelling import cancel


@pytest.fixture(autouse=True)
def _fresh(console_app: Flask) -> None:
    with console_app.app_context():
        cache().release("console:figures")


def test_where_nothing_waits_the_page_says_so(operator: Operator, servers: object) -> None:
    assert "Nothing waits for a person" in operator.get("/ops/todo").text


def test_everything_that_waits_is_listed_with_where_it_is_settled(operator: Operator, sql: Sql) -> None:
    doubted, _ = paid_payment(sql)
    refund = insert_refund(sql, doubted, in_doubt="true", sent_at="now() - interval '21 hours'")
    failed, _ = paid_payment(sql)
    insert_refund(sql, failed, status="'failed'", decline="'other'", detail="'422 <b>'", next_attempt_at="NULL")
    slow, _ = paid_payment(sql)
    insert_refund(sql, slow, created_at="now() - interval '1 hour'", detail="'unavailable'")
    canceled, _ = open_payment(sql)
    sql(
        """INSERT INTO cancel_requests (payment_id, requested_by, created_at)
        VALUES (:id, uuidv7(), now() - interval '1 hour')""",
        id=canceled,
    )
    disputed, _ = paid_payment(sql)
    dispute(sql, disputed, "10.00")
    flagged, _ = paid_payment(sql)
    sql("UPDATE payments SET review_reason = 'mismatch, paid_twice' WHERE id = :id", id=flagged)
    other, _ = paid_payment(sql)
    sql("UPDATE payments SET review_reason = 'overpaid' WHERE id = :id", id=other)
    sql("INSERT INTO webhook_endpoints (url) VALUES ('https://shop.example/hook')")
    sql("UPDATE webhook_endpoints SET state = 'suspended', state_reason = 'failing'")

    page = operator.get("/ops/todo")

    assert page.status_code == 200
    assert f"/ops/payments/{doubted}/refunds/{refund}/settle" in page.text
    for payment in (failed, slow, canceled, disputed):
        assert f'href="/ops/payments/{payment}"' in page.text
    assert "other: 422 &lt;b&gt;" in page.text
    assert "/ops/payments?reason=paid_twice" in page.text
    assert "(payments " not in page.text, "a form is there for what a command line does"
    assert "https://shop.example/hook" in page.text
    assert payments_on(operator.get("/ops/payments?reason=paid_twice").text) == [flagged]
    assert payments_on(operator.get("/ops/payments?reason=overpaid").text) == [other]
    assert operator.get("/ops/payments?reason=paid").status_code == 400


@pytest.fixture
def authorized(sql: Sql) -> UUID:
    """A payment of which 200.00 is authorized."""
    payment, _ = authorized_payment(sql, refs=("at_1",))
    return payment


def _requested(sql: Sql, table: str) -> list[Any]:
    return sql(f"SELECT * FROM {table}")


def test_what_is_authorized_is_captured(operator: Operator, sql: Sql, authorized: UUID) -> None:
    form = f"/ops/payments/{authorized}/capture"
    assert form in operator.get(f"/ops/payments/{authorized}").text
    filled = operator.form(form, form) | {"amount": "30.00", "why": "the first parcel"}

    for _ in range(2):
        assert operator.post(form, filled).status_code == 303

    (row,) = _requested(sql, "capture_requests")
    assert (row.payment_id, row.amount, row.requested_by.version) == (authorized, 30, 5)
    assert "capture money" in operator.get("/ops/audit").text
    (command,) = sql("SELECT action, operator, why, subject, details FROM audit")
    assert tuple(command)[:4] == ("capture", "mira", "the first parcel", str(authorized))
    assert command.details == {"capture_request": str(row.id)}
    assert "ask for a capture" in operator.get("/ops/audit").text
    assert f"/ops/payments/{authorized}" in operator.get("/ops/audit").text


@pytest.mark.parametrize("amount", ["-1", "0", "many", "30.001", "30.00 EUR", "99999.00"])
def test_an_amount_that_cannot_be_captured_is_refused(
    operator: Operator, sql: Sql, authorized: UUID, amount: str
) -> None:
    form = f"/ops/payments/{authorized}/capture"
    answer = operator.send(form, form, amount=amount, why="the parcel")

    assert answer.status_code in {400, 409, 422}, answer.text
    assert _requested(sql, "capture_requests") == []
    assert sql("SELECT FROM audit") == []


def test_what_is_authorized_is_released(operator: Operator, sql: Sql, authorized: UUID) -> None:
    form = f"/ops/payments/{authorized}/void"
    assert operator.send(form, form).status_code == 400, "it needs a note"
    assert _requested(sql, "voids") == []
    assert operator.send(form, form, why="nothing is left of it").status_code == 303

    (row,) = _requested(sql, "voids")
    assert row.payment_id == authorized
    (command,) = sql("SELECT action, why, subject, details FROM audit")
    assert tuple(command) == ("void", "nothing is left of it", str(authorized), {"void": str(row.id)})
    assert "ask for a release" in operator.get("/ops/audit").text
    assert "void an authorisation" in operator.get("/ops/audit").text
    assert "Nothing is open to capture" in operator.get(f"/ops/payments/{authorized}/capture").text


def test_a_capture_in_doubt_stands_on_the_page(operator: Operator, sql: Sql, authorized: UUID) -> None:
    columns = {"status": "'processing'", "sent_at": "now() - interval '73 hours'", "in_doubt": "true"}
    request_id = insert_capture_request(sql, authorized, "200.00", **columns)

    assert request_row(sql, "capture_requests", request_id).in_doubt
    assert f"/ops/payments/{authorized}/captures/{request_id}/settle" in operator.get("/ops/todo").text


def test_a_payment_that_is_open_is_canceled(operator: Operator, in_worker: InWorker, sql: Sql) -> None:
    payment, _ = open_payment(sql)
    form = f"/ops/payments/{payment}/cancel"
    assert form in operator.get(f"/ops/payments/{payment}").text
    assert operator.send(form, form, why=" ").status_code == 400
    assert _requested(sql, "cancel_requests") == []

    assert operator.send(form, form, why="by telephone").status_code == 303
    assert _requested(sql, "cancel_requests") == [], "the worker makes it"
    in_worker(run_commands)

    (row,) = _requested(sql, "cancel_requests")
    assert (row.payment_id, row.requested_by) == (payment, operator_id("mira"))
    (command,) = sql("SELECT action, operator, why, subject FROM audit")
    assert tuple(command) == ("cancel", "mira", "by telephone", str(payment))
    assert [row.state for row in sql("SELECT state FROM command_runs")] == ["done"]
    assert "cancel a payment" in operator.get("/ops/audit").text
    assert "cancel a payment" in operator.get(f"/ops/payments/{payment}").text


def test_a_cancellation_that_was_given_up_is_listed_and_tried_again(
    operator: Operator, in_worker: InWorker, worker_app: Flask, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment, reference = open_payment(sql)
    sql(
        """INSERT INTO cancel_requests (payment_id, requested_by, next_attempt_at, detail, created_at)
        VALUES (:id, uuidv7(), NULL, 'the payment is still pending', now() - interval '80 hours')""",
        id=payment,
    )
    assert "given up: the payment is still pending" in operator.get("/ops/todo").text
    form = f"/ops/payments/{payment}/cancel"

    assert operator.send(form, form, why="once more").status_code == 303
    in_worker(run_commands)

    (row,) = sql("SELECT next_attempt_at <= now() AS due FROM cancel_requests")
    assert row.due
    assert "given up" not in operator.get("/ops/todo").text.partition("</h1>")[2]
    # While the provider does not do it, it goes on: the time begins anew.
    stubborn = ScriptedProvider()
    stubborn.cancellations[reference] = []
    monkeypatch.setitem(worker_app.extensions, "providers", {"mock": stubborn})
    in_worker(cancel, str(payment))
    assert stubborn.canceled == [reference]
    assert sql("SELECT next_attempt_at > now() AS later FROM cancel_requests")[0].later


def test_what_was_paid_meanwhile_is_canceled_by_no_worker(operator: Operator, in_worker: InWorker, sql: Sql) -> None:
    payment, _ = open_payment(sql)
    form = f"/ops/payments/{payment}/cancel"
    filled = operator.form(form, form) | {"why": "too late"}
    late = operator.form(form, form) | {"why": "later still"}
    assert operator.post(form, filled).status_code == 303
    bring_to(sql, payment, "paid")

    in_worker(run_commands)

    (run,) = sql("SELECT state, message FROM command_runs")
    assert tuple(run) == ("refused", "the payment is paid: only one that is open can be canceled")
    assert _requested(sql, "cancel_requests") == []
    assert operator.post(form, late).status_code == 409
    assert len(sql("SELECT FROM audit")) == 1, "what is refused at once is no command"


def test_a_payment_that_is_paid_is_not_canceled(operator: Operator, sql: Sql) -> None:
    payment, _ = paid_payment(sql)
    assert "/cancel" not in operator.get(f"/ops/payments/{payment}").text
    assert "Not any more" in operator.get(f"/ops/payments/{payment}/cancel").text
