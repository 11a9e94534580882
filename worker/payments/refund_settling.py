"""What operators decide about a refund that is in doubt: it was made, and what the provider calls it, or it was not.

A person has seen that in the provider's dashboard. A refund that was made is recorded as if the provider had confirmed
it, by the same road; what the provider then tells by itself is the same again, or another story that flags the payment.
One that was not made has failed: what it held is free, and it may be asked for once more. A second run of a command is
the same.

What is verified goes before what a person saw: the provider is asked once more, and a webhook that waits may name it.
Nothing is settled while a worker may be sending the refund, and what is settled is not sent any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

import structlog
from sqlalchemy import Connection, text

from checkout_service.database.engine import transaction
from checkout_service.payments.status import RefundStatus
from checkout_service.providers.base import Decline, ProviderRefundEvent, ProviderUnavailableError, UnreadableError
from checkout_service.refunds.settling import waiting_reports
from worker.context import provider
from worker.outstanding import LEASE, looked_up
from worker.payments.settling import NotDoneError, NotYetError
from worker.references import reference as reference_of
from worker.transitions.matching import find
from worker.transitions.outcomes import Outcome, ReceivedEvent, Recorded, received_now
from worker.transitions.recording import record, record_refusal
from worker.unanswered import may_call

NOT_MADE = "not made: an operator saw that"

_lock_payment = text("SELECT provider_ref FROM payments WHERE id = :id FOR NO KEY UPDATE")

# By the clock, and not by the moment at which this transaction began: a claim may have been faster to the row.
# Within a lease's time a worker may be asking the provider to make it, or it is about to be due.
_lock_refund = text("""
    SELECT provider, provider_ref, status::text AS status, amount, currency, in_doubt,
        attempts > 0 AND next_attempt_at > clock_timestamp()
            AND next_attempt_at <= clock_timestamp() + CAST(:lease AS interval) AS may_be_leased,
        (SELECT made.provider_ref FROM refunds AS made
            WHERE made.made_for = refunds.id AND made.status <> 'failed' ORDER BY made.id LIMIT 1) AS made_as
    FROM refunds WHERE id = :id AND payment_id = :payment_id FOR NO KEY UPDATE
""")

_known = text("""
    SELECT provider_ref FROM refunds
    WHERE provider = :provider AND provider_ref = ANY(CAST(:names AS text[]))
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
    made_as: str | None
    """What the provider calls what it made of it, though it has failed here."""


_note_named = text("UPDATE refunds SET named_by_operator = true WHERE id = :id AND provider_ref = :reference")


def settle_made(payment_id: UUID, *, refund_id: UUID, reference: str) -> str:
    """Record that the provider made the refund, and calls it so; what came of it, for the operator.

    Refused where it is in no doubt, the provider names it otherwise, or something else is known by that name. Raises
    NotDoneError, NotYetError while a worker may be asking the provider for it, DatabaseLockedError and
    DatabaseUnavailableError.
    """
    done = f"the refund was made, as {reference}"
    seen = _seen_at_provider(payment_id, refund_id)
    with transaction() as connection:
        refund = _locked(connection, payment_id, refund_id)
        if (refund.status, refund.provider_ref) == (RefundStatus.SUCCEEDED, reference):
            return done
        _in_doubt(refund)
        if reference == refund.payment_ref:
            raise NotDoneError(f"{reference} is the payment, and not the refund")
        if any(event.refund_ref == reference and _contradicts(event, refund, refund_id) for event in seen):
            raise NotDoneError(f"the provider says something else of {reference}: see its dashboard")
        verified = _verified_names(connection, refund, seen)
        if verified and reference not in verified:
            raise NotDoneError(f"the provider names a refund of this amount {' and '.join(verified)}, not {reference}")
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
        connection.execute(_note_named, {"id": refund_id, "reference": reference})
    _follow_up(recorded, refund_id, RefundStatus.SUCCEEDED)
    return done


def fail_refund(payment_id: UUID, *, refund_id: UUID) -> str:
    """End the refund as failed, since the provider did not make it; what came of it, for the operator.

    Refused where it is in no doubt, the provider made it, or names a refund that may be this one. Raises NotDoneError,
    NotYetError while a worker may be asking the provider for it, DatabaseLockedError and DatabaseUnavailableError.
    """
    seen = _seen_at_provider(payment_id, refund_id)
    with transaction() as connection:
        refund = _locked(connection, payment_id, refund_id)
        if refund.status is not RefundStatus.FAILED:
            _in_doubt(refund)
            verified = _verified_names(connection, refund, seen)
            if verified:
                raise NotDoneError(f"the provider names a refund of this amount: {' and '.join(verified)}")
            recorded = record_refusal(
                connection,
                refund_id=refund_id,
                provider=refund.provider,
                provider_ref=refund.payment_ref,
                decline=Decline.NOT_IN_THIS_STATE,
                detail=NOT_MADE,
            )
        elif refund.made_as is not None:
            raise NotDoneError(f"the provider made it all the same, as {refund.made_as}")
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
    if refund.may_be_leased:
        raise NotYetError("a worker may be asking the provider at this moment: it is tried again in a little")


def _seen_at_provider(payment_id: UUID, refund_id: UUID) -> Sequence[ProviderRefundEvent]:
    """The refunds that the provider knows of the payment, once what it says of this one is recorded.

    Nothing where the refund is in no doubt, or the provider does not answer now. Raises as those who call it do.
    """
    with transaction() as connection:
        refund = _locked(connection, payment_id, refund_id)
        if refund.status is not RefundStatus.REQUESTED:
            return ()
        _in_doubt(refund)
    adapter = provider(refund.provider)
    if adapter is None or not may_call(refund.provider):
        return ()
    try:
        answer = looked_up(adapter, reference_of(payment_id))
    except (ProviderUnavailableError, UnreadableError) as error:
        log.warning("refund_settled_without_look_up", refund_id=str(refund_id), error=str(error))
        return ()
    seen = [event for event in answer if isinstance(event, ProviderRefundEvent)]
    if any(event.refund_id == refund_id for event in seen):
        with transaction() as connection:
            recorded = record(connection, received_now(answer))
        recorded.follow_up()
    return seen


def _verified_names(connection: Connection, refund: _Refund, seen: Sequence[ProviderRefundEvent]) -> list[str]:
    """What the provider calls refunds of this amount that are not here yet: one of them may be this one."""
    reports = waiting_reports(
        refund.provider, refund.payment_ref, amount=refund.amount, currency=refund.currency, connection=connection
    )
    unclaimed = [
        event
        for event in seen
        if event.refund_id is None and event.amount in {None, refund.amount} and event.status < RefundStatus.FAILED
    ]
    names = dict.fromkeys([*(report.reference for report in reports), *(event.refund_ref for event in unclaimed)])
    rows = connection.execute(_known, {"provider": refund.provider, "names": list(names)}) if names else ()
    known = {row.provider_ref for row in rows}
    return [name for name in names if name not in known]


def _contradicts(event: ProviderRefundEvent, refund: _Refund, refund_id: UUID) -> bool:
    """Whether what the provider says of this name cannot be said of the refund, were it made."""
    return (
        event.refund_id not in {None, refund_id}
        or event.amount not in {None, refund.amount}
        or event.currency not in {None, refund.currency}
        or event.status is RefundStatus.FAILED
    )


def _follow_up(recorded: Recorded, refund_id: UUID, status: RefundStatus) -> None:
    recorded.follow_up()
    if recorded.refund_moves:
        log.warning("refund_settled_by_operator", refund_id=str(refund_id), status=status.value)
