"""A payment's refunds, for its customer and for staff."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from tests.conftest import Customer, Sql
from tests.refunding import ask_refund, insert_refund, paid_payment, staff_of


@pytest.fixture
def payment(sql: Sql, customer: Customer) -> UUID:
    """Of 100.00 USD, paid by the customer."""
    return paid_payment(sql, owner=customer.id)[0]


def path(payment: object) -> str:
    return f"/api/payments/{payment}/refunds"


def test_refunds_are_listed_oldest_first_whoever_made_them(customer: Customer, payment: UUID, sql: Sql) -> None:
    requested = ask_refund(staff_of(customer), payment, amount="40.00", reason="returned").json
    sql("""INSERT INTO refunds (payment_id, amount, status, provider_ref, decline)
        SELECT id, 10, 'failed', 're_1', 'expired_method' FROM payments""")
    insert_refund(sql, paid_payment(sql)[0], "1.00")

    answer = customer.get(path(payment))

    assert answer.status_code == 200
    assert answer.json["data"][0] == requested
    (other,) = answer.json["data"][1:]
    assert (other["made_by"], other["amount"], other["status"]) == ("provider", "10.00", "failed")
    assert other["decline"] == "expired_method"
    assert "re_1" not in answer.text
    assert staff_of(customer).get(path(payment)).json == answer.json


def test_staff_alone_read_what_the_provider_answered(customer: Customer, payment: UUID, sql: Sql) -> None:
    answered = "'status 422, more_than_is_left'"
    insert_refund(sql, payment, "1.00", status="'failed'", decline="'other'", detail=answered)
    insert_refund(sql, payment, "2.00", detail="'unavailable: for the worker'")

    for_staff = staff_of(customer).get(path(payment)).json["data"]
    for_customer = customer.get(path(payment)).json["data"]

    assert [each["provider_answer"] for each in for_staff] == ["status 422, more_than_is_left", None]
    assert [each["provider_answer"] for each in for_customer] == [None, None]
    assert [each["decline"] for each in for_customer] == ["other", None]


def test_a_payment_without_refunds_has_an_empty_list(customer: Customer, payment: UUID) -> None:
    assert customer.get(path(payment)).json == {"data": []}


def test_the_list_is_not_sent_again_unless_something_moved(customer: Customer, payment: UUID, sql: Sql) -> None:
    insert_refund(sql, payment)
    etag = customer.get(path(payment)).headers["ETag"]

    # A try of the worker's that came to nothing is nobody's news.
    sql("UPDATE refunds SET attempts = 1, next_attempt_at = now(), detail = 'unavailable'")
    assert customer.get(path(payment), headers={"If-None-Match": etag}).status_code == 304
    sql("UPDATE refunds SET status = 'processing', provider_ref = 're_1'")
    assert customer.get(path(payment), headers={"If-None-Match": etag}).status_code == 200


def test_others_are_shown_nothing(other_customer: Customer, customer: Customer, payment: UUID, sql: Sql) -> None:
    insert_refund(sql, payment)
    nobodys = customer.get(path(uuid4()))
    anothers = other_customer.get(path(payment))

    assert (nobodys.status_code, anothers.status_code) == (404, 404)
    assert nobodys.json["detail"] == anothers.json["detail"]
    assert "40.00" not in anothers.text
    assert customer.client.get(path(payment)).status_code == 401
