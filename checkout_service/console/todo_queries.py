"""Reads what waits for a person besides payments with a reason and what is in doubt: what failed, and what takes long.

Each by an index, of a bounded number of rows: the few that are outstanding, and those that failed within days.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import text

from checkout_service.database.engine import execute

MOST: Final = 50
"""Of each kind; the command line lists further ones."""

WITHIN: Final = timedelta(days=7)
"""How long ago something may have failed to be listed, as ``refunds_failed`` counts it."""

LONG: Final = timedelta(minutes=15)
"""After so long something that is outstanding is listed: a worker tries again within that time."""

_COLUMNS: Final = "id, payment_id, provider, {amount} AS amount, currency, status::text AS status, decline, detail"

_SOURCES: Final = {
    "refund": ("refunds", "amount"),
    "capture": ("capture_requests", "amount"),
    "void": ("voids", "releases"),
}

# Refunds by the index of those that failed. Captures and voids by their ids, which are made in the order of time: staff
# ask for them, so there are few in some days.
_RECENTLY: Final = {
    "refund": ("updated_at > now() - CAST(:within AS interval)", "updated_at"),
    "capture": ("id >= (SELECT uuidv7(-CAST(:within AS interval)))", "id"),
    "void": ("id >= (SELECT uuidv7(-CAST(:within AS interval)))", "id"),
}

_FAILED: Final = " UNION ALL ".join(
    f"""(SELECT '{kind}' AS kind, {_COLUMNS.format(amount=amount)}, updated_at AS at FROM {table}
        WHERE status = 'failed' AND {_RECENTLY[kind][0]} ORDER BY {_RECENTLY[kind][1]} DESC LIMIT {MOST})"""  # noqa: S608 (only our own constants)
    for kind, (table, amount) in _SOURCES.items()
)

_OUTSTANDING: Final = " UNION ALL ".join(
    f"""(SELECT '{kind}' AS kind, {_COLUMNS.format(amount=amount)}, created_at AS at FROM {table}
        WHERE status <= 'processing' AND status = 'requested' AND created_at < now() - CAST(:long AS interval)
            {"AND NOT in_doubt" if kind != "void" else ""}
        ORDER BY next_attempt_at LIMIT {MOST})"""  # noqa: S608 (only our own constants)
    for kind, (table, amount) in _SOURCES.items()
)

_CANCELS: Final = f"""
    (SELECT 'cancel' AS kind, request.id, request.payment_id, payment.provider, payment.amount, payment.currency,
        'requested' AS status, NULL AS decline, request.detail, request.created_at AS at
    FROM cancel_requests AS request JOIN payments AS payment ON payment.id = request.payment_id
    WHERE request.next_attempt_at IS NOT NULL AND request.created_at < now() - CAST(:long AS interval)
    ORDER BY request.next_attempt_at LIMIT {MOST})
"""  # noqa: S608 (only our own constants)

# Of those whose payment is open still nobody cancels one by itself any more.
_GIVEN_UP: Final = f"""
    (SELECT 'cancel' AS kind, request.id, request.payment_id, payment.provider, payment.amount, payment.currency,
        'failed' AS status, 'given up' AS decline, request.detail, request.updated_at AS at
    FROM cancel_requests AS request JOIN payments AS payment ON payment.id = request.payment_id
    WHERE request.next_attempt_at IS NULL AND request.detail LIKE 'the payment is still %'
        AND payment.status < 'expired'
    ORDER BY request.updated_at DESC LIMIT {MOST})
"""  # noqa: S608 (only our own constants)

_failed = text(f"{_FAILED} UNION ALL {_GIVEN_UP}")
_outstanding = text(f"{_OUTSTANDING} UNION ALL {_CANCELS}")


class Waiting(NamedTuple):
    """A refund, capture, void or cancellation of a payment that failed, or is outstanding; ``at`` is since when.

    ``amount`` is in the major unit of ``currency``; of a cancellation it is the payment's.
    """

    kind: str
    id: UUID
    payment_id: UUID
    provider: str
    amount: Decimal
    currency: str
    status: str
    decline: str | None
    detail: str | None
    at: datetime


def failed_requests() -> Sequence[Waiting]:
    """What was refused within WITHIN, and cancellations that were given up, the newest of each kind first.

    Raises DatabaseUnavailableError.
    """
    return [Waiting(*row) for row in execute(_failed, {"within": WITHIN})]


def outstanding_requests() -> Sequence[Waiting]:
    """What nobody has answered for longer than LONG. Raises DatabaseUnavailableError."""
    return [Waiting(*row) for row in execute(_outstanding, {"long": LONG})]
