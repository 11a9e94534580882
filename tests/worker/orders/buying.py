"""Carts with lines, their sessions with holds, and what becomes of them: orders, reasons, stock."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from tests.conftest import Sql

PRICE = Decimal("40.00")
"""Of a piece of every listing here."""

Pieces = Mapping[UUID, int]
"""How many of each listing."""


@dataclass(frozen=True, slots=True)
class Bought:
    """A payment whose session is open: its id, and its reference at the mock provider."""

    payment: UUID
    reference: str
    cart: UUID
    amount: Decimal


def listing(sql: Sql, stock: int | None = 10) -> UUID:
    """A listing of a vendor of its own, of which so many pieces lie there."""
    return sql(
        """WITH vendor AS (INSERT INTO vendors (name) VALUES ('Harbour Books') RETURNING id)
        INSERT INTO listings (vendor_id, title, unit_price, currency, stock)
        SELECT id, 'Algebra', :price, 'USD', CAST(:stock AS integer) FROM vendor RETURNING id""",
        price=PRICE,
        stock=stock,
    )[0].id


def cart(sql: Sql, pieces: Pieces) -> UUID:
    """A new customer's cart with these lines."""
    made = sql(
        """WITH customer AS (INSERT INTO users DEFAULT VALUES RETURNING id)
        INSERT INTO carts (user_id) SELECT id FROM customer RETURNING id"""
    )[0].id
    put(sql, made, pieces)
    return made


def put(sql: Sql, cart_id: UUID, pieces: Pieces) -> None:
    """Set how many of these the cart has."""
    for each, qty in pieces.items():
        sql(
            """INSERT INTO cart_items (cart_id, listing_id, qty) VALUES (:cart, :listing, :qty)
            ON CONFLICT (cart_id, listing_id) DO UPDATE SET qty = excluded.qty""",
            cart=cart_id,
            listing=each,
            qty=qty,
        )


def session(
    sql: Sql, cart_id: UUID, pieces: Pieces, *, held: bool = True, generation: str = "cart.generation", **line: Any
) -> Bought:
    """Open a session of this cart: pieces are held unless told otherwise. ``line`` are members of each line."""
    payment, reference = uuid4(), f"mock_pi_{uuid4().hex}"
    amount = PRICE * (sum(pieces.values()) or 1)
    if held:
        short = sql(
            """SELECT short.* FROM carts AS cart
            CROSS JOIN LATERAL hold_take(:payment, cart.user_id, cart.id, cart.generation, CAST(:listings AS uuid[]),
                CAST(:pieces AS integer[])) AS short
            WHERE cart.id = :cart""",
            payment=payment,
            cart=cart_id,
            listings=[str(each) for each in pieces],
            pieces=list(pieces.values()),
        )
        assert short == []
    sql(
        f"""WITH payment AS (
            INSERT INTO payments (id, user_id, provider, provider_ref, amount, currency)
            SELECT :payment, user_id, 'mock', :reference, :amount, 'USD' FROM carts WHERE id = :cart
        )
        INSERT INTO checkout_sessions (user_id, cart_id, generation, idempotency_key, request_hash, payment_id,
            payment_token, amount, currency, lines, expires_at, held_until, buyer)
        SELECT user_id, id, {generation}, :reference, '', :payment, 'token', :amount, 'USD', CAST(:lines AS jsonb),
            now() + interval '1 hour', CASE WHEN :held THEN now() + interval '70 minutes' END,
            '{{"email": "ada@example.com"}}'
        FROM carts AS cart WHERE id = :cart""",
        payment=payment,
        reference=reference,
        amount=amount,
        cart=cart_id,
        held=held,
        lines=json.dumps([sealed(each, qty, **line) for each, qty in pieces.items()]),
    )
    return Bought(payment, reference, cart_id, amount)


def sealed(listing_id: UUID, qty: int, **line: Any) -> dict[str, Any]:
    """A line as sessions of before sealed it, without the vendor's id."""
    return {
        "listing_id": str(listing_id),
        "title": "Algebra",
        "unit_price": str(PRICE),
        "currency": "USD",
        "qty": qty,
        "line_total": str(PRICE * qty),
        "vendor": "Harbour Books",
        "school": None,
        "spec": None,
    } | line


def release(sql: Sql, bought: Bought) -> None:
    """The hold's time is over, and the sweep has ended it."""
    sql("SELECT holds_end(ARRAY[CAST(:id AS uuid)], 'held')", id=bought.payment)


def order(sql: Sql, bought: Bought) -> str | None:
    """The status of the payment's order; None where it has none."""
    rows = sql("SELECT status::text FROM orders WHERE payment_id = :id", id=bought.payment)
    return rows[0].status if rows else None


def orders(sql: Sql) -> int:
    """How many orders there are."""
    return sql("SELECT count(*) FROM orders")[0].count


def reason(sql: Sql, bought: Bought) -> tuple[str, UUID | None] | None:
    """Why the payment has no order, and which one has it in its place."""
    rows = sql("SELECT reason, other_payment_id FROM order_reasons WHERE payment_id = :id", id=bought.payment)
    return tuple(rows[0]) if rows else None


def review(sql: Sql, bought: Bought) -> str | None:
    """Why a person has to look at the payment."""
    return sql("SELECT review_reason FROM payments WHERE id = :id", id=bought.payment)[0].review_reason


def in_cart(sql: Sql, cart_id: UUID) -> dict[UUID, int]:
    """The cart's lines."""
    return {row.listing_id: row.qty for row in sql("SELECT * FROM cart_items WHERE cart_id = :id", id=cart_id)}


def generation(sql: Sql, cart_id: UUID) -> int:
    """How often the cart was filled."""
    return sql("SELECT generation FROM carts WHERE id = :id", id=cart_id)[0].generation


def stock(sql: Sql, listing_id: UUID) -> tuple[int | None, int]:
    """What lies there, and how much of it is reserved: the sum of the holds, or the books are wrong."""
    (row,) = sql(
        """SELECT stock, reserved, (SELECT coalesce(sum(reserved), 0) FROM holds WHERE listing_id = :id) AS of_holds
        FROM stock_counters WHERE listing_id = :id""",
        id=listing_id,
    )
    assert row.reserved == row.of_holds
    return row.stock, row.reserved


def holds(sql: Sql, bought: Bought) -> list[tuple[str, int]]:
    """State and pieces of the payment's holds, by listing."""
    rows = sql(
        "SELECT state::text, qty, reserved FROM holds WHERE payment_id = :id ORDER BY listing_id", id=bought.payment
    )
    assert all(row.qty == row.reserved for row in rows)
    return [(row.state, row.qty) for row in rows]


def short(sql: Sql, bought: Bought) -> list[int]:
    """How much of each line of its order nobody has."""
    rows = sql(
        """SELECT qty_short FROM order_lines JOIN orders ON orders.id = order_id
        WHERE payment_id = :id ORDER BY place""",
        id=bought.payment,
    )
    return [row.qty_short for row in rows]


def cancel_requested(sql: Sql, bought: Bought) -> bool:
    """Whether the payment is to be canceled at its provider."""
    return bool(sql("SELECT FROM cancel_requests WHERE payment_id = :id", id=bought.payment))
