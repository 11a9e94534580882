"""A key acts as its own id: wherever staff ask for something, and apart from every other key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from checkout_service.identity.key_form import prefix_of
from tests.api_keys import made_key, program_of
from tests.capturing import ask_capture, ask_void, authorized_payment
from tests.conftest import Customer, MakeListing, Servers, Sql
from tests.order_requests import ask_cancellation, ask_fulfilment, ordered
from tests.refunding import ask_refund, paid_payment


@pytest.fixture(autouse=True)
def _owner(monkeypatch: pytest.MonkeyPatch, servers: Servers) -> None:
    monkeypatch.setenv("MIGRATION_DATABASE_URL", servers.superuser_url)


Requested = tuple[str, str, Callable[[Customer], TestResponse]]
"""The scope, the table that the request becomes a row of, and the request."""


def accept(staff: Customer, payment_id: object) -> TestResponse:
    return staff.post(
        f"/api/admin/payments/{payment_id}/acceptances",
        json={"amount": "1.00", "why": "by telephone"},
        headers={"Idempotency-Key": "one"},
    )


def made_request(sql: Sql, customer: Customer, make_listing: MakeListing, kind: str) -> Requested:
    if kind == "refund":
        paid, _ = paid_payment(sql)
        return "refunds", "refunds", lambda staff: ask_refund(staff, paid, "one", amount="1.00")
    if kind == "acceptance":
        paid, _ = paid_payment(sql)
        return "refunds", "audit", lambda staff: accept(staff, paid)
    if kind == "capture":
        authorized, _ = authorized_payment(sql)
        return "captures", "capture_requests", lambda staff: ask_capture(staff, authorized, "one", amount="1.00")
    if kind == "void":
        authorized, _ = authorized_payment(sql)
        return "captures", "voids", lambda staff: ask_void(staff, authorized, "one")
    order = ordered(sql, customer, (make_listing(), 2))
    if kind == "fulfilment":
        line = [{"line_id": str(order.lines[0]), "qty": 1}]
        return "orders:write", "fulfilments", lambda staff: ask_fulfilment(staff, order.id, "one", lines=line)
    return "orders:write", "order_cancellations", lambda staff: ask_cancellation(staff, order.id, "one")


@pytest.mark.parametrize("kind", ["refund", "capture", "void", "fulfilment", "cancellation"])
def test_what_a_key_requests_is_its_own_and_its_idempotency_keys_too(
    app: Flask, sql: Sql, customer: Customer, make_listing: MakeListing, kind: str
) -> None:
    scope, table, ask = made_request(sql, customer, make_listing, kind)
    one, two = (program_of(customer, sql, made_key(app, scope)) for _ in range(2))

    first, again, other = ask(one), ask(one), ask(two)

    assert first.status_code in {201, 202}, first.text
    assert again.json == first.json
    assert again.headers["Idempotent-Replayed"] == "true"
    # To another key it is a request of its own: it is done as well, or refused for what was done already.
    assert "Idempotent-Replayed" not in other.headers
    assert other.status_code in {201, 202, 409}, other.text
    assert other.json.get("id") != first.json["id"]
    by = [row.requested_by for row in sql(f"SELECT requested_by FROM {table} ORDER BY id")]
    assert by == ([one.id, two.id] if other.status_code < 300 else [one.id])


def test_an_acceptance_of_a_key_is_in_the_audit_by_its_prefix(
    app: Flask, sql: Sql, customer: Customer, make_listing: MakeListing
) -> None:
    _, _, ask = made_request(sql, customer, make_listing, "acceptance")
    keys = [made_key(app, "refunds") for _ in range(2)]

    answers = [ask(program_of(customer, sql, key)) for key in (keys[0], keys[0], keys[1])]

    assert [answer.status_code for answer in answers] == [202] * 3, answers[-1].text
    assert ["Idempotent-Replayed" in answer.headers for answer in answers] == [False, True, False]
    written = sql("SELECT door, operator FROM audit WHERE action = 'accept' ORDER BY id")
    assert [tuple(row) for row in written] == [("api", f"key {prefix_of(key)}") for key in keys]


def test_erasing_a_person_leaves_keys_and_what_they_requested(
    app: Flask, sql: Sql, customer: Customer, worker_app: Flask
) -> None:
    key = made_key(app, "refunds")
    payment_id, _ = paid_payment(sql, owner=customer.id)
    program = program_of(customer, sql, key)
    assert ask_refund(program, payment_id, amount="100.00").status_code == 202
    sql("UPDATE refunds SET status = 'succeeded', sent_at = now(), provider_ref = 're_1', next_attempt_at = NULL")
    sql("SELECT payments_fold(ARRAY[CAST(:id AS uuid)])", id=payment_id)

    before = dict(sql("SELECT * FROM api_keys")[0]._mapping)
    command = sql(
        """INSERT INTO audit (key, door, operator, action, subject, why)
        VALUES (uuidv7(), 'cli', 'mira', 'erase', :user, '') RETURNING id""",
        user=str(customer.id),
    )[0].id
    sql("INSERT INTO command_runs (id) VALUES (:id)", id=command)
    rows: list[Any] = sql("SELECT * FROM person_erase_step(:id, interval '0')", id=command)

    assert rows
    assert sql("SELECT requested_by FROM refunds")[0].requested_by == program.id
    assert dict(sql("SELECT * FROM api_keys")[0]._mapping) == before
