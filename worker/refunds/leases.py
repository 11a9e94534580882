"""Claims refunds that are outstanding."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar
from uuid import UUID

from sqlalchemy import text

from worker.outstanding import Kind, Leased, claimed

_claim = text("""
    UPDATE refunds SET attempts = attempts + 1, next_attempt_at = now() + :lease
    WHERE id = :id AND status <= 'processing' AND (attempts = 0 OR next_attempt_at <= now())
    RETURNING id, payment_id, provider, amount, reason, status::text AS status, next_attempt_at AS lease,
        now() - created_at AS age, now() - sent_at AS sent_ago, trace_context, in_doubt, capture_ref,
        coalesce(attempt_ref, (SELECT capture.attempt_ref FROM captures AS capture
            WHERE capture.provider = refunds.provider AND capture.capture_ref = refunds.capture_ref)) AS attempt_ref
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class LeasedRefund(Leased):
    """A refund of ``amount`` under lease.

    ``capture_ref`` and ``attempt_ref`` are the provider's names of what it is of, where one is known.
    """

    KIND: ClassVar = Kind.REFUND

    amount: Decimal
    reason: str | None
    capture_ref: str | None
    attempt_ref: str | None


def claim(refund_id: UUID) -> LeasedRefund | None:
    """Lease this refund; None when nothing is outstanding now, or another task has it."""
    row = claimed(_claim, refund_id)
    return None if row is None else LeasedRefund(**row)
