"""The task ``payments.refund``: claim, ask the provider, record.

A refund that is requested is asked for once; one that is processing is looked up. It ends by an event about it, in
worker/transitions.
"""

from __future__ import annotations

from dataclasses import replace

import structlog
from celery import shared_task

from checkout_service.database.engine import transaction
from checkout_service.payments.status import RequestStatus
from checkout_service.providers.base import Provider, ProviderRefundEvent, ProviderRefusedError, Reference
from checkout_service.tasks import TaskName
from checkout_service.telemetry import tracing
from worker.outstanding import Answer, looked_up, make_once, plain, put_off, see_to, take
from worker.references import reference
from worker.refunds.leases import LeasedRefund, claim
from worker.transitions.outcomes import Outcome, received_now
from worker.transitions.recording import record, record_refusal

log = structlog.get_logger(__name__)


@shared_task(name=TaskName.REFUND_PAYMENT)
def refund(refund_id: str) -> str:
    """Ask for this refund, or about it, if that is leased now; run it again at any time.

    Raises InDoubtError when only a person can tell what became of it.
    """
    return take(refund_id, claim, _work)


def _work(leased: LeasedRefund) -> str:
    held = _of_source(leased, reference(leased.payment_id))
    return see_to(
        leased,
        lambda adapter: _record(leased, _ask(leased, adapter, held)),
        refused=lambda error: _refused(leased, held, error),
    )


def _ask(leased: LeasedRefund, adapter: Provider, held: Reference) -> Answer:
    """What the provider says when it is asked for the refund, or about it where that is all we may do."""
    if leased.status is RequestStatus.PROCESSING:
        return looked_up(adapter, held)
    return make_once(
        leased,
        lambda: _named(leased, _refund(leased, adapter, held)),
        sought=lambda otherwise: _sought(leased, adapter, held, otherwise),
    )


def _refund(leased: LeasedRefund, adapter: Provider, held: Reference) -> Answer:
    with tracing.calling(leased.provider, tracing.Call.REFUND):
        return adapter.refund(held, refund_id=leased.id, amount=leased.amount, reason=leased.reason)


def _of_source(leased: LeasedRefund, held: Reference) -> Reference:
    """What we know of the payment, with the provider's names of what this refund is of."""
    if leased.capture_ref is None and leased.attempt_ref is None:
        return held
    return replace(held, capture_ref=leased.capture_ref, attempt_ref=leased.attempt_ref or None)


def _sought(leased: LeasedRefund, adapter: Provider, held: Reference, otherwise: Exception) -> Answer:
    """What a look-up says, if the refund is among it; else raises what is given."""
    events = looked_up(adapter, held)
    if any(isinstance(event, ProviderRefundEvent) and event.refund_id == leased.id for event in events):
        return events
    raise otherwise


def _named(leased: LeasedRefund, events: Answer) -> Answer:
    """The same events; the only one about a refund is about ours, even if the provider does not give our id back."""
    refunds = [event for event in events if isinstance(event, ProviderRefundEvent)]
    if len(refunds) != 1 or refunds[0].refund_id is not None:
        return events
    ours = replace(refunds[0], refund_id=leased.id)
    return [ours if event is refunds[0] else event for event in events]


def _record(leased: LeasedRefund, events: Answer) -> str:
    """One transaction for the events; the next try is put off if they leave anything leased."""
    with transaction() as connection:
        recorded = record(connection, received_now(events))
    recorded.follow_up()
    refunds = [
        (event, effect.outcome)
        for event, effect in zip(events, recorded.effects, strict=True)
        if isinstance(event, ProviderRefundEvent)
    ]
    if any(outcome is Outcome.MISMATCH for _, outcome in refunds):
        return put_off(leased, "the provider speaks of another amount, currency or reference: see the payment")
    silent = leased.status is RequestStatus.REQUESTED and not refunds
    later = put_off(leased, "the provider says nothing about it" if silent else None)
    return ", ".join(event.status.value for event, _ in refunds) or later


def _refused(leased: LeasedRefund, held: Reference, error: ProviderRefusedError) -> str:
    with transaction() as connection:
        recorded = record_refusal(
            connection,
            refund_id=leased.id,
            provider=leased.provider,
            provider_ref=held.provider_ref,
            decline=error.reason,
            detail=plain(error.answer),
        )
    recorded.follow_up()
    if recorded.refund_moves:
        log.warning("refund_refused", refund_id=str(leased.id), reason=error.reason.value, answer=plain(error.answer))
    return f"refused: {error.reason.value}"
