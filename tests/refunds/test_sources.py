"""A refund is of one capture, or of one attempt where nothing names its captures; more takes several rows."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.conftest import Customer, Sql
from tests.money import attempt, capture, dispute, fold
from tests.refunding import ask_refund, insert_refund, open_payment, paid_payment, staff_of, sums


@pytest.fixture
def staff(customer: Customer) -> Customer:
    return staff_of(customer)


@pytest.fixture
def payment(sql: Sql) -> UUID:
    """Of 240.00 USD, for which 240.00 came twice: it is overpaid."""
    payment_id, _ = open_payment(sql, amount="240.00")
    capture(sql, payment_id, "ca_1", "240", attempt_ref="at_1")
    capture(sql, payment_id, "ca_2", "240", attempt_ref="at_2")
    fold(sql, payment_id)
    return payment_id


def rows(sql: Sql, payment: UUID) -> list[tuple[Any, ...]]:
    found = sql(
        "SELECT part, amount, capture_ref, attempt_ref FROM refunds WHERE payment_id = :id ORDER BY id", id=payment
    )
    return [(row.part, row.amount, row.capture_ref, row.attempt_ref) for row in found]


def capture_id(sql: Sql, ref: str) -> str:
    return str(sql("SELECT id FROM captures WHERE capture_ref = :ref", ref=ref)[0].id)


def test_what_one_capture_has_is_one_row(staff: Customer, payment: UUID, sql: Sql) -> None:
    answer = ask_refund(staff, payment, amount="240.00")

    assert answer.status_code == 202, answer.text
    assert "parts" not in answer.json
    assert rows(sql, payment) == [(0, Decimal(240), "ca_1", None)]


def test_more_than_one_capture_has_is_two_rows_of_one_answer(staff: Customer, payment: UUID, sql: Sql) -> None:
    answer = ask_refund(staff, payment, amount="300.00", reason="returned")

    assert answer.json["amount"] == "300.00"
    assert rows(sql, payment) == [(0, Decimal(240), "ca_1", None), (1, Decimal(60), "ca_2", None)]
    ids = [str(row.id) for row in sql("SELECT id FROM refunds ORDER BY part")]
    assert answer.json["id"] == ids[0]
    assert answer.json["parts"] == [
        {"id": ids[0], "amount": "240.00", "capture_ref": "ca_1"},
        {"id": ids[1], "amount": "60.00", "capture_ref": "ca_2"},
    ]
    assert sums(sql, payment)[1] == "300.00"
    again = ask_refund(staff, payment, amount="300.00", reason="returned")
    assert (again.status_code, again.json) == (202, answer.json)
    assert again.headers["Idempotent-Replayed"] == "true"
    listed = staff.get(f"/api/payments/{payment}/refunds").json["data"]
    assert [each["amount"] for each in listed] == ["240.00", "60.00"]


def test_all_that_is_left_may_take_two_rows(staff: Customer, payment: UUID, sql: Sql) -> None:
    insert_refund(sql, payment, "40.00", capture_ref="'ca_1'")

    assert ask_refund(staff, payment).json["amount"] == "440.00"
    assert sorted(amount for _, amount, _, _ in rows(sql, payment)) == [40, 200, 240]


def test_each_capture_is_refundable_by_itself(staff: Customer, payment: UUID, sql: Sql) -> None:
    second = capture_id(sql, "ca_2")

    answer = ask_refund(staff, payment, capture_id=second)

    assert answer.json["amount"] == "240.00"
    assert rows(sql, payment) == [(0, Decimal(240), "ca_2", None)]
    for amount in ({"amount": "0.01"}, {}):
        none = ask_refund(staff, payment, "another", capture_id=second, **amount)
        assert (none.status_code, none.json["type"]) == (409, "/problems/nothing-left-to-refund")
    assert ask_refund(staff, payment, "third", amount="240.00", capture_id=capture_id(sql, "ca_1")).status_code == 202


def test_the_key_is_of_one_capture(staff: Customer, payment: UUID, sql: Sql) -> None:
    ask_refund(staff, payment, amount="10.00", capture_id=capture_id(sql, "ca_2"))

    for other in ({}, {"capture_id": capture_id(sql, "ca_1")}):
        answer = ask_refund(staff, payment, amount="10.00", **other)
        assert (answer.status_code, answer.json["type"]) == (422, "/problems/idempotency-key-reused")


def test_a_capture_of_nobody_is_refused(staff: Customer, payment: UUID, sql: Sql) -> None:
    elsewhere, _ = open_payment(sql)
    capture(sql, elsewhere, "ca_3", "100")
    for other in (str(uuid4()), capture_id(sql, "ca_3"), "nonsense"):
        answer = ask_refund(staff, payment, capture_id=other)
        assert answer.status_code == 422
        assert [fault["pointer"] for fault in answer.json["errors"]] == ["/capture_id"]
    assert rows(sql, payment) == []


def test_presumed_money_is_refunded_by_its_attempt(staff: Customer, sql: Sql) -> None:
    payment, _ = open_payment(sql, amount="240.00")
    attempt(sql, payment, "authorized", ref="psp_1", presumed="100")
    attempt(sql, payment, "authorized", ref="psp_2", presumed="140")
    fold(sql, payment)

    assert ask_refund(staff, payment, amount="120.00").status_code == 202
    assert ask_refund(staff, payment, "rest").json["amount"] == "120.00"
    assert rows(sql, payment) == [
        (0, Decimal(120), None, "psp_2"),
        (0, Decimal(100), None, "psp_1"),
        (1, Decimal(20), None, "psp_2"),
    ]


def test_money_that_is_named_after_its_refund_is_not_there_twice(staff: Customer, sql: Sql) -> None:
    """An automatic capture: AUTHORISATION presumes, then CAPTURE names the same money."""
    payment, _ = open_payment(sql, amount="240.00")
    attempt(sql, payment, "authorized", ref="psp_1", presumed="240")
    fold(sql, payment)
    ask_refund(staff, payment, amount="200.00")
    capture(sql, payment, "cap_1", "240", attempt_ref="psp_1")
    fold(sql, payment)

    assert ask_refund(staff, payment, "more", amount="40.01").status_code == 409
    assert ask_refund(staff, payment, "more", amount="40.00").status_code == 202


def test_a_partial_payment_is_given_back(staff: Customer, sql: Sql) -> None:
    payment, _ = open_payment(sql, amount="240.00")
    capture(sql, payment, "ca_1", "200")
    fold(sql, payment)

    assert ask_refund(staff, payment, amount="200.01").status_code == 409
    assert ask_refund(staff, payment, amount="200.00").status_code == 202


def test_what_a_dispute_took_is_not_given_back(staff: Customer, sql: Sql) -> None:
    payment, _ = paid_payment(sql, amount="240.00")
    dispute(sql, payment, "40.00", money_step="1", money_out="true")

    answer = ask_refund(staff, payment, amount="200.01")
    assert (answer.status_code, answer.json["amount_left"]) == (409, "200.00")
    assert ask_refund(staff, payment, amount="200.00").status_code == 202


@pytest.mark.parametrize(
    ("columns", "left"),
    [
        ({"stage": "chargeback"}, "60.00"),
        ({"stage": "inquiry", "blocks_refund": "false"}, "100.00"),
        ({"stage": "chargeback", "money_step": "2"}, "100.00"),
    ],
    ids=["open chargeback", "inquiry", "won"],
)
def test_an_open_chargeback_holds_back_and_an_inquiry_does_not(
    staff: Customer, sql: Sql, columns: dict[str, str], left: str
) -> None:
    payment, _ = paid_payment(sql)
    dispute(sql, payment, "40.00", **columns)

    assert ask_refund(staff, payment).json["amount"] == left


def test_the_disputed_capture_is_left_out(staff: Customer, payment: UUID, sql: Sql) -> None:
    dispute(sql, payment, "240.00", capture_ref="'ca_1'")

    assert ask_refund(staff, payment, amount="10.00").status_code == 202
    assert rows(sql, payment) == [(0, Decimal(10), "ca_2", None)]
    assert ask_refund(staff, payment, "first", amount="10.00", capture_id=capture_id(sql, "ca_1")).status_code == 409
