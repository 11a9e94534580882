"""What operators decide about a refund that is in doubt: it was made, and what the provider calls it, or it was not.

A person has seen that in the provider's dashboard. A refund that was made is recorded as if the provider had confirmed
it, by the same road; what the provider then tells by itself is the same again, or another story that flags the payment.
One that was not made has failed: what it held is free, and it may be asked for once more. A second run of a command is
the same.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

import structlog
from sqlalchemy import Connection, text

from checkout_service.database.engine import transaction
from checkout_service.payments.status import RefundStatus
from checkout_service.providers.base import Decline, ProviderRefundEvent
from worker.outstanding import LEASE
from worker.payments.settling import NotDoneError, NotYetError
from worker.transitions.matching import find
from worker.transitions.outcomes import Outcome, ReceivedEvent, Recorded
from worker.transitions.recording import record, record_refusal

NOT_MADE = "not made: an operator saw that"

_lock_payment = text("SELECT provider_ref FROM payments WHERE id = :id FOR NO KEY UPDATE")

# By the clock, and not by the moment at which this transaction began: a claim may have been faster to the row.
# Within a lease's time a worker may be asking the provider to make it, or it is about to be due.
_lock_refund = text("""
    SELECT provider, provider_ref, status::text AS status, amount, currency, in_doubt,
        attempts > 0 AND next_attempt_at > clock_timestamp()
            AND next_attempt_at <= clock_timestamp() + CAST(:lease AS interval) AS may_be_leased
    FROM refunds WHERE id = :id AND payment_id = :payment_id FOR NO KEY UPDATE
""")

log = structlog.get_logger(__name__)


class _Refund(NamedTuple):
    """A refund under its lock, and what the provider calls its payment."""

    payment_ref: str
    provider: str
    provider_ref: str | None
    status: RefundStatus
    amount: Decimal
    currency: str
    in_doubt: bool
    may_be_leased: bool


def settle_made(payment_id: UUID, *, refund_id: UUID, reference: str) -> str:
    """Record that the provider made the refund, and calls it so; what came of it, for the operator.

    Refused where it is in no doubt, or something else is known by that name. Raises NotDoneError, DatabaseLockedError
    and DatabaseUnavailableError.
    """
    done = f"the refund was made, as {reference}"
    with transaction() as connection:
        refund = _locked(connection, payment_id, refund_id)
        if (refund.status, refund.provider_ref) == (RefundStatus.SUCCEEDED, reference):
            return done
        _in_doubt(refund)
        if reference == refund.payment_ref:
            raise NotDoneError(f"{reference} is the payment, and not the refund")
        event = ProviderRefundEvent(
            provider=refund.provider,
            provider_ref=refund.payment_ref,
            refund_ref=reference,
            event_id="",
            status=RefundStatus.SUCCEEDED,
            amount=refund.amount,
            currency=refund.currency,
            refund_id=refund_id,
        )
        received = [ReceivedEvent(event, datetime.now(UTC))]
        for known in find(connection, received).of(refund.provider, [reference]):
            raise NotDoneError(f"{reference} is the name of something else, of payment {known}")
        recorded = record(connection, received)
        if recorded.effects[0].outcome is not Outcome.APPLIED:
            raise NotDoneError(f"{reference} does not fit what is known of the payment")
    _follow_up(recorded, refund_id, RefundStatus.SUCCEEDED)
    return done


def fail_refund(payment_id: UUID, *, refund_id: UUID) -> str:
    """End the refund as failed, since the provider did not make it; what came of it, for the operator.

    Refused where it is in no doubt. Raises NotDoneError, NotYetError while a worker may be asking the provider for it,
    DatabaseLockedError and DatabaseUnavailableError.
    """
    with transaction() as connection:
        refund = _locked(connection, payment_id, refund_id)
        if refund.status is not RefundStatus.FAILED:
            _in_doubt(refund)
            if refund.may_be_leased:
                raise NotYetError("a worker may be asking the provider at this moment: it is tried again in a little")
            recorded = record_refusal(
                connection,
                refund_id=refund_id,
                provider_ref=refund.payment_ref,
                decline=Decline.NOT_IN_THIS_STATE,
                detail=NOT_MADE,
            )
        else:
            recorded = Recorded()
    _follow_up(recorded, refund_id, RefundStatus.FAILED)
    return "the refund has failed, and holds nothing any more"


def _locked(connection: Connection, payment_id: UUID, refund_id: UUID) -> _Refund:
    """Lock the payment, then the refund. Raises NotDoneError where one of them is not there."""
    payment = connection.execute(_lock_payment, {"id": payment_id}).first()
    if payment is None:
        raise NotDoneError("there is no such payment")
    row = connection.execute(_lock_refund, {"id": refund_id, "payment_id": payment_id, "lease": LEASE}).first()
    if row is None:
        raise NotDoneError("there is no such refund")
    return _Refund(payment.provider_ref, **row._asdict() | {"status": RefundStatus(row.status)})


def _in_doubt(refund: _Refund) -> None:
    """Raises NotDoneError unless only a person can tell what became of it."""
    if refund.status is not RefundStatus.REQUESTED or not refund.in_doubt:
        raise NotDoneError(f"the refund is {refund.status.value}, and not in doubt")


def _follow_up(recorded: Recorded, refund_id: UUID, status: RefundStatus) -> None:
    recorded.follow_up()
    if recorded.refund_moves:
        log.warning("refund_settled_by_operator", refund_id=str(refund_id), status=status.value)
