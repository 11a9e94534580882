"""The task ``payments.void``: claim, ask the provider to release what is authorized, record.

It is done once nothing is open any more of what was authorized when it was asked for, by whatever event. To release
twice does no harm, so it is asked for again at any time, with the same key.
"""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID, uuid5

import structlog
from celery import shared_task

from checkout_service.database.engine import transaction
from checkout_service.payments.status import RequestStatus
from checkout_service.providers.base import Decline, Provider, ProviderRefusedError
from checkout_service.tasks import TaskName
from checkout_service.telemetry import tracing
from worker.captures.leases import LeasedVoid, claim_void, end
from worker.outstanding import Answer, looked_up, note_sent, put_off, see_to, take
from worker.references import reference
from worker.transitions.outcomes import received_now
from worker.transitions.recording import record

log = structlog.get_logger(__name__)


@shared_task(name=TaskName.VOID_PAYMENT)
def void(void_id: str) -> str:
    """Have this released, or see what became of it, if that is leased now; run it again at any time."""
    return take(void_id, claim_void, _work)


def _work(leased: LeasedVoid) -> str:
    if not leased.open:
        return _over(leased)
    return see_to(leased, lambda adapter: _ask(leased, adapter), refused=lambda error: _refused(leased, error))


def _ask(leased: LeasedVoid, adapter: Provider) -> str:
    """Ask to release each authorisation, or what became of them where they were released before."""
    held = reference(leased.payment_id)
    if leased.status is RequestStatus.PROCESSING:
        _record(looked_up(adapter, held))
        return put_off(leased, None)
    note_sent(leased)
    for attempt_ref in leased.open:
        named = replace(held, attempt_ref=attempt_ref or None)
        with tracing.calling(leased.provider, tracing.Call.VOID):
            answer = adapter.void(named, void_id=_key(leased, attempt_ref))
        _record(answer)
    end(leased, RequestStatus.PROCESSING)
    # The answer may have told already that nothing is open any more; else an event will.
    again = claim_void(leased.id)
    return "processing" if again is None else _work(again)


def _key(leased: LeasedVoid, attempt_ref: str) -> UUID:
    """The provider's idempotency key: the void's id, or one made of it where it takes several calls."""
    return leased.id if len(leased.open) == 1 else uuid5(leased.id, attempt_ref)


def _record(events: Answer) -> None:
    if events:
        with transaction() as connection:
            recorded = record(connection, received_now(events))
        recorded.follow_up()


def _over(leased: LeasedVoid) -> str:
    """Nothing is open any more: it was released, or it was captured before."""
    if leased.released:
        end(leased, RequestStatus.SUCCEEDED)
        return RequestStatus.SUCCEEDED.value
    gone = "nothing was open any more: it was captured, or the payment was paid"
    end(leased, RequestStatus.FAILED, decline=Decline.NOT_IN_THIS_STATE, detail=gone)
    return f"refused: {Decline.NOT_IN_THIS_STATE.value}"


def _refused(leased: LeasedVoid, error: ProviderRefusedError) -> str:
    if end(leased, RequestStatus.FAILED, decline=error.reason, detail=error.answer):
        log.warning("void_refused", void_id=str(leased.id), reason=error.reason.value)
    return f"refused: {error.reason.value}"
