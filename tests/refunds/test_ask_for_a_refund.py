"""Staff ask for refunds: one for a key, never more than is left, and only with the scope for it."""

from __future__ import annotations

import ast
import json
from time import monotonic, sleep
from typing import Any
from uuid import UUID, uuid4

import pytest
import redis
from sqlalchemy import Engine, text

from tests.conftest import Customer, Servers, Sql
from tests.money import bring_to, fold
from tests.refunding import ask_refund, insert_refund, paid_payment, staff_of, sums
from tests.webhook_bodies import insert_payment

MEMBERS = {
    "id",
    "payment_id",
    "amount",
    "currency",
    "status",
    "reason",
    "decline",
    "provider_answer",
    "made_by",
    "created_at",
    "updated_at",
}


@pytest.fixture
def staff(customer: Customer) -> Customer:
    return staff_of(customer)


@pytest.fixture
def payment(sql: Sql) -> UUID:
    """Of 100.00 USD, paid by somebody."""
    return paid_payment(sql)[0]


def count(sql: Sql) -> int:
    return sql("SELECT count(*) FROM refunds")[0].count


def problem(answer: Any) -> tuple[int, str]:
    assert answer.content_type == "application/problem+json"
    return answer.status_code, answer.json["type"].removeprefix("/problems/")


def test_a_refund_is_written_down_and_a_worker_is_notified_for(
    staff: Customer, payment: UUID, sql: Sql, servers: Servers
) -> None:
    answer = ask_refund(staff, payment, amount="40.00", reason="returned")

    assert answer.status_code == 202, answer.text
    assert set(answer.json) == MEMBERS
    assert (answer.json["payment_id"], answer.json["status"]) == (str(payment), "requested")
    assert (answer.json["amount"], answer.json["currency"], answer.json["reason"]) == ("40.00", "USD", "returned")
    assert answer.json["made_by"] == "request"
    assert answer.headers["Location"] == f"/api/payments/{payment}/refunds"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Idempotent-Replayed" not in answer.headers
    (row,) = sql("SELECT *, status::text AS now FROM refunds")
    assert (str(row.id), row.now, row.requested_by, row.idempotency_key) == (
        answer.json["id"],
        "requested",
        staff.id,
        "refund-1",
    )
    assert (row.provider, row.provider_ref, row.attempts) == ("mock", None, 0)
    assert sums(sql, payment) == ("0.00", "40.00")
    assert _notified(servers) == [("payments.refund", (answer.json["id"],))]


def test_without_an_amount_all_that_is_left_is_given_back(staff: Customer, payment: UUID, sql: Sql) -> None:
    ask_refund(staff, payment, "first", amount="33.33")

    assert ask_refund(staff, payment, "second").json["amount"] == "66.67"
    assert sums(sql, payment) == ("0.00", "100.00")


def test_the_payment_shows_what_was_given_back(customer: Customer, sql: Sql) -> None:
    payment, _ = paid_payment(sql, owner=customer.id)
    path = f"/api/payments/{payment}"
    first = customer.get(path)
    assert (first.json["amount_refunded"], first.json["amount_refunding"]) == ("0.00", "0.00")

    ask_refund(staff_of(customer), payment, amount="40.00")
    second = customer.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert second.status_code == 200
    assert (second.json["amount_refunded"], second.json["amount_refunding"]) == ("0.00", "40.00")

    sql("UPDATE refunds SET status = 'succeeded', provider_ref = 're_1'")
    fold(sql, payment)
    third = customer.get(path, headers={"If-None-Match": second.headers["ETag"]})
    assert (third.json["amount_refunded"], third.json["amount_refunding"]) == ("40.00", "0.00")
    assert third.json["status"] == "paid"


@pytest.mark.parametrize("key", ["refund-1", '"refund-1"'])
def test_the_same_key_and_request_get_the_same_answer(
    staff: Customer, payment: UUID, sql: Sql, servers: Servers, key: str
) -> None:
    first = ask_refund(staff, payment, amount="40.00", reason="returned")
    sql("UPDATE refunds SET status = 'failed', decline = 'other', updated_at = now() + interval '1 minute'")
    _notified(servers)

    again = ask_refund(staff, payment, key, amount="40.00", reason="returned")

    assert (again.status_code, again.json) == (202, first.json)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert count(sql) == 1
    sleep(0.1)
    assert _notified(servers, least=0) == [], "nothing new is outstanding"


@pytest.mark.parametrize("other", [{"amount": "39.99"}, {}, {"amount": "40.00", "reason": "other"}])
def test_the_same_key_for_another_request_is_refused(
    staff: Customer, payment: UUID, sql: Sql, other: dict[str, str]
) -> None:
    ask_refund(staff, payment, amount="40.00")

    assert problem(ask_refund(staff, payment, **other)) == (422, "idempotency-key-reused")
    assert problem(ask_refund(staff, paid_payment(sql)[0], amount="40.00")) == (422, "idempotency-key-reused")
    assert count(sql) == 1


def test_a_key_belongs_to_its_caller(staff: Customer, customer: Customer, payment: UUID, sql: Sql) -> None:
    assert ask_refund(staff, payment, amount="40.00").status_code == 202
    assert ask_refund(staff_of(customer), payment, amount="40.00").status_code == 202
    assert count(sql) == 2


@pytest.mark.parametrize(
    ("key", "slug"),
    [(None, "missing-idempotency-key"), ("", "malformed-idempotency-key"), ("a b", "malformed-idempotency-key")],
)
def test_a_key_is_needed(staff: Customer, payment: UUID, sql: Sql, key: str | None, slug: str) -> None:
    assert problem(ask_refund(staff, payment, key, amount="40.00")) == (400, slug)
    assert count(sql) == 0


@pytest.mark.parametrize("scope", [None, "", "refund", "refundsx", "REFUNDS", ["refunds"], 7, {"refunds": True}])
def test_without_the_scope_nothing_is_given_back(customer: Customer, sql: Sql, scope: object) -> None:
    """Not even to the payment's own customer; and what is wrong with the request is not told."""
    payment, _ = paid_payment(sql, owner=customer.id)
    somebody = staff_of(customer, scope=scope, user_id=customer.id)
    for key in ("refund-1", None):
        answer = ask_refund(somebody, payment, key, amount="nonsense")

        assert problem(answer) == (403, "insufficient-scope")
        assert answer.headers["WWW-Authenticate"] == (
            'Bearer realm="checkout", error="insufficient_scope", scope="refunds"'
        )
    assert count(sql) == 0


@pytest.mark.parametrize("scope", ["refunds", "openid refunds", "a  refunds "])
def test_the_scope_is_one_word_among_others(customer: Customer, payment: UUID, scope: str) -> None:
    assert ask_refund(staff_of(customer, scope=scope), payment, amount="1.00").status_code == 202


def test_without_a_token_nothing_is_shown(customer: Customer, payment: UUID) -> None:
    answer = customer.client.post(f"/api/payments/{payment}/refunds", json={})
    assert problem(answer) == (401, "unauthorized")


@pytest.mark.parametrize("status", ["pending", "processing", "failed", "authorized", "expired", "canceled", "reversed"])
def test_money_that_is_not_here_is_not_given_back(staff: Customer, sql: Sql, status: str) -> None:
    reference = insert_payment(sql)
    payment = sql("SELECT id FROM payments WHERE provider_ref = :reference", reference=reference)[0].id
    bring_to(sql, payment, status)

    answer = ask_refund(staff, payment)

    assert problem(answer) == (409, "not-refundable")
    assert answer.json["payment_status"] == status
    assert count(sql) == 0


def test_more_than_is_left_is_refused_with_what_is_left(staff: Customer, payment: UUID, sql: Sql) -> None:
    insert_refund(sql, payment, "60.00")

    answer = ask_refund(staff, payment, amount="40.01")

    assert problem(answer) == (409, "refund-too-large")
    assert (answer.json["amount_left"], answer.json["currency"]) == ("40.00", "USD")
    assert ask_refund(staff, payment, amount="40.00").status_code == 202, "the key was not used up"
    assert problem(ask_refund(staff, payment, "another", amount="0.01")) == (409, "nothing-left-to-refund")
    assert problem(ask_refund(staff, payment, "another")) == (409, "nothing-left-to-refund")
    assert count(sql) == 2


def test_a_payment_that_is_not_here(staff: Customer, sql: Sql) -> None:
    assert problem(ask_refund(staff, uuid4())) == (404, "not-found")
    assert problem(ask_refund(staff, "nonsense")) == (404, "not-found")


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"amount": "0.00"}, "/amount"),
        ({"amount": "0"}, "/amount"),
        ({"amount": "-1.00"}, "/amount"),
        ({"amount": "1.001"}, "/amount"),
        ({"amount": 40}, "/amount"),
        ({"amount": None}, "/amount"),
        ({"amount": "1e2"}, "/amount"),
        ({"reason": ""}, "/reason"),
        ({"reason": "x" * 256}, "/reason"),
        ({"reason": "two\nlines"}, "/reason"),
        ({"reason": "nothing\u0000"}, "/reason"),
        ({"currency": "EUR"}, "/currency"),
    ],
)
def test_a_request_must_make_sense(
    staff: Customer, payment: UUID, sql: Sql, members: dict[str, Any], pointer: str
) -> None:
    answer = ask_refund(staff, payment, **members)

    assert problem(answer) == (422, "invalid")
    assert [fault["pointer"] for fault in answer.json["errors"]] == [pointer]
    assert count(sql) == 0


@pytest.mark.parametrize("body", ["", "[]", "{", '{"amount": "1.00", "amount": "2.00"}'])
def test_a_body_that_is_no_object_is_refused(staff: Customer, payment: UUID, sql: Sql, body: str) -> None:
    answer = staff.post(
        f"/api/payments/{payment}/refunds",
        data=body,
        content_type="application/json",
        headers={"Idempotency-Key": "refund-1"},
    )
    assert answer.status_code in {400, 422}
    assert count(sql) == 0


def test_an_amount_that_the_currency_cannot_express_is_refused(staff: Customer, sql: Sql) -> None:
    payment, _ = paid_payment(sql, amount="1000.00", currency="JPY")

    answer = ask_refund(staff, payment, amount="0.50")

    assert problem(answer) == (422, "invalid")
    assert answer.json["errors"] == [{"pointer": "/amount", "detail": "JPY has no such small unit."}]
    assert ask_refund(staff, payment, amount="500").json["amount"] == "500.00"


def test_a_payment_that_somebody_holds_is_answered_in_time(
    staff: Customer, payment: UUID, sql: Sql, superuser: Engine
) -> None:
    with superuser.execution_options(isolation_level="READ COMMITTED").connect() as operator:
        operator.execute(text("SELECT FROM payments WHERE id = :id FOR UPDATE"), {"id": payment})
        started = monotonic()
        answer = ask_refund(staff, payment, amount="1.00")
        assert monotonic() - started < 8

    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert count(sql) == 0
    assert ask_refund(staff, payment, amount="1.00").status_code == 202, "the key was not used up"


def _notified(servers: Servers, *, least: int = 1) -> list[tuple[str, tuple[str, ...]]]:
    """The tasks that were sent to the queue of payments; they are taken off it."""
    until = monotonic() + 60
    with redis.Redis.from_url(servers.redis_url) as broker:
        while broker.llen("payments") < least and monotonic() < until:
            sleep(0.01)
        found = [json.loads(message)["headers"] for message in broker.lrange("payments", 0, -1)]
        broker.delete("payments")
    return [(headers["task"], ast.literal_eval(headers["argsrepr"])) for headers in found]
