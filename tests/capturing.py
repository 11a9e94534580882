"""Payments that are authorized, and captures and voids asked for as staff do."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

from werkzeug.test import TestResponse

from tests.conftest import Customer, Sql
from tests.money import attempt, fold
from tests.refunding import open_payment


def authorized_payment(sql: Sql, *, amount: str = "240.00", refs: tuple[str, ...] = ("",)) -> tuple[UUID, str]:
    """A payment of which all is authorized, by each of these attempts; its id and its provider_ref.

    A name that is empty gets one.
    """
    payment_id, reference = open_payment(sql, amount=amount)
    for ref in refs:
        attempt(sql, payment_id, "authorized", ref=ref or f"at_{uuid4().hex}", authorized=amount)
    fold(sql, payment_id)
    return payment_id, reference


def ask_capture(staff: Customer, payment_id: object, key: str | None = "capture-1", **fields: Any) -> TestResponse:
    """Ask for a capture; amount, final and authorization_id as keywords."""
    headers = {} if key is None else {"Idempotency-Key": key}
    return staff.post(f"/api/admin/payments/{payment_id}/captures", json=fields, headers=headers)


def ask_void(staff: Customer, payment_id: object, key: str | None = "void-1") -> TestResponse:
    headers = {} if key is None else {"Idempotency-Key": key}
    return staff.post(f"/api/admin/payments/{payment_id}/void", headers=headers)


def insert_capture_request(sql: Sql, payment_id: UUID, amount: str | None = None, **columns: Any) -> UUID:
    """A capture of the payment's one authorisation that was asked for; other columns as SQL literals."""
    names = "".join(f", {name}" for name in columns)
    values = "".join(f", {value}" for value in columns.values())
    return sql(
        f"""INSERT INTO capture_requests
            (payment_id, attempt_ref, amount, requested_by, idempotency_key, request_hash{names})
        SELECT payment_id, attempt_ref, CAST(:amount AS numeric), uuidv7(), :key, ''{values}
        FROM payment_attempts WHERE payment_id = :payment_id AND status = 'authorized' RETURNING id""",
        payment_id=payment_id,
        amount=amount,
        key=uuid4().hex,
    )[0].id


def insert_void(sql: Sql, payment_id: UUID, **columns: Any) -> UUID:
    """A void that was asked for; other columns as SQL literals."""
    names = "".join(f", {name}" for name in columns)
    values = "".join(f", {value}" for value in columns.values())
    return sql(
        f"""INSERT INTO voids (payment_id, requested_by, idempotency_key, request_hash{names})
        VALUES (:payment_id, uuidv7(), :key, ''{values}) RETURNING id""",
        payment_id=payment_id,
        key=uuid4().hex,
    )[0].id


def request_row(sql: Sql, table: str, request_id: UUID) -> Any:
    """The row of a capture request or a void, with the seconds until its next attempt."""
    return sql(
        f"""SELECT *, status::text AS now, extract(epoch FROM next_attempt_at - now())::float8 AS due_in
        FROM {table} WHERE id = :id""",
        id=request_id,
    )[0]


def make_requests_due(sql: Sql) -> None:
    """All captures and voids that are outstanding, now; a lease is over."""
    for table in ("capture_requests", "voids"):
        sql(f"UPDATE {table} SET next_attempt_at = now() WHERE status <= 'processing'")
