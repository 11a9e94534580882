"""The task ``payments.cancel``: calls a payment off at its provider because somebody asked for it.

Unlike an expiry, what the provider then says is kept as it is: ``canceled``.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog
from celery import shared_task
from sqlalchemy import text

from checkout_service.database.engine import execute
from checkout_service.database.errors import DatabaseUnavailableError
from checkout_service.providers.base import (
    Provider,
    ProviderEvent,
    ProviderRefundEvent,
    ProviderRefusedError,
    Reference,
    UnreadableError,
)
from checkout_service.tasks import TaskName
from worker.payments.provider_queries import Run

LEASE: Final = timedelta(seconds=90)
"""Longer than the task's hard time limit (75 s)."""

TRY_FOR: Final = timedelta(hours=72)
"""After that the payment is left to its look-ups, and to the end of its session, which calls it off once more."""

# A payment that is closed by now needs nobody to call it off.
_claim = text("""
    UPDATE cancel_requests AS asked SET attempts = attempts + 1, next_attempt_at = now() + :lease
    FROM payments AS payment
    WHERE asked.payment_id = :id AND payment.id = asked.payment_id AND asked.next_attempt_at IS NOT NULL
        AND (asked.attempts = 0 OR asked.next_attempt_at <= now())
    RETURNING payment.id, payment.provider, payment.status < 'expired' AS open, asked.next_attempt_at AS lease
""")

# The delay doubles by itself, being as long as the request is old.
_settle = text("""
    UPDATE cancel_requests AS asked
    SET next_attempt_at = CASE WHEN payment.status < 'expired' AND asked.created_at > now() - :try_for
            THEN now() + least(greatest(now() - asked.created_at, interval '5 seconds'), interval '1 hour') END,
        detail = CASE WHEN payment.status < 'expired' THEN 'the payment is still ' ELSE 'the payment is ' END
            || payment.status::text,
        updated_at = now()
    FROM payments AS payment
    WHERE asked.payment_id = :id AND payment.id = asked.payment_id AND asked.next_attempt_at = :lease
    RETURNING asked.detail
""")

log = structlog.get_logger(__name__)


@shared_task(name=TaskName.CANCEL_PAYMENT)
def cancel(payment_id: str) -> str:
    """Call this payment off, if somebody asked for that and it is still open; run it again at any time."""
    try:
        rows = execute(_claim, {"id": UUID(payment_id), "lease": LEASE})
        if not rows:
            return "nothing is asked of it now"
        (row,) = rows
        if row.open:
            run = Run()
            run.ask(row, "cancel", _called_off)
            run.record_held()
        settled = execute(_settle, {"id": row.id, "lease": row.lease, "try_for": TRY_FOR})
        return str(settled[0].detail) if settled else "another task has it"
    except DatabaseUnavailableError:
        log.warning("database_unavailable", payment_id=payment_id)
        return "the database is unavailable; the sweep rings again"


def _called_off(asked: Provider, held: Reference) -> Sequence[ProviderEvent | ProviderRefundEvent]:
    """What became of it; where canceling is refused or not understood, what the provider knows."""
    try:
        return asked.cancel(held)
    except (ProviderRefusedError, UnreadableError):
        return asked.look_up(held)
