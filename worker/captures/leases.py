"""Claims captures and voids that are outstanding, and ends them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar, Final
from uuid import UUID

from sqlalchemy import text

from checkout_service.database.engine import transaction
from checkout_service.payments.status import RequestStatus
from checkout_service.providers.base import Decline
from worker.events.sequencer import sequence_events
from worker.outstanding import Kind, Leased, claimed, lock_payment, of_each, plain

# Whether its authorisation is over is read before its provider is asked: what a look-up after that does not name was
# never made. One that another stands in the place of goes on as long as that one.
_claim_capture = text("""
    UPDATE capture_requests AS request SET attempts = attempts + 1, next_attempt_at = now() + :lease
    WHERE id = :id AND status <= 'processing' AND (attempts = 0 OR next_attempt_at <= now())
    RETURNING id, payment_id, provider, status::text AS status, next_attempt_at AS lease, now() - created_at AS age,
        now() - sent_at AS sent_ago, trace_context, in_doubt, attempt_ref, provider_ref, amount, final,
        EXISTS (SELECT FROM payments AS payment
            WHERE payment.id = request.payment_id AND payment.closed IS NOT NULL)
        OR EXISTS (SELECT FROM payment_attempts AS attempt
            WHERE attempt.payment_id = request.payment_id AND attempt.attempt_ref = request.attempt_ref
                AND (attempt.status > 'authorized' OR attempt.rest_released))
        AND NOT EXISTS (SELECT FROM payment_attempts AS newer
            WHERE newer.payment_id = request.payment_id AND newer.replaces = request.attempt_ref
                AND newer.status <= 'authorized' AND NOT newer.rest_released) AS over
""")

# What is to be released: what was authorized when it was asked for, and is open still. Where nothing is left, the void
# is claimed at any time: an event ended it. What was captured to its end was not released, though nothing is open.
_claim_void = text("""
    UPDATE voids AS void SET attempts = void.attempts + 1, next_attempt_at = now() + :lease
    FROM (
        SELECT CASE WHEN payment.closed IS NULL AND payment.amount_authorized > 0 THEN array_agg(
                attempt.attempt_ref ORDER BY attempt.id) FILTER (WHERE attempt.status = 'authorized'
                AND NOT attempt.rest_released AND attempt.amount_presumed IS NULL) END AS open,
            payment.closed IS NOT NULL OR coalesce(bool_or(attempt.updated_at >= own.created_at
                AND (attempt.status > 'authorized' OR attempt.rest_released
                    AND coalesce(attempt.amount_authorized, payment.amount) > coalesce((
                        SELECT sum(capture.amount) FROM captures AS capture WHERE capture.payment_id = payment.id
                            AND capture.attempt_ref = attempt.attempt_ref AND capture.status >= 'succeeded'
                    ), 0))), false) AS released
        FROM voids AS own JOIN payments AS payment ON payment.id = own.payment_id
        LEFT JOIN payment_attempts AS attempt ON attempt.payment_id = payment.id
            AND NOT EXISTS (SELECT FROM payment_attempts AS newer
                WHERE newer.payment_id = payment.id AND newer.replaces = attempt.attempt_ref)
        WHERE own.id = :id GROUP BY payment.id
    ) AS found
    WHERE void.id = :id AND void.status <= 'processing'
        AND (void.attempts = 0 OR void.next_attempt_at <= now() OR found.open IS NULL)
    RETURNING void.id, void.payment_id, void.provider, void.status::text AS status, void.next_attempt_at AS lease,
        now() - void.created_at AS age, now() - void.sent_at AS sent_ago, void.trace_context,
        coalesce(found.open, '{}') AS open, found.released
""")

_END: Final = """
    UPDATE {table} SET status = greatest(status, CAST(:status AS request_status)), decline = :decline, detail = :detail,
        next_attempt_at = CASE WHEN CAST(:status AS request_status) > 'processing' THEN NULL
            ELSE now() + interval '10 minutes' END,
        version = version + 1, updated_at = now()
    WHERE id = :id AND status < CAST(:status AS request_status) AND status <= 'processing'
    RETURNING id
"""


_end = of_each(_END)

# An order may have been canceled for this, whose money then stays where it is.
_fold = text("SELECT FROM payments_fold(ARRAY[CAST(:id AS uuid)])")


@dataclass(frozen=True, slots=True, kw_only=True)
class LeasedCapture(Leased):
    """A capture of ``amount`` of the authorisation ``attempt_ref``; ``final`` releases the rest.

    ``provider_ref`` is the provider's name for it, where that is known. ``over`` tells that the authorisation was open
    no more when this was claimed.
    """

    KIND: ClassVar = Kind.CAPTURE

    attempt_ref: str
    provider_ref: str | None
    amount: Decimal
    final: bool
    over: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LeasedVoid(Leased):
    """A void of the authorisations that are ``open``; ``released`` says that some other is open no more."""

    KIND: ClassVar = Kind.VOID

    open: list[str]
    released: bool


def claim_capture(request_id: UUID) -> LeasedCapture | None:
    """Lease this capture; None when nothing is outstanding now, or another task has it."""
    row = claimed(_claim_capture, request_id)
    return None if row is None else LeasedCapture(**row)


def claim_void(void_id: UUID) -> LeasedVoid | None:
    """Lease this void; None when nothing is outstanding now, or another task has it."""
    row = claimed(_claim_void, void_id)
    return None if row is None else LeasedVoid(**row)


def end(leased: Leased, status: RequestStatus, *, decline: Decline | None = None, detail: str | None = None) -> bool:
    """Move it to this status, unless it is there or past it; whether it moved. ``detail`` is what staff read of it.

    A void that fails may be a reason for a review.
    """
    row = {"id": leased.id, "status": status.value, "decline": None if decline is None else decline.value}
    row["detail"] = None if detail is None else plain(detail)
    with transaction() as connection:
        lock_payment(connection, leased)
        moved = bool(connection.execute(_end[leased.KIND], row).all())
        if moved and leased.KIND is Kind.VOID and status is RequestStatus.FAILED:
            connection.execute(_fold, {"id": leased.payment_id})
    if moved:
        sequence_events()
    return moved
