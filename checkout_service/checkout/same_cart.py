"""Reads the other payments of one filling of a cart: a customer began to pay for it more than once."""

from __future__ import annotations

from decimal import Decimal
from typing import Final, NamedTuple
from uuid import UUID

from checkout_service.database.engine import execute
from checkout_service.database.statements import Statement
from checkout_service.owners import is_theirs
from checkout_service.payments.status import PaymentStatus

SHOWN: Final = 10
"""Of so many the customer is told; one caller has a bounded number of sessions open at once."""

_others = Statement(f"""
    SELECT payment.id, payment.status::text AS status, payment.under_way OR payment.amount_authorized > 0 AS promised,
        payment.amount_captured > 0 AS money_came, payment.amount, payment.currency,
        other.created_at > own.created_at AS newer
    FROM checkout_sessions AS own
    JOIN checkout_sessions AS other ON other.cart_id = own.cart_id AND other.generation = own.generation
        AND other.payment_id <> own.payment_id
    JOIN payments AS payment ON payment.id = other.payment_id
    WHERE own.payment_id = :payment_id AND {is_theirs("own.user_id")} AND payment.user_id = own.user_id
    ORDER BY other.created_at DESC LIMIT {SHOWN}
""")  # noqa: S608 (only our own constants)


class OtherPayment(NamedTuple):
    """Another payment of the same customer for the same filling of the cart.

    ``promised``: money is under way or authorized. ``newer``: it was begun after the one that was asked about.
    """

    id: UUID
    status: PaymentStatus
    promised: bool
    money_came: bool
    amount: Decimal
    currency: str
    newer: bool


def payments_beside(*, payment_id: UUID, user_id: UUID) -> list[OtherPayment]:
    """The other payments for what this one is for, the newest first. Raises DatabaseUnavailableError."""
    rows = execute(_others, {"payment_id": payment_id, "user_id": user_id})
    return [OtherPayment._make(row)._replace(status=PaymentStatus(row.status)) for row in rows]
