"""Claims captures and voids that staff asked for, and writes down how far each is. A claim is a lease.

Whoever updates one locks its payment first: that is the order of locks, and a trigger of the first sending locks the
payment again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import TextClause, text

from checkout_service.database.engine import execute, transaction
from checkout_service.payments.status import RequestStatus
from checkout_service.providers.base import Decline
from worker.backoff import jittered

LEASE: Final = timedelta(seconds=90)
"""Longer than the tasks' hard time limit (75 s): nobody claims a request whose worker may still be alive."""

SOONEST: Final = {RequestStatus.REQUESTED: timedelta(seconds=5), RequestStatus.PROCESSING: timedelta(minutes=10)}
LATEST: Final = {RequestStatus.REQUESTED: timedelta(minutes=15), RequestStatus.PROCESSING: timedelta(hours=12)}


class Kind(StrEnum):
    """What was asked for: the table of it."""

    CAPTURE = "capture_requests"
    VOID = "voids"


# Whether its authorisation is over is read before its provider is asked: what a look-up after that does not name was
# never made. One that another stands in the place of goes on as long as that one.
_claim_capture = text("""
    UPDATE capture_requests AS request SET attempts = attempts + 1, next_attempt_at = now() + :lease
    WHERE id = :id AND status <= 'processing' AND (attempts = 0 OR next_attempt_at <= now())
    RETURNING id, payment_id, provider, status::text AS status, next_attempt_at AS lease, now() - created_at AS age,
        now() - sent_at AS sent_ago, attempt_ref, provider_ref, amount, final,
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
        now() - void.created_at AS age, now() - void.sent_at AS sent_ago, coalesce(found.open, '{}') AS open,
        found.released
""")

_lock_payment = text("SELECT FROM payments WHERE id = :payment_id FOR NO KEY UPDATE")

# Before the provider is asked. The first time of a capture the trigger capture_requests_check_cover
# (migrations/entries/requests.sql) looks whether there still is cover.
_NOTE_SENT: Final = """
    UPDATE {table} SET sent_at = coalesce(sent_at, now())
    WHERE id = :id AND status = 'requested' AND next_attempt_at = :lease
    RETURNING id
"""

# Only where the claim still holds, and nobody has moved it on meanwhile.
_PUT_OFF: Final = """
    UPDATE {table} SET next_attempt_at = now() + :delay, detail = :detail,
        sent_at = CASE WHEN CAST(:unasked AS boolean) THEN NULL ELSE sent_at END
    WHERE id = :id AND status <= 'processing' AND next_attempt_at = :lease
"""

_DOUBT: Final = text("UPDATE capture_requests SET in_doubt = true WHERE id = :id AND status <= 'processing'")

_END: Final = """
    UPDATE {table} SET status = greatest(status, CAST(:status AS request_status)), decline = :decline, detail = NULL,
        next_attempt_at = CASE WHEN CAST(:status AS request_status) > 'processing' THEN NULL
            ELSE now() + interval '10 minutes' END,
        version = version + 1, updated_at = now()
    WHERE id = :id AND status < CAST(:status AS request_status) AND status <= 'processing'
    RETURNING id
"""


def _of_each(statement: str) -> Mapping[Kind, TextClause]:
    return {kind: text(statement.format(table=kind.value)) for kind in Kind}


_note_sent, _put_off, _end = _of_each(_NOTE_SENT), _of_each(_PUT_OFF), _of_each(_END)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leased:
    """A request under lease. ``sent_ago`` is the time since its provider was asked for it first, if it ever was."""

    id: UUID
    payment_id: UUID
    provider: str
    status: RequestStatus
    lease: datetime
    age: timedelta
    sent_ago: timedelta | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeasedCapture(Leased):
    """A capture of ``amount`` of the authorisation ``attempt_ref``; ``final`` releases the rest.

    ``provider_ref`` is the provider's name for it, where that is known. ``over`` tells that the authorisation was open
    no more when this was claimed.
    """

    attempt_ref: str
    provider_ref: str | None
    amount: Decimal
    final: bool
    over: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LeasedVoid(Leased):
    """A void of the authorisations that are ``open``; ``released`` says that some other is open no more."""

    open: list[str]
    released: bool


def claim_capture(request_id: UUID) -> LeasedCapture | None:
    """Lease this capture; None when nothing is outstanding now, or another task has it."""
    row = _claimed(_claim_capture, request_id)
    return None if row is None else LeasedCapture(**row)


def claim_void(void_id: UUID) -> LeasedVoid | None:
    """Lease this void; None when nothing is outstanding now, or another task has it."""
    row = _claimed(_claim_void, void_id)
    return None if row is None else LeasedVoid(**row)


def note_sent(kind: Kind, leased: Leased) -> bool:
    """Write down that its provider is about to be asked; False when the lease is over, so that it must not be.

    Raises Conflict when it would be the first time, and there is no cover any more.
    """
    with transaction() as connection:
        connection.execute(_lock_payment, {"payment_id": leased.payment_id})
        return bool(connection.execute(_note_sent[kind], {"id": leased.id, "lease": leased.lease}).all())


def put_off(
    kind: Kind, leased: Leased, detail: str | None, *, least: timedelta = timedelta(0), unasked: bool = False
) -> str:
    """Put the next try off; the delay doubles by itself, being as long as the request is old.

    ``unasked`` tells that the provider did not look at what it was asked for and never was before.
    """
    delay = max(least, min(max(leased.age, SOONEST[leased.status]), LATEST[leased.status]))
    plain = None if detail is None else detail[:300].encode("unicode_escape").decode()
    row = {"id": leased.id, "lease": leased.lease, "unasked": unasked}
    execute(_put_off[kind], row | {"delay": jittered(delay), "detail": plain})
    return f"later: {detail or 'still processing'}"


def doubt(leased: LeasedCapture) -> str:
    """Write down that only a person can find out what became of it, and put the next look off."""
    execute(_DOUBT, {"id": leased.id})
    detail = "in doubt: see in the provider's dashboard whether it was made"
    return put_off(Kind.CAPTURE, leased, detail, least=timedelta(hours=1))


def end(kind: Kind, leased: Leased, status: RequestStatus, *, decline: Decline | None = None) -> bool:
    """Move it to this status, unless it is there or past it; whether it moved."""
    row = {"id": leased.id, "status": status.value, "decline": None if decline is None else decline.value}
    with transaction() as connection:
        connection.execute(_lock_payment, {"payment_id": leased.payment_id})
        return bool(connection.execute(_end[kind], row).all())


def _claimed(statement: TextClause, request_id: UUID) -> dict[str, Any] | None:
    rows = execute(statement, {"id": request_id, "lease": LEASE})
    if not rows:
        return None
    row: dict[str, Any] = rows[0]._asdict()
    return row | {"status": RequestStatus(row["status"])}
