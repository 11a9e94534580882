"""The task ``payments.void``: claim, ask the provider to release what is authorized, record.

It is done once nothing is open any more of what was authorized when it was asked for, by whatever event. To release
twice does no harm, so it is asked for again at any time, with the same key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID, uuid5

import structlog
from celery import shared_task

from checkout_service.database.engine import transaction
from checkout_service.database.errors import DatabaseLockedError, DatabaseUnavailableError
from checkout_service.payments.status import RequestStatus
from checkout_service.providers.base import (
    Decline,
    Provider,
    ProviderEvent,
    ProviderRefundEvent,
    ProviderRefusedError,
    ProviderUnavailableError,
    UnreadableError,
)
from checkout_service.tasks import TaskName
from worker.backoff import describe
from worker.captures.leases import Kind, LeasedVoid, claim_void, end, note_sent, put_off
from worker.context import provider
from worker.references import reference
from worker.transitions.outcomes import received_now
from worker.transitions.recording import record

log = structlog.get_logger(__name__)


@shared_task(name=TaskName.VOID_PAYMENT)
def void(void_id: str) -> str:
    """Have this released, or see what became of it, if that is leased now; run it again at any time."""
    try:
        leased = claim_void(UUID(void_id))
        return "nothing is outstanding now" if leased is None else _work(leased)
    except DatabaseLockedError:
        return "another transaction holds its payment; the sweep sends this task again"
    except DatabaseUnavailableError:
        log.warning("database_unavailable", void_id=void_id)
        return "the database is unavailable; the sweep sends this task again"


def _work(leased: LeasedVoid) -> str:
    if not leased.open:
        return _over(leased)
    adapter = provider(leased.provider)
    if adapter is None:
        return put_off(Kind.VOID, leased, "no account at this provider is set up")
    try:
        return _ask(leased, adapter)
    except ProviderUnavailableError as error:
        return put_off(Kind.VOID, leased, f"unavailable: {error}")
    except ProviderRefusedError as error:
        if error.reason is Decline.CREDENTIALS:  # ours to mend, and until then the provider is as good as away
            never = leased.sent_ago is None
            return put_off(Kind.VOID, leased, f"our credentials are refused: {error}", unasked=never)
        return _refused(leased, error)
    except UnreadableError as error:
        return put_off(Kind.VOID, leased, f"not understood: {error}")
    except (DatabaseLockedError, DatabaseUnavailableError):
        raise
    except Exception as error:
        log.exception("void_broke", void_id=str(leased.id))
        return put_off(Kind.VOID, leased, f"broke: {describe(error)}")


def _ask(leased: LeasedVoid, adapter: Provider) -> str:
    """Ask to release each authorisation, or what became of them where they were released before."""
    held = reference(leased.payment_id)
    if leased.status is RequestStatus.PROCESSING:
        try:
            _record(adapter.look_up(held))
        except ProviderRefusedError as error:
            raise UnreadableError(f"a look-up was refused: {error}") from error
        return put_off(Kind.VOID, leased, None)
    if not note_sent(Kind.VOID, leased):
        raise ProviderUnavailableError("not asked: its lease is over, another task has it")
    for attempt_ref in leased.open:
        named = replace(held, attempt_ref=attempt_ref or None)
        _record(adapter.void(named, void_id=_key(leased, attempt_ref)))
    end(Kind.VOID, leased, RequestStatus.PROCESSING)
    # The answer may have told already that nothing is open any more; else an event will.
    again = claim_void(leased.id)
    return "processing" if again is None else _work(again)


def _key(leased: LeasedVoid, attempt_ref: str) -> UUID:
    """The provider's idempotency key: the void's id, or one made of it where it takes several calls."""
    return leased.id if len(leased.open) == 1 else uuid5(leased.id, attempt_ref)


def _record(events: Sequence[ProviderEvent | ProviderRefundEvent]) -> None:
    if events:
        with transaction() as connection:
            recorded = record(connection, received_now(events))
        recorded.count()


def _over(leased: LeasedVoid) -> str:
    """Nothing is open any more: it was released, or it was captured before."""
    if leased.released:
        end(Kind.VOID, leased, RequestStatus.SUCCEEDED)
        return RequestStatus.SUCCEEDED.value
    end(Kind.VOID, leased, RequestStatus.FAILED, decline=Decline.NOT_IN_THIS_STATE)
    return f"refused: {Decline.NOT_IN_THIS_STATE.value}"


def _refused(leased: LeasedVoid, error: ProviderRefusedError) -> str:
    if end(Kind.VOID, leased, RequestStatus.FAILED, decline=error.reason):
        log.warning("void_refused", void_id=str(leased.id), reason=error.reason.value)
    return f"refused: {error.reason.value}"
