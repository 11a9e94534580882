"""The task ``payments.cancel``: cancels a payment at its provider because somebody requested it.

Unlike an expiry, what the provider then answers is kept as it is: ``canceled``.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

import structlog
from celery import shared_task
from sqlalchemy import text

from checkout_service.database.engine import execute, transaction
from checkout_service.database.errors import DatabaseUnavailableError
from checkout_service.payments.look_up_log import Question
from checkout_service.payments.status import PaymentStatus
from checkout_service.providers.base import Provider, ProviderRefusedError, Reference, UnreadableError
from checkout_service.publishing.publisher import QueueUnavailableError, task_queue
from checkout_service.tasks import TaskName
from checkout_service.telemetry import tracing
from worker.payments.settling import NotDoneError
from worker.payments.status_queries import Answer, Inquiry, StatusQueries
from worker.unanswered import may_call

LEASE: Final = timedelta(seconds=90)
"""Longer than the task's hard time limit (75 s)."""

TRY_FOR: Final = timedelta(hours=72)
"""After that the payment is left to its look-ups, to the end of its session, which cancels it once more, and to an
operator, who may have it tried again."""

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
    SET next_attempt_at = CASE
            WHEN payment.status < 'expired' AND coalesce(request.revived_at, request.created_at) > now() - :try_for
            THEN now() + least(greatest(now() - coalesce(request.revived_at, request.created_at),
                interval '5 seconds'), interval '1 hour') END,
        detail = CASE WHEN payment.status < 'expired' THEN 'the payment is still ' ELSE 'the payment is ' END
            || payment.status::text,
        updated_at = now()
    FROM payments AS payment
    WHERE request.payment_id = :id AND payment.id = request.payment_id AND request.next_attempt_at = :lease
    RETURNING request.detail
""")


_lock = text("SELECT status::text AS status FROM payments WHERE id = :id FOR NO KEY UPDATE")

# One that goes on is left as it is, with its lease.
_request = text("""
    INSERT INTO cancel_requests AS request (payment_id, requested_by) VALUES (:id, :requested_by)
    ON CONFLICT (payment_id) DO UPDATE SET next_attempt_at = now(), revived_at = now(), updated_at = now()
        WHERE request.next_attempt_at IS NULL
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


def request_cancellation(payment_id: UUID, *, requested_by: UUID) -> str:
    """Have this payment canceled, once more where that was given up; what came of it, for the operator.

    Raises NotDoneError where it is not open, DatabaseLockedError and DatabaseUnavailableError.
    """
    with transaction() as connection:
        found = connection.execute(_lock, {"id": payment_id}).first()
        if found is None:
            raise NotDoneError("there is no such payment")
        status = PaymentStatus(found.status)
        if not status.open or status is PaymentStatus.AUTHORIZED:
            raise NotDoneError(f"the payment is {status.value}: only one that is open can be canceled")
        connection.execute(_request, {"id": payment_id, "requested_by": requested_by})
    with suppress(QueueUnavailableError):  # the sweep finds it without
        task_queue().enqueue(TaskName.CANCEL_PAYMENT, str(payment_id))
    return "its provider is asked to cancel it"


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
