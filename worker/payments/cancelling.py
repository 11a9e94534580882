"""The task ``payments.cancel``: cancels a payment at its provider because somebody requested it.

Unlike an expiry, what the provider then answers is kept as it is: ``canceled``.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

import structlog
from celery import shared_task
from sqlalchemy import text

from checkout_service.database.engine import execute
from checkout_service.database.errors import DatabaseUnavailableError
from checkout_service.payments.look_up_log import Question
from checkout_service.providers.base import Provider, ProviderRefusedError, Reference, UnreadableError
from checkout_service.tasks import TaskName
from checkout_service.telemetry import tracing
from worker.payments.status_queries import Answer, Inquiry, StatusQueries
from worker.unanswered import may_call

LEASE: Final = timedelta(seconds=90)
"""Longer than the task's hard time limit (75 s)."""

TRY_FOR: Final = timedelta(hours=72)
"""After that the payment is left to its look-ups, and to the end of its session, which cancels it once more."""

# A payment that is closed by now needs nobody to cancel it.
_claim = text("""
    UPDATE cancel_requests AS request SET attempts = attempts + 1, next_attempt_at = now() + :lease
    FROM payments AS payment
    WHERE request.payment_id = :id AND payment.id = request.payment_id AND request.next_attempt_at IS NOT NULL
        AND (request.attempts = 0 OR request.next_attempt_at <= now())
    RETURNING payment.id, payment.provider, payment.status < 'expired' AND payment.amount_captured = 0 AS open,
        payment.under_way OR payment.amount_authorized > 0 AS promised, request.next_attempt_at AS lease,
        request.trace_context
""")

# The delay doubles by itself, being as long as the request is old.
_settle = text("""
    UPDATE cancel_requests AS request
    SET next_attempt_at = CASE WHEN payment.status < 'expired' AND request.created_at > now() - :try_for
            THEN now() + least(greatest(now() - request.created_at, interval '5 seconds'), interval '1 hour') END,
        detail = CASE WHEN payment.status < 'expired' THEN 'the payment is still ' ELSE 'the payment is ' END
            || payment.status::text,
        updated_at = now()
    FROM payments AS payment
    WHERE request.payment_id = :id AND payment.id = request.payment_id AND request.next_attempt_at = :lease
    RETURNING request.detail
""")


class _LeasedRequest(NamedTuple):
    """A request under lease, of a payment that may be ``open``; ``promised``: money is under way or authorized."""

    payment_id: UUID
    provider: str
    open: bool
    promised: bool
    lease: datetime
    trace_context: str | None


log = structlog.get_logger(__name__)


@shared_task(name=TaskName.CANCEL_PAYMENT)
def cancel(payment_id: str) -> str:
    """Cancel this payment, if somebody requested that and it is still open; run it again at any time."""
    try:
        rows = execute(_claim, {"id": UUID(payment_id), "lease": LEASE})
        if not rows:
            return "nothing is requested of it now"
        leased = _LeasedRequest._make(rows[0])
        # What is under way is waited for: its end may be that money came. What is authorized staff void.
        if leased.open and not leased.promised and may_call(leased.provider):
            queries = StatusQueries()
            payment, question = leased.payment_id, Question.CANCEL
            attributes: tracing.Attributes = {tracing.Attribute.PROVIDER: leased.provider}
            context = leased.trace_context
            with tracing.of_row("cancel request", tracing.Kind.INTERNAL, attributes, context=context):
                queries.ask(Inquiry(payment_id=payment, provider=leased.provider, question=question, ask=_cancel))
                queries.record_delayed()
        settled = execute(_settle, {"id": leased.payment_id, "lease": leased.lease, "try_for": TRY_FOR})
        return str(settled[0].detail) if settled else "another task has it"
    except DatabaseUnavailableError:
        log.warning("database_unavailable", payment_id=payment_id)
        return "the database is unavailable; the sweep sends this task again"


def _cancel(adapter: Provider, reference: Reference) -> Answer:
    """What became of it; where canceling is refused or not understood, what the provider knows."""
    try:
        return adapter.cancel(reference)
    except (ProviderRefusedError, UnreadableError):
        return adapter.look_up(reference)
