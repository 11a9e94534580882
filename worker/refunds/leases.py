"""Claims refunds for a while, and puts the next try off. A claim is a lease, as that of a webhook is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

from sqlalchemy import text

from checkout_service.database.engine import execute, transaction
from checkout_service.payments.status import RefundStatus
from worker.backoff import jittered

LEASE: Final = timedelta(seconds=90)
"""Longer than the task's hard time limit (75 s): nobody claims a refund whose worker may still be alive."""

SOONEST: Final = {RefundStatus.REQUESTED: timedelta(seconds=5), RefundStatus.PROCESSING: timedelta(minutes=10)}
LATEST: Final = {RefundStatus.REQUESTED: timedelta(minutes=15), RefundStatus.PROCESSING: timedelta(hours=12)}

_claim = text("""
    UPDATE refunds SET attempts = attempts + 1, next_attempt_at = now() + :lease
    WHERE id = :id AND status <= 'processing' AND (attempts = 0 OR next_attempt_at <= now())
    RETURNING id, payment_id, provider, amount, reason, status::text AS status, next_attempt_at AS lease,
        now() - created_at AS age, now() - sent_at AS sent_ago, capture_ref,
        coalesce(attempt_ref, (SELECT capture.attempt_ref FROM captures AS capture
            WHERE capture.provider = refunds.provider AND capture.capture_ref = refunds.capture_ref)) AS attempt_ref
""")

# The payment before its refund: that is the order of locks, and the refund's trigger locks the payment again.
_lock_payment = text("SELECT FROM payments WHERE id = :payment_id FOR NO KEY UPDATE")

# Before the provider is asked, so that whoever hears of a refund knows that it may be this one. The first time the
# trigger refunds_check_cover (migrations/entries/requests.sql) looks whether there still is cover. Later it is told.
_note_sent = text("""
    UPDATE refunds AS refund SET sent_at = coalesce(refund.sent_at, now())
    WHERE refund.id = :id AND refund.status = 'requested' AND refund.next_attempt_at = :lease
    RETURNING refund.amount <= (SELECT payment.amount_captured - payment.amount_lost - payment.amount_blocked
            FROM payments AS payment WHERE payment.id = refund.payment_id) - coalesce((
            SELECT sum(other.amount) FROM refunds AS other
            WHERE other.payment_id = refund.payment_id AND other.id <> refund.id AND (other.status = 'succeeded'
                OR other.status <= 'processing' AND (other.sent_at IS NOT NULL OR other.requested_by IS NULL))
        ), 0) AS covered
""")

# Only where the claim still holds, and nobody has moved it on meanwhile.
_put_off = text("""
    UPDATE refunds SET next_attempt_at = now() + :delay, detail = :detail, in_doubt = in_doubt OR :in_doubt,
        sent_at = CASE WHEN CAST(:unasked AS boolean) THEN NULL ELSE sent_at END
    WHERE id = :id AND status <= 'processing' AND next_attempt_at = :lease
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class LeasedRefund:
    """A refund under lease. ``sent_ago`` is the time since its provider was asked for it first, if it ever was.

    ``capture_ref`` and ``attempt_ref`` are the provider's names of what it is of, where one is known.
    """

    id: UUID
    payment_id: UUID
    provider: str
    amount: Decimal
    reason: str | None
    status: RefundStatus
    lease: datetime
    age: timedelta
    sent_ago: timedelta | None
    capture_ref: str | None
    attempt_ref: str | None


def claim(refund_id: UUID) -> LeasedRefund | None:
    """Lease this refund; None when nothing is outstanding now, or another task has it."""
    rows = execute(_claim, {"id": refund_id, "lease": LEASE})
    if not rows:
        return None
    row = rows[0]._asdict()
    return LeasedRefund(**row | {"status": RefundStatus(row["status"])})


def note_sent(leased: LeasedRefund) -> bool | None:
    """Write down that its provider is about to be asked; None when the lease is over, so that it must not be.

    Returns whether its payment has the money, beside those refunds that the provider knows or may know: a dispute may
    have come since it was asked for first. Raises Conflict when it would be the first time, and there is no cover.
    """
    with transaction() as connection:
        connection.execute(_lock_payment, {"payment_id": leased.payment_id})
        row = connection.execute(_note_sent, {"id": leased.id, "lease": leased.lease}).first()
        return None if row is None else bool(row.covered)


def put_off(
    leased: LeasedRefund,
    detail: str | None,
    *,
    least: timedelta = timedelta(0),
    unasked: bool = False,
    in_doubt: bool = False,
) -> str:
    """Put the next try off; the delay doubles by itself, being as long as the refund is old.

    ``in_doubt`` tells that only a person can find out what became of it; that stays so, whatever the next tries come
    to, until a provider names the refund. ``unasked`` tells that the provider did not look at what it was asked for
    and never was before.
    """
    delay = max(least, min(max(leased.age, SOONEST[leased.status]), LATEST[leased.status]))
    plain = None if detail is None else detail[:300].encode("unicode_escape").decode()
    row = {"id": leased.id, "lease": leased.lease, "unasked": unasked, "in_doubt": in_doubt}
    execute(_put_off, row | {"delay": jittered(delay), "detail": plain})
    return f"later: {detail or 'still processing'}"
