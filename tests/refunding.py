"""Payments that money came for, staff who may give it back, and refunds asked for as they do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import jwt
from werkzeug.test import TestResponse

from checkout_service.payments.status import RefundStatus
from checkout_service.providers.base import ProviderEvent, ProviderRefundEvent
from tests.conftest import JWT_SECRET, Customer, Sql
from tests.money import bring_to


def staff_of(customer: Customer, *, scope: object = "refunds", user_id: UUID | None = None) -> Customer:
    """Somebody whose token carries a scope, with the client of this customer."""
    user_id = user_id or uuid4()
    claims = {"sub": str(user_id), "scope": scope, "exp": datetime.now(UTC) + timedelta(hours=1)}
    token = jwt.encode(claims, JWT_SECRET, "HS256")
    return replace(customer, id=user_id, headers={"Authorization": f"Bearer {token}"})


def ask_refund(staff: Customer, payment_id: object, key: str | None = "refund-1", **fields: Any) -> TestResponse:
    """Ask for a refund; amount and reason as keywords."""
    headers = {} if key is None else {"Idempotency-Key": key}
    return staff.post(f"/api/payments/{payment_id}/refunds", json=fields, headers=headers)


def paid_payment(
    sql: Sql, *, amount: str = "100.00", currency: str = "USD", owner: UUID | None = None
) -> tuple[UUID, str]:
    """A payment that money came for: its id and its provider_ref. Its customer is new, or the owner."""
    payment_id, reference = open_payment(sql, amount=amount, currency=currency, owner=owner)
    bring_to(sql, payment_id, "paid")
    return payment_id, reference


def open_payment(
    sql: Sql, *, amount: str = "100.00", currency: str = "USD", owner: UUID | None = None
) -> tuple[UUID, str]:
    """A payment of which nothing is known yet: its id and its provider_ref."""
    reference = f"mock_pi_{uuid4().hex}"
    user = owner or uuid4()
    sql("INSERT INTO users (id) VALUES (:user) ON CONFLICT DO NOTHING", user=user)
    (row,) = sql(
        """INSERT INTO payments (user_id, provider, provider_ref, amount, currency)
        VALUES (:user, 'mock', :reference, :amount, :currency) RETURNING id""",
        user=user,
        reference=reference,
        amount=amount,
        currency=currency,
    )
    return row.id, reference


def insert_refund(sql: Sql, payment_id: UUID, amount: str | None = "40.00", **columns: Any) -> UUID:
    """A refund that was asked for; other columns as SQL literals."""
    names = "".join(f", {name}" for name in columns)
    values = "".join(f", {value}" for value in columns.values())
    return sql(
        f"""INSERT INTO refunds (payment_id, amount, requested_by, idempotency_key, request_hash{names})
        VALUES (:payment_id, CAST(:amount AS numeric), uuidv7(), :key, ''{values}) RETURNING id""",
        payment_id=payment_id,
        amount=amount,
        key=uuid4().hex,
    )[0].id


def refund_event(reference: str, status: str, **values: Any) -> ProviderRefundEvent:
    """An event of the scripted provider about a refund of 40.00, unless it says otherwise."""
    given: dict[str, Any] = {
        "event_id": f"evt_{uuid4().hex}",
        "refund_ref": "re_1",
        "amount": Decimal("40.00"),
        "currency": "USD",
    } | values
    return ProviderRefundEvent(provider="mock", provider_ref=reference, status=RefundStatus(status), **given)


def refund_row(sql: Sql, refund_id: UUID) -> Any:
    """The refund's row, with the seconds until its next attempt."""
    return sql(
        """SELECT *, status::text AS now, extract(epoch FROM next_attempt_at - now())::float8 AS due_in
        FROM refunds WHERE id = :id""",
        id=refund_id,
    )[0]


def sums(sql: Sql, payment_id: UUID) -> tuple[str, str]:
    """What was given back of the payment, and what is on its way."""
    row = sql("SELECT amount_refunded, amount_refunding FROM payments WHERE id = :id", id=payment_id)[0]
    return f"{row.amount_refunded:.2f}", f"{row.amount_refunding:.2f}"


def make_due(sql: Sql) -> None:
    """All refunds and cancellations that are outstanding, now; a lease is over."""
    sql("UPDATE refunds SET next_attempt_at = now() WHERE status <= 'processing'")
    sql("UPDATE cancel_requests SET next_attempt_at = now() WHERE next_attempt_at IS NOT NULL")


Answer = Sequence[ProviderEvent | ProviderRefundEvent] | Exception
