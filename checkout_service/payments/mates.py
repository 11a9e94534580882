"""Mates of a payment: the others for the same things, as a part of the statements that read or lock them.

They are those of the same filling of the cart, and in a cart that was merged with it those that the table
``payment_mates`` names (migrations/merges/payment_mates.sql). Where money came for two of them, the same was paid
twice.
"""

from __future__ import annotations


def mates_of(payment: str) -> str:
    """A subselect of each mate's ``payment_id``, of the payment that this column names; it looks along indexes."""
    return f"""(
        SELECT session.payment_id
        FROM checkout_sessions AS own
        JOIN checkout_sessions AS session ON session.cart_id = own.cart_id AND session.generation = own.generation
            AND session.payment_id <> own.payment_id
        WHERE own.payment_id = {payment}
        UNION ALL
        SELECT pair.mate_id FROM payment_mates AS pair WHERE pair.payment_id = {payment}
    )"""  # noqa: S608 (a column's name)
