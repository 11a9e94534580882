"""What operators see of a payment's money, and the ways out of what does not fit."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

import pytest
from flask import Flask

from checkout_service.money import show
from checkout_service.oversight.operator_phrases import summary
from checkout_service.oversight.timeline import timeline_of
from tests.conftest import Sql
from tests.console.conftest import InWorker, Operator
from tests.console.test_commands import Messages, messages
from tests.money import attempt, bring_to, capture, fold
from tests.refunding import open_payment
from tests.webhook_bodies import insert_payment
from worker.commands import run_commands

__all__ = ["messages"]


@pytest.fixture
def part_paid(sql: Sql) -> UUID:
    """A payment of 240.00 of which 200.00 came."""
    payment_id = _payment(sql)
    bring_to(sql, payment_id, "partially_paid", amount="200")
    return payment_id


def _payment(sql: Sql) -> UUID:
    reference = insert_payment(sql)
    found: UUID = sql("SELECT id FROM payments WHERE provider_ref = :reference", reference=reference)[0].id
    return found


def test_what_came_is_accepted_as_the_whole_price(
    operator: Operator, sql: Sql, in_worker: InWorker, part_paid: UUID
) -> None:
    page = f"/ops/payments/{part_paid}"
    assert operator.send(page, f"{page}/accept", amount="200.00", why="agreed").status_code == 303
    assert "payments accept" not in operator.get(page).text, "there is a form for it"
    assert sql("SELECT status::text FROM payments")[0].status == "partially_paid", "the web tier moves no payment"
    in_worker(run_commands)

    row = sql("SELECT status::text AS now, amount, amount_accepted, review_reason FROM payments")[0]
    assert (row.now, str(row.amount), row.amount_accepted, row.review_reason) == ("paid", "240.00", 200, None)
    shown = operator.get(page).text
    assert "accept an amount" in shown
    assert f'action="{page}/accept"' not in shown
    audit = operator.get("/ops/audit")
    assert audit.status_code == 200
    assert "accept an amount" in audit.text
    assert ", 200.00" in audit.text


@pytest.mark.parametrize("amount", ["", "0", "-1", "1e3", "200.001", "many"])
def test_an_amount_that_is_none_is_refused(operator: Operator, sql: Sql, part_paid: UUID, amount: str) -> None:
    page = f"/ops/payments/{part_paid}"
    assert operator.send(page, f"{page}/accept", amount=amount, why="agreed").status_code == 400
    assert sql("SELECT FROM audit") == []


def test_money_is_given_back_once_for_each_form(
    operator: Operator, sql: Sql, messages: Messages, part_paid: UUID
) -> None:
    page = f"/ops/payments/{part_paid}"
    form = operator.form(f"{page}/refund", f"{page}/refund") | {"amount": "40.00", "why": "too\n much came"}
    assert operator.post(f"{page}/refund", form).status_code == 303
    assert operator.post(f"{page}/refund", form).status_code == 303

    rows = sql("SELECT id, amount, reason, status::text AS now FROM refunds")
    assert [(str(row.amount), row.reason, row.now) for row in rows] == [("40.00", "too much came", "requested")]
    assert ("payments.refund", (str(rows[0].id),)) in messages()
    (command,) = sql("SELECT action, operator, why, subject, details, key FROM audit")
    assert tuple(command)[:5] == ("refund", "mira", form["why"], str(part_paid), {"refund": str(rows[0].id)})
    assert str(command.key) == form["key"]
    assert sql("SELECT FROM command_runs") == []
    assert "ask for a refund" in operator.get("/ops/audit").text
    assert "160.00" in operator.get(page).text


def test_more_than_is_left_is_not_given_back(operator: Operator, sql: Sql, part_paid: UUID) -> None:
    page = f"/ops/payments/{part_paid}"
    answer = operator.send(f"{page}/refund", f"{page}/refund", amount="200.01", why="all of it")
    assert answer.status_code == 409
    assert "Only 200.00 USD can be given back now" in answer.text
    assert sql("SELECT FROM refunds") == []
    assert sql("SELECT FROM audit") == []


def _summary(app: Flask, payment_id: UUID) -> str:
    with app.app_context():
        found = timeline_of(payment_id)
    assert found is not None
    return " ".join(line.text for line in summary(found.payment))


def test_a_duplicate_names_the_other_and_offers_its_refund(app: Flask, operator: Operator, sql: Sql) -> None:
    first, second = _payment(sql), _payment(sql)
    user = sql("SELECT user_id FROM payments WHERE id = :id", id=first)[0].user_id
    (cart,) = sql("INSERT INTO carts (user_id) VALUES (:user) RETURNING id", user=user)
    for payment_id in (first, second):
        sql(
            """INSERT INTO checkout_sessions (user_id, cart_id, generation, idempotency_key, request_hash, payment_id,
                payment_token, amount, currency, lines, expires_at)
            VALUES (:user, :cart, 0, :key, '', :id, 'token', 240, 'USD', '[]', now())""",
            user=user,
            cart=cart.id,
            key=str(payment_id),
            id=payment_id,
        )
        bring_to(sql, payment_id, "paid")
    fold(sql, first)

    shown = operator.get(f"/ops/payments/{first}").text
    assert f'href="/ops/payments/{second}"' in shown
    assert f'href="/ops/payments/{first}/refund"' in shown
    assert "paid twice" in shown
    assert f"payments refund {second}" in _summary(app, first)
    sql(
        """INSERT INTO refunds (payment_id, amount, requested_by, idempotency_key, request_hash)
        SELECT id, 240, user_id, 'key', '' FROM payments WHERE id = :id""",
        id=second,
    )
    sql("UPDATE refunds SET status = 'succeeded', provider_ref = 're_1'")
    fold(sql, second)
    assert "it went back" in _summary(app, first)


def test_disputes_are_listed_by_their_deadline_with_where_evidence_is_sent(operator: Operator, sql: Sql) -> None:
    for number, (status, due) in enumerate([("needs_response", 9), ("needs_response", 2), ("lost", 1)]):
        sql(
            """INSERT INTO disputes
                (payment_id, provider, dispute_ref, stage, status, amount, currency, evidence_due_at, reason)
            VALUES (:id, 'stripe', :name, 'chargeback', CAST(:status AS dispute_status), 40, 'USD',
                now() + make_interval(days => :due), 'not_received')""",
            id=_payment(sql),
            name=f"dp_{number}",
            status=status,
            due=due,
        )

    opened = operator.get("/ops/disputes").text
    assert opened.index("dp_1") < opened.index("dp_0")
    assert "dp_2" not in opened
    assert "not received" in opened
    assert "Stripe" in opened
    assert "dp_2" in operator.get("/ops/disputes?status=lost").text
    assert operator.get("/ops/disputes?status=nonsense").status_code == 400


def test_an_authorized_payment_shows_what_is_promised(operator: Operator, sql: Sql) -> None:
    payment_id = _payment(sql)
    attempt(sql, payment_id, "authorized", ref="pi_1", authorized="240")
    fold(sql, payment_id)
    shown = operator.get(f"/ops/payments/{payment_id}").text
    assert "<dt>Authorized</dt>" in shown
    assert f'href="/ops/payments/{payment_id}/refund"' not in shown


@pytest.mark.parametrize(("currency", "amount", "shown"), [("KWD", "240.5", "240.500"), ("JPY", "24000", "24000.00")])
def test_amounts_are_shown_as_the_api_writes_them(
    operator: Operator, sql: Sql, currency: str, amount: str, shown: str
) -> None:
    payment_id, _ = open_payment(sql, amount=amount, currency=currency)
    page = operator.get(f"/ops/payments/{payment_id}").text

    assert f"{shown} <abbr>{currency}</abbr>" in page
    assert f"{show(Decimal(0), currency)} <abbr>{currency}</abbr>" in page, "nothing came yet"


@pytest.mark.parametrize(("reason", "offered"), [("recaptured", True), ("refund_mismatch", False)])
def test_an_amount_may_be_accepted_where_that_is_a_way_out(
    operator: Operator, sql: Sql, reason: str, offered: bool
) -> None:
    payment_id, _ = open_payment(sql, amount="240.00")
    capture(sql, payment_id, "cp_1", "240.00", status="undone")
    sql(
        "INSERT INTO payment_notices (payment_id, reason, ref) VALUES (:id, :reason, 'cp_1')",
        id=payment_id,
        reason=reason,
    )
    fold(sql, payment_id)
    page = operator.get(f"/ops/payments/{payment_id}").text

    assert (f'action="/ops/payments/{payment_id}/accept"' in page) is offered
