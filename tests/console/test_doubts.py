"""A refund or a capture that is in doubt is settled in the console: a form, a command, the worker."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from flask import Flask

from checkout_service.settings.provider_accounts import Account
from checkout_service.settings.secret import Secret
from tests.capturing import authorized_payment, insert_capture_request, request_row
from tests.conftest import Sql
from tests.console.conftest import InWorker, Operator
from tests.money import bring_to
from tests.refunding import insert_refund, paid_payment, refund_row, sums
from tests.webhook_bodies import insert_payment
from worker.commands import run_commands


@pytest.fixture
def doubted(sql: Sql) -> tuple[UUID, UUID]:
    """A payment, and its refund of 40.00 that is in doubt."""
    payment, _ = paid_payment(sql)
    refund_id = insert_refund(sql, payment)
    sql("""UPDATE refunds SET attempts = 9, sent_at = now() - interval '25 hours', in_doubt = true,
        next_attempt_at = now() + interval '50 minutes'""")
    return payment, refund_id


def test_a_refund_that_was_made_is_settled_by_its_reference(
    operator: Operator, in_worker: InWorker, sql: Sql, doubted: tuple[UUID, UUID]
) -> None:
    payment, refund_id = doubted
    settle = f"/ops/payments/{payment}/refunds/{refund_id}/settle"
    made = settle.replace("settle", "made")
    assert settle in operator.get(f"/ops/payments/{payment}").text

    form = operator.form(settle, made) | {"reference": "re_<9>", "why": "seen in the dashboard"}
    for _ in range(2):
        answer = operator.post(made, form)
        assert (answer.status_code, answer.location) == (303, f"/ops/payments/{payment}#commands")
    assert len(sql("SELECT FROM audit")) == 1, "a form that is sent twice is one command"
    assert refund_row(sql, refund_id).now == "requested", "the web tier moves no refund"
    in_worker(run_commands)

    assert (refund_row(sql, refund_id).now, refund_row(sql, refund_id).provider_ref) == ("succeeded", "re_<9>")
    shown = operator.get(f"/ops/payments/{payment}").text
    assert settle not in shown
    assert "settle a refund" in shown
    assert "It is in no doubt" in operator.get(settle).text
    audit = operator.get("/ops/audit").text
    assert "made, as <code>re_&lt;9&gt;</code>" in audit


def test_what_waits_about_it_and_where_to_look_stand_on_the_page(
    operator: Operator, console_app: Flask, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = console_app.extensions["settings"]
    accounts = {"stripe": Account(options={"api_key": Secret("sk_test_1")})}
    monkeypatch.setitem(console_app.extensions, "settings", replace(settings, accounts=accounts))
    reference = insert_payment(sql, provider="stripe", provider_ref="pi_1")
    payment = sql("SELECT id FROM payments WHERE provider_ref = :name", name=reference)[0].id
    bring_to(sql, payment, "paid")
    refund_id = insert_refund(sql, payment, in_doubt="true", attempts="9", sent_at="now() - interval '25 hours'")
    waits = "a refund of ours with this amount has no reference yet"
    for detail, name in ((f"re_<X>, 40.00 USD: {waits}", "pi_1"), (f"re_Y, 41.00 USD: {waits}", "pi_1")):
        sql(
            """INSERT INTO webhook_deliveries (provider, body, provider_ref, detail, next_attempt_at)
            VALUES ('stripe', '{}', :name, :detail, now() + interval '5 minutes')""",
            name=name,
            detail=detail,
        )
    page = operator.get(f"/ops/payments/{payment}/refunds/{refund_id}/settle").text

    assert "A verified webhook waits" in page
    assert "<code>re_&lt;X&gt;</code>" in page
    assert "re_Y" not in page
    assert "pi_1" in page.partition("<dt>Dashboard</dt>")[2].partition("</dd>")[0]
    assert "not sent again" in page


def test_a_refund_that_was_not_made_is_free_again(
    operator: Operator, in_worker: InWorker, sql: Sql, doubted: tuple[UUID, UUID]
) -> None:
    payment, refund_id = doubted
    settle = f"/ops/payments/{payment}/refunds/{refund_id}/settle"

    assert operator.send(settle, settle.replace("settle", "not-made"), why="not there").status_code == 303
    in_worker(run_commands)

    assert refund_row(sql, refund_id).now == "failed"
    assert sums(sql, payment) == ("0.00", "0.00")
    assert "not made" in operator.get("/ops/audit").text


def test_a_capture_that_was_not_made_is_ended(operator: Operator, in_worker: InWorker, sql: Sql) -> None:
    payment, _ = authorized_payment(sql, refs=("at_1",))
    columns = {"status": "'processing'", "sent_at": "now() - interval '73 hours'", "in_doubt": "true"}
    request_id = insert_capture_request(sql, payment, "200.00", **columns)
    settle = f"/ops/payments/{payment}/captures/{request_id}/settle"
    assert settle in operator.get(f"/ops/payments/{payment}").text

    assert operator.send(settle, settle.replace("settle", "not-made"), why="not there").status_code == 303
    in_worker(run_commands)

    assert request_row(sql, "capture_requests", request_id).now == "failed"
    assert "It is in no doubt" in operator.get(settle).text


@pytest.mark.parametrize(
    "missing", [{"reference": ""}, {"reference": "a b"}, {"reference": "x" * 256}, {"why": " "}, {"csrf": "no"}]
)
def test_what_is_missing_from_the_form_writes_no_command(
    operator: Operator, sql: Sql, doubted: tuple[UUID, UUID], missing: dict[str, str]
) -> None:
    payment, refund_id = doubted
    settle = f"/ops/payments/{payment}/refunds/{refund_id}/settle"
    made = settle.replace("settle", "made")

    answer = operator.post(made, operator.form(settle, made) | {"reference": "re_9", "why": "seen"} | missing)

    assert answer.status_code in {400, 403}, answer.text
    assert sql("SELECT FROM audit") == []


def test_the_refund_of_another_payment_is_not_found(operator: Operator, sql: Sql, doubted: tuple[UUID, UUID]) -> None:
    payment, refund_id = doubted
    other, _ = paid_payment(sql)
    settle = f"/ops/payments/{payment}/refunds/{refund_id}/settle"
    form = operator.form(settle, settle.replace("settle", "not-made")) | {"why": "seen"}

    for path in (f"/ops/payments/{other}/refunds/{refund_id}", f"/ops/payments/{payment}/refunds/{uuid4()}"):
        assert operator.get(f"{path}/settle").status_code == 404
        assert operator.post(f"{path}/not-made", form).status_code == 404
    assert sql("SELECT FROM audit") == []
