"""Reads for operators what an order's own page shows beside the order: its payment, and the pieces that it holds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import text

from checkout_service.database.engine import execute
from checkout_service.payments.status import PaymentStatus

VENDORS_SEARCHED: Final = 20_000
"""Vendors that are looked through for a name: there is no index of names, since few shops have more."""

HOLDS_SHOWN: Final = 500

_beside = text(f"""
    SELECT payment.status::text AS status, payment.review_reason, payment.amount_captured, payment.amount_lost,
        payment.amount_blocked, payment.amount_refunded, payment.amount_refunding, payment.amount_authorized,
        made.erased_at, made.canceled_at,
        (SELECT owner.subject FROM users AS owner WHERE owner.id = made.user_id) AS subject,
        (SELECT jsonb_agg(jsonb_build_array(hold.listing_id, hold.qty, hold.state,
            CASE WHEN hold.state = 'held' THEN greatest(hold.until, session.held_until) END) ORDER BY hold.listing_id)
        FROM (SELECT * FROM holds WHERE holds.payment_id = payment.id LIMIT {HOLDS_SHOWN}) AS hold
        LEFT JOIN checkout_sessions AS session ON session.payment_id = hold.payment_id) AS holds
    FROM orders AS made JOIN payments AS payment ON payment.id = made.payment_id WHERE made.id = :id
""")  # noqa: S608 (only our own constants)

_named = text(f"""
    SELECT id FROM (SELECT id, name FROM vendors LIMIT {VENDORS_SEARCHED}) AS vendor
    WHERE lower(name) = lower(:name) LIMIT 2
""")  # noqa: S608 (only our own constants)


class HeldPieces(NamedTuple):
    """Pieces of a listing that are reserved for the order's payment; ``until`` is None of those that are sold."""

    listing_id: UUID
    qty: int
    state: str
    until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BesideOrder:
    """The order's payment as it is now, the pieces that are reserved, and when its customer was erased.

    ``subject`` is what their tokens call the customer, where that is no UUID.
    """

    status: PaymentStatus
    review_reason: str | None
    amount_captured: Decimal
    amount_lost: Decimal
    amount_blocked: Decimal
    amount_refunded: Decimal
    amount_refunding: Decimal
    amount_authorized: Decimal
    erased_at: datetime | None
    canceled_at: datetime | None
    subject: str | None
    holds: list[HeldPieces]

    @property
    def amount_refundable(self) -> Decimal:
        """What may be given back now."""
        gone = self.amount_lost + self.amount_blocked + self.amount_refunded + self.amount_refunding
        return max(self.amount_captured - gone, Decimal(0))


def beside_order(order_id: UUID) -> BesideOrder | None:
    """What stands beside the order, or None where there is no such order. Raises DatabaseUnavailableError."""
    rows = execute(_beside, {"id": order_id})
    if not rows:
        return None
    columns: dict[str, Any] = rows[0]._asdict()
    holds = [
        HeldPieces(UUID(listing), qty, state, None if until is None else datetime.fromisoformat(until))
        for listing, qty, state, until in columns.pop("holds") or ()
    ]
    return BesideOrder(**columns | {"status": PaymentStatus(columns["status"]), "holds": holds})


def vendors_named(name: str) -> list[UUID]:
    """The ids of up to two vendors of this name, in whatever case. Raises DatabaseUnavailableError."""
    return [row.id for row in execute(_named, {"name": name})]
