"""Authorisations that are open, one line each: money that is promised, and until when."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from sqlalchemy import text

from checkout_service.api.responses import show_time
from checkout_service.database.engine import execute
from checkout_service.money import show
from checkout_service.terminal import printable

# Along payment_attempts_expires_at. One whose end nobody told is not among them.
_nearest: Final = text("""
    SELECT attempt.expires_at, attempt.attempt_ref, attempt.provider, attempt.payment_id,
        payment.amount_authorized AS amount, payment.currency
    FROM payment_attempts AS attempt JOIN payments AS payment ON payment.id = attempt.payment_id
    WHERE attempt.status = 'authorized' AND NOT attempt.rest_released AND attempt.expires_at IS NOT NULL
        AND (CAST(:due_before AS timestamptz) IS NULL OR attempt.expires_at < CAST(:due_before AS timestamptz))
        AND payment.amount_authorized > 0 AND payment.closed IS NULL
        AND NOT EXISTS (SELECT FROM payment_attempts AS newer
            WHERE newer.payment_id = attempt.payment_id AND newer.replaces = attempt.attempt_ref)
    ORDER BY attempt.expires_at LIMIT CAST(:limit AS integer)
""")


def listed_authorizations(*, due_before: datetime | None, limit: int) -> Iterator[str]:
    """One line an authorisation, the nearest end first, with what its payment promises.

    Raises DatabaseUnavailableError.
    """
    for row in execute(_nearest, {"due_before": due_before, "limit": limit}):
        money = f"{show(row.amount, row.currency)} {row.currency}"
        yield (
            f"{show_time(row.expires_at):27}  {money:>15}  {row.provider:8}  {printable(row.attempt_ref) or '-'}  "
            f"payment {row.payment_id}"
        )
