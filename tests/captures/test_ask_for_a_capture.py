"""Staff ask for captures and voids: one for a key, never more than is authorized, and only with the scope for it."""

from __future__ import annotations

import ast
import json
from dataclasses import replace
from decimal import Decimal
from time import monotonic, sleep
from typing import Any
from uuid import UUID, uuid4

import pytest
import redis

from checkout_service.settings.provider_accounts import Account
from checkout_service.settings.secret import Secret
from tests.apps import MakeApp
from tests.capturing import ask_capture, ask_void, authorized_payment, insert_capture_request, insert_void
from tests.conftest import Customer, Servers, Sql
from tests.money import attempt, capture, fold
from tests.refunding import ask_refund, open_payment, paid_payment, staff_of


@pytest.fixture
def staff(customer: Customer) -> Customer:
    return staff_of(customer)


@pytest.fixture
def payment(sql: Sql) -> UUID:
    """Of 240.00 USD, all of it authorized, at a provider that captures several times."""
    return authorized_payment(sql, refs=("at_1",))[0]


def problem(answer: Any) -> tuple[int, str]:
    assert answer.content_type == "application/problem+json", answer.text
    return answer.status_code, answer.json["type"].removeprefix("/problems/")


def test_all_that_is_open_is_captured_for_the_last_time_whatever_was_requested(sql: Sql, payment: UUID) -> None:
    """Decided under the payment's lock: what was open when the request was written may be less by then."""
    for amount, final, releases in (("100.00", False, 0), ("140.00", True, 0)):
        request = insert_capture_request(sql, payment, amount, final="false")
        (row,) = sql("SELECT final, releases FROM capture_requests WHERE id = :id", id=request)
        assert (row.final, row.releases) == (final, releases)


def count(sql: Sql) -> tuple[int, int]:
    row = sql("SELECT (SELECT count(*) FROM capture_requests) AS c, (SELECT count(*) FROM voids) AS v")[0]
    return row.c, row.v


def at_stripe(sql: Sql, payment: UUID) -> None:
    """The same payment at a provider that captures once, unless the account says otherwise."""
    sql("ALTER TABLE payments DISABLE TRIGGER USER")
    sql("ALTER TABLE payment_attempts DISABLE TRIGGER USER")
    sql("UPDATE payments SET provider = 'stripe' WHERE id = :id", id=payment)
    sql("UPDATE payment_attempts SET provider = 'stripe' WHERE payment_id = :id", id=payment)
    sql("ALTER TABLE payments ENABLE TRIGGER USER")
    sql("ALTER TABLE payment_attempts ENABLE TRIGGER USER")


def test_a_capture_is_written_down_and_a_worker_is_notified(
    staff: Customer, payment: UUID, sql: Sql, servers: Servers
) -> None:
    answer = ask_capture(staff, payment, amount="200.00", final=True)

    assert answer.status_code == 202, answer.text
    assert set(answer.json) == {
        "id",
        "payment_id",
        "authorization",
        "amount",
        "currency",
        "final",
        "releases",
        "status",
        "capture_ref",
        "decline",
        "provider_answer",
        "created_at",
        "updated_at",
    }
    assert (answer.json["amount"], answer.json["final"], answer.json["releases"]) == ("200.00", True, "40.00")
    assert (answer.json["status"], answer.json["authorization"]) == ("requested", "at_1")
    assert answer.headers["Location"] == f"/api/admin/payments/{payment}/captures"
    (row,) = sql("SELECT *, status::text AS now FROM capture_requests")
    assert (str(row.id), row.now, row.requested_by, row.provider) == (answer.json["id"], "requested", staff.id, "mock")
    assert _notified(servers) == [("payments.capture", (answer.json["id"],))]
    assert sql("SELECT status::text AS now FROM payments WHERE id = :id", id=payment)[0].now == "authorized"


def test_without_an_amount_all_that_is_open_is_captured(staff: Customer, payment: UUID) -> None:
    first = ask_capture(staff, payment, "first", amount="100.00")
    assert (first.json["final"], first.json["releases"]) == (False, "0.00")

    rest = ask_capture(staff, payment, "second")
    assert (rest.json["amount"], rest.json["final"], rest.json["releases"]) == ("140.00", True, "0.00")
    assert problem(ask_capture(staff, payment, "third")) == (409, "not-capturable")


def test_where_an_account_captures_once_the_rest_is_released_and_the_answer_tells(
    staff: Customer, payment: UUID, sql: Sql
) -> None:
    at_stripe(sql, payment)
    refused = ask_capture(staff, payment, amount="200.00", final=False)
    assert problem(refused) == (409, "one-capture-only")
    assert (refused.json["releases"], refused.json["currency"]) == ("40.00", "USD")

    answer = ask_capture(staff, payment, amount="200.00")
    assert (answer.status_code, answer.json["final"], answer.json["releases"]) == (202, True, "40.00")
    assert problem(ask_capture(staff, payment, "more", amount="1.00")) == (409, "not-capturable")
    assert staff.get(f"/api/admin/payments/{payment}/captures").json["several_captures"] is False


def test_an_account_may_capture_several_times(staff: Customer, payment: UUID, sql: Sql, make_app: MakeApp) -> None:
    at_stripe(sql, payment)
    app = make_app(accounts={"stripe": Account(options={"multicapture": Secret("on")})})
    several = replace(staff, client=app.test_client())

    answer = ask_capture(several, payment, amount="100.00")
    assert (answer.json["final"], answer.json["releases"]) == (False, "0.00")
    assert ask_capture(several, payment, "second", amount="140.00").json["final"] is True
    assert several.get(f"/api/admin/payments/{payment}/captures").json["several_captures"] is True


def test_more_than_is_open_is_refused_with_what_is_open(staff: Customer, payment: UUID, sql: Sql) -> None:
    insert_capture_request(sql, payment, "60.00", final="false")

    answer = ask_capture(staff, payment, amount="180.01")

    assert problem(answer) == (409, "capture-too-large")
    assert (answer.json["amount_left"], answer.json["currency"]) == ("180.00", "USD")
    assert ask_capture(staff, payment, amount="180.00").status_code == 202, "the key was not used up"


def test_what_came_already_is_not_captured_again(staff: Customer, payment: UUID, sql: Sql) -> None:
    capture(sql, payment, "ca_1", "200", attempt_ref="at_1")
    fold(sql, payment)

    assert ask_capture(staff, payment).json["amount"] == "40.00"


def test_one_of_several_authorizations_is_named(staff: Customer, sql: Sql) -> None:
    payment, _ = open_payment(sql, amount="240.00")
    attempt(sql, payment, "authorized", ref="gift", authorized="100")
    attempt(sql, payment, "authorized", ref="card", authorized="140")
    fold(sql, payment)
    listed = staff.get(f"/api/admin/payments/{payment}/captures").json["authorizations"]
    assert [(each["ref"], each["amount_open"]) for each in listed] == [("gift", "100.00"), ("card", "140.00")]

    unnamed = ask_capture(staff, payment, amount="10.00")
    assert problem(unnamed) == (422, "invalid")
    assert [fault["pointer"] for fault in unnamed.json["errors"]] == ["/authorization_id"]
    assert problem(ask_capture(staff, payment, authorization_id=str(uuid4()))) == (422, "invalid")
    assert ask_capture(staff, payment, authorization_id=listed[1]["id"]).json["amount"] == "140.00"
    assert ask_capture(staff, payment, "gift").json["amount"] == "100.00", "one is left"


def test_paypal_lets_us_capture_somewhat_more(staff: Customer, payment: UUID, sql: Sql) -> None:
    """115 %, or 75 USD more (Payments v2)."""
    sql("ALTER TABLE payments DISABLE TRIGGER USER")
    sql("UPDATE payments SET provider = 'paypal' WHERE id = :id", id=payment)
    sql("ALTER TABLE payments ENABLE TRIGGER USER")

    assert ask_capture(staff, payment, amount="315.01").json["amount_left"] == "315.00"
    assert ask_capture(staff, payment, amount="315.00").status_code == 202


@pytest.mark.parametrize("status", ["pending", "paid", "expired"])
def test_nothing_is_captured_or_voided_that_is_not_authorized(staff: Customer, sql: Sql, status: str) -> None:
    payment = (paid_payment if status == "paid" else open_payment)(sql)[0]
    if status == "expired":
        attempt(sql, payment, "authorized", ref="at_1", authorized="100")
        sql("SELECT payments_fold(ARRAY[CAST(:id AS uuid)], ARRAY['expired']::payment_status[])", id=payment)

    answer = ask_capture(staff, payment)
    assert problem(answer) == (409, "not-capturable")
    assert answer.json["payment_status"] == status
    assert problem(ask_void(staff, payment)) == (409, "not-voidable")
    assert count(sql) == (0, 0)


def test_a_void_is_written_down_and_a_worker_is_notified(
    staff: Customer, payment: UUID, sql: Sql, servers: Servers
) -> None:
    answer = ask_void(staff, payment)

    assert answer.status_code == 202, answer.text
    assert (answer.json["releases"], answer.json["currency"], answer.json["status"]) == ("240.00", "USD", "requested")
    assert _notified(servers) == [("payments.void", (answer.json["id"],))]
    again = ask_void(staff, payment)
    assert (again.json, again.headers["Idempotent-Replayed"]) == (answer.json, "true")
    assert count(sql) == (0, 1)


def test_a_capture_and_a_void_exclude_each_other(staff: Customer, payment: UUID, sql: Sql) -> None:
    ask_void(staff, payment)
    assert problem(ask_capture(staff, payment)) == (409, "not-capturable")

    other, _ = authorized_payment(sql)
    ask_capture(staff, other, "other", amount="1.00")
    assert problem(ask_void(staff, other, "other")) == (409, "not-voidable")
    assert count(sql) == (1, 1)


def test_what_was_refused_makes_way(staff: Customer, payment: UUID, sql: Sql) -> None:
    insert_void(sql, payment)
    sql("UPDATE voids SET status = 'failed', next_attempt_at = NULL")
    assert ask_capture(staff, payment).status_code == 202
    sql("UPDATE capture_requests SET status = 'failed', next_attempt_at = NULL")
    assert ask_void(staff, payment).status_code == 202


def test_what_the_provider_answered_is_listed(staff: Customer, payment: UUID, sql: Sql) -> None:
    ask_capture(staff, payment, amount="40.00")
    failed = "status = 'failed', next_attempt_at = NULL, decline = 'other', detail = 'status 422, too_late'"
    sql(f"UPDATE capture_requests SET {failed}")
    ask_void(staff, payment)
    sql(f"UPDATE voids SET {failed}")
    listed = staff.get(f"/api/admin/payments/{payment}/captures").json
    for each in (*listed["requests"], *listed["voids"]):
        assert (each["status"], each["decline"]) == ("failed", "other")
        assert each["provider_answer"] == "status 422, too_late"
    assert ask_void(staff, payment).json["provider_answer"] is None, "the same key gets the first answer"


@pytest.mark.parametrize("key", ["capture-1", '"capture-1"'])
def test_the_same_key_and_request_get_the_same_answer(staff: Customer, payment: UUID, sql: Sql, key: str) -> None:
    first = ask_capture(staff, payment, amount="40.00")
    sql("UPDATE capture_requests SET status = 'failed', decline = 'other', provider_ref = 'ca_1', updated_at = now()")

    again = ask_capture(staff, payment, key, amount="40.00")

    assert (again.status_code, again.json) == (202, first.json)
    assert again.headers["Idempotent-Replayed"] == "true"
    for other in ({"amount": "39.99"}, {}, {"amount": "40.00", "final": True}):
        assert problem(ask_capture(staff, payment, key, **other)) == (422, "idempotency-key-reused")
    assert count(sql) == (1, 0)


def test_keys_of_refunds_and_captures_do_not_meet(staff: Customer, payment: UUID, sql: Sql) -> None:
    assert ask_capture(staff, payment, "key").status_code == 202
    assert ask_refund(staff, paid_payment(sql)[0], "key").status_code == 202
    assert ask_void(staff, authorized_payment(sql)[0], "key").status_code == 202


@pytest.mark.parametrize(
    ("key", "slug"),
    [(None, "missing-idempotency-key"), ("", "malformed-idempotency-key"), ("a b", "malformed-idempotency-key")],
)
def test_a_key_is_needed(staff: Customer, payment: UUID, sql: Sql, key: str | None, slug: str) -> None:
    assert problem(ask_capture(staff, payment, key)) == (400, slug)
    assert problem(ask_void(staff, payment, key)) == (400, slug)
    assert count(sql) == (0, 0)


def test_without_the_scope_nothing_is_done_or_shown(customer: Customer, payment: UUID, sql: Sql) -> None:
    for answer in (
        ask_capture(customer, payment, amount="nonsense"),
        ask_void(customer, payment),
        customer.get(f"/api/admin/payments/{payment}/captures"),
    ):
        assert problem(answer) == (403, "insufficient-scope")
    assert count(sql) == (0, 0)


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"amount": "0.00"}, "/amount"),
        ({"amount": "-1.00"}, "/amount"),
        ({"amount": "1.001"}, "/amount"),
        ({"amount": 40}, "/amount"),
        ({"final": "yes"}, "/final"),
        ({"final": 1}, "/final"),
        ({"final": None}, "/final"),
        ({"authorization_id": "nonsense"}, "/authorization_id"),
        ({"currency": "EUR"}, "/currency"),
    ],
)
def test_a_request_must_make_sense(
    staff: Customer, payment: UUID, sql: Sql, members: dict[str, Any], pointer: str
) -> None:
    answer = ask_capture(staff, payment, **members)

    assert problem(answer) == (422, "invalid")
    assert [fault["pointer"] for fault in answer.json["errors"]] == [pointer]
    assert count(sql) == (0, 0)


def test_a_payment_that_is_not_here(staff: Customer, sql: Sql) -> None:
    for answer in (
        ask_capture(staff, uuid4()),
        ask_void(staff, uuid4()),
        staff.get(f"/api/admin/payments/{uuid4()}/captures"),
    ):
        assert problem(answer) == (404, "not-found")


def test_all_of_it_is_listed(staff: Customer, sql: Sql) -> None:
    payment, _ = authorized_payment(sql, refs=("at_1",))
    requested = ask_capture(staff, payment, amount="100.00", final=False).json
    sql("UPDATE capture_requests SET status = 'succeeded', provider_ref = 'ca_1', next_attempt_at = NULL")
    capture(sql, payment, "ca_1", "100", attempt_ref="at_1")
    fold(sql, payment)
    ask_refund(staff, payment, amount="30.00")
    sql("UPDATE payment_attempts SET expires_at = '2026-12-24T10:00:00Z'")
    voided = ask_void(staff, payment).json

    answer = staff.get(f"/api/admin/payments/{payment}/captures")

    assert answer.status_code == 200
    (came,) = answer.json["captures"]
    assert (came["ref"], came["amount"], came["status"], came["amount_refundable"]) == (
        "ca_1",
        "100.00",
        "succeeded",
        "70.00",
    )
    assert came["presumed"] is False
    (listed,) = answer.json["requests"]
    assert listed == requested | {"status": "succeeded", "capture_ref": "ca_1", "updated_at": listed["updated_at"]}
    assert answer.json["voids"] == [voided]
    (promise,) = answer.json["authorizations"]
    assert (promise["amount_open"], promise["expires_at"]) == ("140.00", "2026-12-24T10:00:00Z")
    assert answer.json["several_captures"] is True
    etag = {"If-None-Match": answer.headers["ETag"]}
    assert staff.get(f"/api/admin/payments/{payment}/captures", headers=etag).status_code == 304


def test_money_without_a_name_is_listed_by_its_attempt(staff: Customer, sql: Sql) -> None:
    payment, _ = paid_payment(sql)

    (came,) = staff.get(f"/api/admin/payments/{payment}/captures").json["captures"]

    assert (came["ref"], came["presumed"], came["amount"]) == (None, True, "100.00")
    assert ask_refund(staff, payment, capture_id=came["id"]).json["amount"] == "100.00"
    assert sql("SELECT attempt_ref FROM refunds")[0].attempt_ref == ""
    assert sql("SELECT amount FROM refunds")[0].amount == Decimal(100)


def _notified(servers: Servers, *, least: int = 1) -> list[tuple[str, tuple[str, ...]]]:
    """The tasks that were sent to the queue of payments; they are taken off it."""
    until = monotonic() + 60
    with redis.Redis.from_url(servers.redis_url) as broker:
        while broker.llen("payments") < least and monotonic() < until:
            sleep(0.01)
        found = [json.loads(message)["headers"] for message in broker.lrange("payments", 0, -1)]
        broker.delete("payments")
    return [(headers["task"], ast.literal_eval(headers["argsrepr"])) for headers in found]
