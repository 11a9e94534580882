"""Reads the other payments for the same things: a customer began to pay for them more than once."""

from __future__ import annotations

from decimal import Decimal
from typing import Final, NamedTuple
from uuid import UUID

from checkout_service.database.engine import execute
from checkout_service.database.statements import Statement
from checkout_service.owners import is_theirs
from checkout_service.payments.mates import mates_of
from checkout_service.payments.status import PaymentStatus

SHOWN: Final = 10
"""Of so many the customer is told; one caller has a bounded number of sessions open at once."""

_others = Statement(f"""
    SELECT payment.id, payment.status::text AS status, payment.under_way OR payment.amount_authorized > 0 AS promised,
        payment.amount_captured > 0 AS money_came, payment.amount, payment.currency,
        other.created_at > own.created_at AS newer
    FROM checkout_sessions AS own
    CROSS JOIN LATERAL {mates_of("own.payment_id")} AS mate
    JOIN checkout_sessions AS other ON other.payment_id = mate.payment_id
    JOIN payments AS payment ON payment.id = other.payment_id
    WHERE own.payment_id = :payment_id AND {is_theirs("own.user_id")} AND {is_theirs("payment.user_id")}
    ORDER BY other.created_at DESC LIMIT {SHOWN}
""")  # noqa: S608 (only our own constants)


class OtherPayment(NamedTuple):
    """Another payment of the same customer for the same things: of the filling of the cart, or of a merged cart's.

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
