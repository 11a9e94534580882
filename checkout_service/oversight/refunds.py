"""Refunds that an operator looks for: those that failed, and those that are still outstanding."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import text

from checkout_service.api.responses import show_time
from checkout_service.database.engine import execute
from checkout_service.money import show
from checkout_service.payments.status import RefundStatus
from checkout_service.terminal import printable

_COLUMNS: Final = """
    id, payment_id, provider, amount, currency, status::text AS status, decline, detail, created_at, updated_at
"""

# Each along its partial index.
_failed = text(f"""
    SELECT {_COLUMNS} FROM refunds WHERE status = 'failed' AND updated_at > now() - CAST(:within AS interval)
    ORDER BY updated_at DESC LIMIT CAST(:limit AS integer)
""")  # noqa: S608 (only our own constants)

_outstanding = text(f"""
    SELECT {_COLUMNS} FROM refunds WHERE status <= 'processing' AND status = CAST(:status AS refund_status)
        AND created_at > now() - CAST(:within AS interval)
    ORDER BY next_attempt_at LIMIT CAST(:limit AS integer)
""")  # noqa: S608 (only our own constants)

LISTED: Final = (RefundStatus.FAILED, RefundStatus.REQUESTED, RefundStatus.PROCESSING)


class _Refund(NamedTuple):
    id: UUID
    payment_id: UUID
    provider: str
    amount: Decimal
    currency: str
    status: str
    decline: str | None
    detail: str | None
    created_at: datetime
    updated_at: datetime


def listed(status: RefundStatus, *, within: timedelta, limit: int) -> Iterator[str]:
    """One line a refund: of those that failed the newest first, of the others the one that is due first."""
    statement = _failed if status is RefundStatus.FAILED else _outstanding
    for row in execute(statement, {"status": status.value, "within": within, "limit": limit}):
        yield _line(_Refund._make(row))


def _line(row: _Refund) -> str:
    moved = show_time(row.updated_at if row.status == RefundStatus.FAILED.value else row.created_at)
    why = ": ".join(filter(None, [row.decline, row.detail and printable(row.detail)])) or "-"
    money = f"{show(row.amount, row.currency)} {row.currency}"
    return f"{row.id}  {moved}  {row.status:10}  {money:>15}  {row.provider:8}  payment {row.payment_id}  {why}"
