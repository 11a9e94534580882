"""How many pieces of a listing a customer can get, as part of the statements that read carts.

What the customer's own open session of the same filling of the cart holds does not count against them: their next
session takes that over (``hold_take`` in migrations/orders/stock.sql).
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Integer, ScalarSelect, Uuid, bindparam, column, text

# From the customer's own holds, of which there are few: an index finds them, and mostly there are none.
_TO_TAKE_OVER: Final = """
    SELECT own.payment_id FROM holds AS own
    JOIN payments AS older ON older.id = own.payment_id
    JOIN checkout_sessions AS session ON session.payment_id = own.payment_id
    JOIN carts AS filled ON filled.id = session.cart_id AND filled.generation = session.generation
    WHERE own.user_id = :user AND own.state = 'held' AND NOT older.under_way
        AND older.status IN ('pending', 'failed', 'expired', 'canceled')
        AND older.amount_authorized = 0 AND older.amount_captured = 0
"""

_AVAILABLE: Final = f"""
    SELECT greatest(counter.stock - counter.reserved + coalesce((
        SELECT sum(hold.reserved) FROM holds AS hold
        WHERE hold.payment_id = ANY(ARRAY({_TO_TAKE_OVER} GROUP BY own.payment_id))
            AND hold.listing_id = counter.listing_id AND hold.state = 'held'
    ), 0), 0)::integer AS available
    FROM stock_counters AS counter WHERE counter.listing_id = listings.id AND counter.stock IS NOT NULL
"""  # noqa: S608 (only our own constants)


def available_pieces() -> ScalarSelect[Any]:
    """Pieces of the statement's ``listings`` that its ``user`` can get; null where stock is not tracked."""
    statement = text(_AVAILABLE).bindparams(bindparam("user", type_=Uuid()))
    return statement.columns(column("available", Integer)).scalar_subquery()
