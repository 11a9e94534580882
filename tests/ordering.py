"""Orders as they come about: a cart's session with its holds, and money for it."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import orjson

from tests.conftest import Sql
from tests.money import bring_to
from tests.refunding import open_payment

BUYER = {"email": "Ada@example.com", "name": "Ada Lovelace", "locale": "en-GB"}
ADDRESS = {
    "name": "Ada Lovelace",
    "line1": "12 St James's Square",
    "postal_code": "SW1Y 4LE",
    "city": "London",
    "country": "GB",
}


def open_session(
    sql: Sql,
    *lines: tuple[dict[str, Any], int],
    owner: UUID | None = None,
    buyer: dict[str, Any] | None = None,
    address: dict[str, Any] | None = None,
) -> UUID:
    """The payment of a session of a new cart with these listings and quantities, whose tracked ones are held."""
    amount = sum(listing["unit_price"] * qty for listing, qty in lines)
    currency = lines[0][0]["currency"]
    payment_id, _ = open_payment(sql, amount=str(amount), currency=currency, owner=owner)
    (cart,) = sql(
        """INSERT INTO carts (user_id) SELECT user_id FROM payments WHERE id = :id
        ON CONFLICT (user_id) DO UPDATE SET updated_at = now() RETURNING id, generation""",
        id=payment_id,
    )
    short = sql(
        """SELECT held.* FROM payments, hold_take(id, user_id, :cart, :generation, CAST(:listings AS uuid[]),
            CAST(:quantities AS integer[])) AS held WHERE id = :id""",
        id=payment_id,
        cart=cart.id,
        generation=cart.generation,
        listings=[str(listing["id"]) for listing, _ in lines],
        quantities=[qty for _, qty in lines],
    )
    assert not short, short
    sql(
        """INSERT INTO checkout_sessions (user_id, cart_id, generation, idempotency_key, request_hash, payment_id,
            payment_token, amount, currency, lines, expires_at, held_until, buyer, delivery_address)
        SELECT user_id, :cart, :generation, :key, '', id, provider_ref, amount, currency, CAST(:lines AS jsonb),
            now() + interval '1 hour', now() + interval '70 minutes', CAST(:buyer AS jsonb), CAST(:address AS jsonb)
        FROM payments WHERE id = :id""",
        id=payment_id,
        cart=cart.id,
        generation=cart.generation,
        key=uuid4().hex,
        lines=orjson.dumps([_sealed(listing, qty) for listing, qty in lines], default=str).decode(),
        buyer=None if buyer is None else orjson.dumps(buyer).decode(),
        address=None if address is None else orjson.dumps(address).decode(),
    )
    return payment_id


def paid_order(sql: Sql, *lines: tuple[dict[str, Any], int], **session: Any) -> tuple[UUID, UUID]:
    """An order that was just paid: its id, and its payment's."""
    payment_id = open_session(sql, *lines, **session)
    bring_to(sql, payment_id, "paid")
    (order,) = sql("SELECT id FROM orders WHERE payment_id = :id", id=payment_id)
    return order.id, payment_id


def number_orders(sql: Sql, prefix: str = "") -> None:
    """Give each order its number, as the worker does."""
    sql("SELECT orders_number(:prefix, 1000)", prefix=prefix)


def _sealed(listing: dict[str, Any], qty: int) -> dict[str, Any]:
    return {
        "listing_id": str(listing["id"]),
        "vendor_id": str(listing["vendor_id"]),
        "title": listing["title"],
        "vendor": "Harbour Books",
        "school": "Northgate School",
        "spec": "Hardcover",
        "qty": qty,
        "unit_price": str(listing["unit_price"]),
        "currency": listing["currency"],
        "line_total": str(listing["unit_price"] * qty),
    }
