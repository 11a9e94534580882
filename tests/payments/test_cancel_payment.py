"""A payment that is still open may be called off by its customer, or by staff; a worker does it."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from tests.conftest import Customer, MakeListing, Sql
from tests.purchases import fill_cart, opened
from tests.refunding import staff_of


@pytest.fixture
def payment(customer: Customer, make_listing: MakeListing) -> UUID:
    return UUID(opened(customer, fill_cart(customer, (make_listing(), 1)))["payment_id"])


def path(payment: object) -> str:
    return f"/api/payments/{payment}/cancel"


def cancel_requests(sql: Sql) -> list[tuple[UUID, UUID]]:
    return [tuple(row) for row in sql("SELECT payment_id, requested_by FROM cancel_requests")]


@pytest.mark.parametrize("status", ["pending", "processing", "failed"])
def test_an_open_payment_is_called_off_once(customer: Customer, payment: UUID, sql: Sql, status: str) -> None:
    sql(f"UPDATE payments SET status = '{status}'")

    answers = [customer.post(path(payment)) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [202] * 3
    shown = customer.get(f"/api/payments/{payment}").json
    del shown["next_action"]  # whoever asks to cancel is not sent to pay
    assert answers[0].json == shown
    assert answers[0].headers["Location"] == f"/api/payments/{payment}"
    assert cancel_requests(sql) == [(payment, customer.id)]
    assert sql("SELECT status::text FROM payments")[0].status == status, "only a worker moves it"


def test_staff_may_call_off_anybodys(customer: Customer, payment: UUID, sql: Sql) -> None:
    staff = staff_of(customer)

    answer = staff.post(path(payment))

    assert (answer.status_code, answer.json["id"]) == (202, str(payment))
    assert cancel_requests(sql) == [(payment, staff.id)]


@pytest.mark.parametrize("status", ["expired", "canceled", "paid", "reversed"])
def test_a_closed_payment_stays_as_it_is(customer: Customer, payment: UUID, sql: Sql, status: str) -> None:
    sql(f"UPDATE payments SET status = '{status}'")

    answer = customer.post(path(payment))

    assert answer.status_code == 409
    assert answer.json["type"] == "/problems/no-longer-open"
    assert answer.json["payment_status"] == status
    assert cancel_requests(sql) == []


def test_asking_again_after_it_was_done_is_no_error(customer: Customer, payment: UUID, sql: Sql) -> None:
    customer.post(path(payment))
    sql("UPDATE payments SET status = 'canceled'")
    again = customer.post(path(payment))
    assert (again.status_code, again.json["status"]) == (202, "canceled")

    sql("UPDATE payments SET status = 'paid'")
    assert customer.post(path(payment)).status_code == 409


def test_anothers_payment_is_not_found(other_customer: Customer, payment: UUID, sql: Sql) -> None:
    assert other_customer.post(path(payment)).status_code == 404
    assert other_customer.post(path(uuid4())).status_code == 404
    assert other_customer.client.post(path(payment)).status_code == 401
    assert cancel_requests(sql) == []
