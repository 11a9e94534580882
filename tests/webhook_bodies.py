"""Webhooks as the mock provider sends them, and payments to send them about."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import orjson
from flask.testing import FlaskClient

from checkout_service.providers.adapters.mock.provider import sign
from tests.conftest import MOCK_SECRET, Sql
from tests.money import bring_to


def webhook(
    provider_ref: str,
    status: str = "paid",
    *,
    secret: str = MOCK_SECRET,
    **details: Any,
) -> bytes:
    """A signed webhook; details such as event_id, amount, currency and occurred_at go into its raw_data."""
    return orjson.dumps(sign({"provider_ref": provider_ref, "status": status, "raw_data": details}, secret))


def post_webhook(client: FlaskClient, body: bytes) -> UUID:
    """File the webhook as a provider does; the id of its delivery."""
    answer = client.post("/api/payments/webhook", data=body, content_type="application/json")
    assert answer.status_code == 202, answer.text
    return UUID(answer.json["delivery_id"])


def insert_webhook(sql: Sql, body: bytes, **columns: Any) -> UUID:
    """Put the webhook into the table without a wake-up; columns such as state or received_at as SQL literals."""
    names = "".join(f", {name}" for name in columns)
    values = "".join(f", {value}" for value in columns.values())
    return sql(
        f"INSERT INTO webhook_deliveries (provider, body{names}) VALUES ('mock', :body{values}) RETURNING id", body=body
    )[0].id


def name_in_webhooks(sql: Sql, number: int, *, filler: int = 0) -> None:
    """Insert so many rejected webhooks that name each payment, as a stranger may send them; ``filler`` bytes longer."""
    sql(
        """INSERT INTO webhook_deliveries (provider, body, state, detail, processed_at)
        SELECT 'mock', convert_to('{"provider_ref": "' || provider_ref || '", "of": ' || number || '}', 'UTF8')
            || convert_to(repeat(' ', :filler), 'UTF8'), 'rejected', 'the signature is not ours', now()
        FROM payments, generate_series(1, :number) AS number""",
        number=number,
        filler=filler,
    )


def insert_payment(
    sql: Sql,
    *,
    amount: str = "240.00",
    currency: str = "USD",
    status: str = "pending",
    provider: str = "mock",
    provider_ref: str | None = None,
) -> str:
    """A payment, at the mock provider unless told otherwise; its provider_ref."""
    reference = provider_ref or f"mock_pi_{uuid4().hex}"
    user = sql("INSERT INTO users DEFAULT VALUES RETURNING id")[0].id
    (row,) = sql(
        """INSERT INTO payments (user_id, provider, provider_ref, amount, currency)
        VALUES (:user, :provider, :reference, :amount, :currency) RETURNING id""",
        user=user,
        provider=provider,
        reference=reference,
        amount=amount,
        currency=currency,
    )
    bring_to(sql, row.id, status)
    return reference


def status_of(sql: Sql, reference: str) -> str:
    return sql("SELECT status::text FROM payments WHERE provider_ref = :reference", reference=reference)[0].status


def state_of(sql: Sql, delivery_id: UUID) -> str:
    return sql("SELECT state FROM webhook_deliveries WHERE id = :id", id=delivery_id)[0].state
