"""What operators decide about payments: an amount is accepted, reasons were seen, a capture failed, who has the order.

The first two are entries, and what the payment is follows by the fold. A second run of a command is the same.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final, NamedTuple
from uuid import UUID

import structlog
from sqlalchemy import Connection, text

from checkout_service.database.engine import transaction
from checkout_service.payments.status import RequestStatus
from checkout_service.providers.base import Decline
from checkout_service.telemetry.metrics import capture_requests_failed_total
from worker.events.sequencer import sequence_events
from worker.outstanding import LEASE
from worker.transitions.outcomes import follow_up, moves_of

# Before the payment: an order may follow. A payment never changes its reference.
_lock_cart = text(
    "SELECT carts_lock_for_payments(ARRAY[provider], ARRAY[provider_ref])::text FROM payments "
    "WHERE id = CAST(:id AS uuid)"
)

# It takes its locks by itself: cart, payments, order, holds, counters.
_take_over = text("SELECT done, message FROM order_take_over(CAST(:id AS uuid))")

_lock = text("SELECT review_reason, version, provider FROM payments WHERE id = :id FOR NO KEY UPDATE")

_accept = text("""
    INSERT INTO payment_acceptances (payment_id, amount, operator, why, command_id)
    SELECT :id, CAST(:amount AS numeric), operator, why, id FROM audit WHERE id = :command_id
    ON CONFLICT (command_id) DO NOTHING
""")

_done_before = text("SELECT FROM payment_reviews WHERE payment_id = :id AND command_id = :command_id LIMIT 1")

# With the amounts of now: under the payment's lock they are those that the operator saw, or the version is another.
_note_seen = text("""
    INSERT INTO payment_reviews (payment_id, reason, amounts, command_id)
    SELECT found.payment_id, found.reason, found.amounts, :command_id
    FROM payment_reasons(ARRAY(SELECT summed FROM payment_sums(ARRAY[CAST(:id AS uuid)]) AS summed)) AS found
    ON CONFLICT (payment_id, reason, amounts) DO NOTHING
""")

# Only what a person was to look at; a webhook may have ended it.
_fail_capture = text(f"""
    UPDATE capture_requests SET status = 'failed', decline = '{Decline.NOT_IN_THIS_STATE.value}',
        next_attempt_at = NULL, detail = 'not made: an operator saw that', version = version + 1, updated_at = now()
    WHERE id = :id AND payment_id = :payment_id AND status <= 'processing' AND in_doubt
    RETURNING provider
""")  # noqa: S608 (only our own constants)

# By the clock, and not by the moment at which this transaction began: a claim may have been faster to the row.
_capture = text("""
    SELECT status::text AS status, in_doubt, attempts > 0 AND next_attempt_at > clock_timestamp()
        AND next_attempt_at <= clock_timestamp() + CAST(:lease AS interval) AS may_be_leased
    FROM capture_requests WHERE id = :id AND payment_id = :payment_id FOR NO KEY UPDATE
""")

_fold = text("SELECT status_from, status_to FROM payments_fold(ARRAY[CAST(:id AS uuid)])")

log = structlog.get_logger(__name__)

MOVED: Final = "the payment moved since: look at it again"


class NotDoneError(Exception):
    """It cannot be done; the message says why, for the operator."""


class NotYetError(Exception):
    """It cannot be done at this moment, and may be in a little while; the message says why, for the operator."""


def accept_amount(payment_id: UUID, *, amount: Decimal, command_id: UUID) -> str:
    """Accept ``amount``, of the payment's currency, in place of its own; what came of it, for the operator.

    Raises NotDoneError, DatabaseLockedError and DatabaseUnavailableError.
    """
    with transaction() as connection:
        connection.execute(_lock_cart, {"id": payment_id})
        provider = _locked(connection, payment_id).provider
        connection.execute(_accept, {"id": payment_id, "amount": amount, "command_id": command_id})
        moves = moves_of(provider, connection.execute(_fold, {"id": payment_id}))
        reasons = _locked(connection, payment_id).reasons
    follow_up(moves)
    return f"{amount} was accepted" + (f"; what is left to look at: {reasons}" if reasons else "")


def note_seen(payment_id: UUID, *, reasons: str, version: int | None, command_id: UUID) -> str:
    """Note that these reasons were seen; what came of it, for the operator.

    Refused where the reasons, or with a ``version`` anything of the payment, are others by now. Raises NotDoneError,
    DatabaseLockedError and DatabaseUnavailableError.
    """
    with transaction() as connection:
        found, now, _ = _locked(connection, payment_id)
        if connection.execute(_done_before, {"id": payment_id, "command_id": command_id}).first() is not None:
            return f"{reasons} was seen"
        if found is None:
            return "no reason is left"
        if found != reasons or version not in {None, now}:
            raise NotDoneError(MOVED)
        connection.execute(_note_seen, {"id": payment_id, "command_id": command_id})
        connection.execute(_fold, {"id": payment_id})
    return f"{reasons} was seen"


def fail_capture(payment_id: UUID, *, request_id: UUID) -> str:
    """End a capture that is in doubt as failed, since it was not made; what came of it, for the operator.

    Raises NotDoneError, NotYetError while a worker may be asking the provider about it, DatabaseLockedError and
    DatabaseUnavailableError.
    """
    names = {"id": request_id, "payment_id": payment_id}
    with transaction() as connection:
        _locked(connection, payment_id)
        found = connection.execute(_capture, names | {"lease": LEASE}).first()
        if found is None:
            raise NotDoneError("there is no such capture")
        if found.status != RequestStatus.FAILED.value and found.in_doubt and found.may_be_leased:
            raise NotYetError("a worker may be asking the provider at this moment: it is tried again in a little")
        ended = connection.execute(_fail_capture, names).first()
    if ended is not None:
        capture_requests_failed_total.labels(ended.provider, Decline.NOT_IN_THIS_STATE.value).inc()
        log.warning("capture_failed_by_operator", request_id=str(request_id))
    elif found.status != RequestStatus.FAILED.value:
        raise NotDoneError(f"the capture is {found.status}, and not in doubt")
    return "the capture has failed, and holds nothing any more"


def take_over(payment_id: UUID) -> str:
    """Give this payment the order of another one for the same filling of the cart; what came of it, for the operator.

    Refused where there is none, where too little money came, or where something of it was fulfilled or given back by
    line. Raises NotDoneError, DatabaseLockedError and DatabaseUnavailableError.
    """
    with transaction() as connection:
        done, message = connection.execute(_take_over, {"id": payment_id}).one()
    if not done:
        raise NotDoneError(message)
    sequence_events()
    return str(message)


class _Locked(NamedTuple):
    """A payment under its lock."""

    reasons: str | None
    version: int
    provider: str


def _locked(connection: Connection, payment_id: UUID) -> _Locked:
    """Lock the payment. Raises NotDoneError if there is none."""
    row = connection.execute(_lock, {"id": payment_id}).first()
    if row is None:
        raise NotDoneError("there is no such payment")
    return _Locked._make(row)
