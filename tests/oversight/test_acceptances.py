"""Staff accept what came by the API: a command in the audit, which the worker carries out."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest
from werkzeug.test import TestResponse

from tests.conftest import Customer, Sql
from tests.money import capture, fold
from tests.oversight.conftest import InWorker
from tests.refunding import open_payment, staff_of
from worker.commands import run_commands


@pytest.fixture
def staff(customer: Customer) -> Customer:
    return staff_of(customer)


@pytest.fixture
def short(sql: Sql) -> UUID:
    """A payment of 240.00 of which 200.00 came."""
    payment, _ = open_payment(sql, amount="240.00")
    capture(sql, payment, "ch_1", "200")
    fold(sql, payment)
    return payment


def accept(staff: Customer, payment: object, key: str | None = "key-1", **members: Any) -> TestResponse:
    headers = {} if key is None else {"Idempotency-Key": key}
    body = {"amount": "200.00", "why": "by telephone"} | members
    return staff.post(f"/api/admin/payments/{payment}/acceptances", json=body, headers=headers)


def test_what_came_is_accepted(staff: Customer, in_worker: InWorker, sql: Sql, short: UUID) -> None:
    answer = accept(staff, short)

    assert answer.status_code == 202, answer.text
    assert (answer.json["payment_id"], answer.json["amount"], answer.json["currency"]) == (str(short), "200.00", "USD")
    assert (answer.json["state"], answer.json["message"]) == ("waiting", None)
    assert answer.headers["Location"] == f"/api/payments/{short}"
    (row,) = sql("SELECT id, action, door, operator, why FROM audit")
    assert (row.action, row.door, row.operator, row.why) == ("accept", "api", f"user {staff.id}", "by telephone")
    assert answer.json["id"] == str(row.id)
    in_worker(run_commands)
    shown = staff.get(f"/api/payments/{short}").json
    assert (shown["status"], shown["amount"], shown["amount_accepted"]) == ("paid", "240.00", "200.00")
    assert shown["review_reasons"] == []


def test_the_same_key_is_one_acceptance(staff: Customer, in_worker: InWorker, sql: Sql, short: UUID) -> None:
    first = accept(staff, short)
    in_worker(run_commands)

    again = accept(staff, short)

    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (202, "true")
    assert "Idempotent-Replayed" not in first.headers
    assert again.json["id"] == first.json["id"]
    assert again.json["state"] == "done"
    assert len(sql("SELECT FROM audit")) == 1
    assert len(sql("SELECT FROM payment_acceptances")) == 1


@pytest.mark.parametrize("members", [{"amount": "210.00"}, {"why": "another reason"}])
def test_a_key_for_another_request_is_refused(staff: Customer, sql: Sql, short: UUID, members: dict[str, str]) -> None:
    accept(staff, short)

    refused = accept(staff, short, **members)

    assert (refused.status_code, refused.json["type"].rpartition("/")[2]) == (422, "idempotency-key-reused")
    assert len(sql("SELECT FROM audit")) == 1


def test_a_key_belongs_to_its_caller(staff: Customer, other_customer: Customer, sql: Sql, short: UUID) -> None:
    first, second = accept(staff, short), accept(staff_of(other_customer), short)

    assert first.json["id"] != second.json["id"]


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"amount": "0.00"}, "/amount"),
        ({"amount": 200}, "/amount"),
        ({"amount": "-1"}, "/amount"),
        ({"amount": "200.001"}, "/amount"),
        ({"why": ""}, "/why"),
        ({"why": " "}, "/why"),
        ({"why": "two\nlines"}, "/why"),
        ({"more": 1}, "/more"),
    ],
)
def test_what_is_no_acceptance_is_refused(
    staff: Customer, sql: Sql, short: UUID, members: dict[str, Any], pointer: str
) -> None:
    answer = accept(staff, short, **members)

    assert answer.status_code == 422, answer.text
    assert [error["pointer"] for error in answer.json["errors"]] == [pointer]
    assert sql("SELECT FROM audit") == []


def test_it_takes_staff_a_key_and_a_payment(customer: Customer, staff: Customer, sql: Sql, short: UUID) -> None:
    assert accept(customer, short).status_code == 403
    assert accept(staff, short, key=None).status_code == 400
    assert accept(staff, uuid4()).status_code == 404
    assert sql("SELECT FROM audit") == []
