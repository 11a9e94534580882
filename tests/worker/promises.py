"""Payments with the sessions they belong to, put into the tables as a purchase leaves them."""

from __future__ import annotations

from uuid import UUID, uuid4

from tests.conftest import Sql
from tests.webhook_bodies import insert_payment

LINES = f"""[{{"listing_id": "{UUID(int=1)}", "title": "Algebra", "currency": "USD", "qty": 2, "unit_price": "120.00",
    "line_total": "240.00", "vendor": "Harbour Books", "school": null, "spec": null}}]"""
"""As a session of before sealed them, of a listing that is gone."""


def insert_promise(
    sql: Sql,
    *,
    cart: UUID | None = None,
    lines: str = LINES,
    status: str = "pending",
    ends: str = "now() + interval '1 day'",
) -> str:
    """A payment with its session; its provider_ref. ``ends`` is when the session is over, as SQL."""
    reference = insert_payment(sql, status=status)
    cart = cart or insert_cart(sql)
    sql(
        f"""INSERT INTO checkout_sessions (user_id, cart_id, generation, idempotency_key, request_hash, payment_id,
            payment_token, amount, currency, lines, expires_at)
        SELECT user_id, :cart, (SELECT generation FROM carts WHERE id = :cart), :key, '', id, provider_ref, amount,
            currency, CAST(:lines AS jsonb), {ends}
        FROM payments WHERE provider_ref = :reference""",
        cart=cart,
        key=uuid4().hex,
        lines=lines,
        reference=reference,
    )
    return reference


def insert_cart(sql: Sql) -> UUID:
    user = sql("INSERT INTO users DEFAULT VALUES RETURNING id")[0].id
    return sql("INSERT INTO carts (user_id) VALUES (:user) RETURNING id", user=user)[0].id
