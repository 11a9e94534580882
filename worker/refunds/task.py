"""The task ``payments.refund``: claim, ask the provider, record.

A refund that is requested is asked for, with its id as the provider's idempotency key; one that is processing is
looked up. Killed anywhere it is claimed again when its lease ends, and asks with the same key. A key is not kept for
ever: when the first try is long ago, the provider is only asked what it knows, since asking again might give twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog
from celery import shared_task

from checkout_service.database.engine import Conflict, transaction
from checkout_service.database.errors import DatabaseLockedError, DatabaseUnavailableError
from checkout_service.payments.status import RefundStatus
from checkout_service.providers.base import (
    Decline,
    Provider,
    ProviderEvent,
    ProviderRefundEvent,
    ProviderRefusedError,
    ProviderUnavailableError,
    Reference,
    UnreadableError,
)
from checkout_service.tasks import TaskName
from worker.backoff import describe
from worker.context import provider
from worker.references import reference
from worker.refunds.leases import LeasedRefund, claim, note_sent, put_off
from worker.transitions.outcomes import Outcome, received_now
from worker.transitions.recording import record, record_refusal

ASK_AGAIN_FOR: Final = timedelta(hours=20)
"""Since it was asked for first. Stripe keeps a key for 24 hours at least, PayPal for 45 days; where nothing is promised
(Mollie) the provider adapter looks for the refund each time before it asks."""

log = structlog.get_logger(__name__)


class RefundInDoubtError(Exception):
    """Nobody knows whether the provider made it, and to ask again might make it twice: a person has to look."""


@shared_task(name=TaskName.REFUND_PAYMENT)
def refund(refund_id: str) -> str:
    """Ask for this refund, or about it, if that is leased now; run it again at any time.

    Raises RefundInDoubtError when only a person can tell what became of it.
    """
    try:
        leased = claim(UUID(refund_id))
        return "nothing is outstanding now" if leased is None else _work(leased)
    except DatabaseLockedError:
        return "another transaction holds its payment; the sweep sends this task again"
    except DatabaseUnavailableError:
        log.warning("database_unavailable", refund_id=refund_id)
        return "the database is unavailable; the sweep sends this task again"


def _work(leased: LeasedRefund) -> str:
    adapter = provider(leased.provider)
    if adapter is None:
        return put_off(leased, "no account at this provider is set up")
    held = _of_source(leased, reference(leased.payment_id))
    try:
        return _record(leased, _ask(leased, adapter, held))
    except ProviderUnavailableError as error:
        return put_off(leased, f"unavailable: {error}")
    except ProviderRefusedError as error:
        if error.reason is Decline.CREDENTIALS:  # ours to mend, and until then the provider is as good as away
            return put_off(leased, f"our credentials are refused: {error}", unasked=leased.sent_ago is None)
        return _refused(leased, held, error)
    except UnreadableError as error:
        return put_off(leased, f"not understood: {error}")
    except RefundInDoubtError:
        detail = "in doubt: see in the provider's dashboard whether it was made"
        put_off(leased, detail, least=timedelta(hours=1), in_doubt=True)
        raise
    except (DatabaseLockedError, DatabaseUnavailableError):
        raise
    except Exception as error:
        log.exception("refund_broke", refund_id=str(leased.id))
        return put_off(leased, f"broke: {describe(error)}")


def _ask(leased: LeasedRefund, adapter: Provider, held: Reference) -> Sequence[ProviderEvent | ProviderRefundEvent]:
    """What the provider says when it is asked for the refund, or about it where that is all we may do."""
    if leased.status is RefundStatus.PROCESSING:
        return _looked_up(adapter, held)
    first = leased.sent_ago is None
    too_late = leased.sent_ago is not None and leased.sent_ago > ASK_AGAIN_FOR
    if too_late:
        return _sought(leased, adapter, held, otherwise=RefundInDoubtError(f"refund {leased.id}"))
    try:
        covered = note_sent(leased)
    except Conflict as error:
        raise ProviderRefusedError(
            "the money went before it was asked for", reason=Decline.NOT_IN_THIS_STATE
        ) from error
    if covered is None:
        raise ProviderUnavailableError("not asked: its lease is over, another task has it")
    if not covered:
        # Without cover a first try that never arrived must not be made up for.
        return _sought(leased, adapter, held, otherwise=RefundInDoubtError(f"refund {leased.id}"))
    try:
        return _named(leased, adapter.refund(held, refund_id=leased.id, amount=leased.amount, reason=leased.reason))
    except ProviderRefusedError as error:
        if error.reason is Decline.KEY_REUSED:
            return _sought(leased, adapter, held, otherwise=RefundInDoubtError(f"refund {leased.id}: {error}"))
        if first or error.reason is Decline.CREDENTIALS:
            raise
        # A key that was kept would have got the first try's answer. To be sure, it is looked for all the same.
        return _sought(leased, adapter, held, otherwise=error)
    except UnreadableError as error:
        return _sought(leased, adapter, held, otherwise=error)


def _of_source(leased: LeasedRefund, held: Reference) -> Reference:
    """What we know of the payment, with the provider's names of what this refund is of."""
    if leased.capture_ref is None and leased.attempt_ref is None:
        return held
    return replace(held, capture_ref=leased.capture_ref, attempt_ref=leased.attempt_ref or None)


def _looked_up(adapter: Provider, held: Reference) -> Sequence[ProviderEvent | ProviderRefundEvent]:
    try:
        return adapter.look_up(held)
    except ProviderRefusedError as error:
        # It was the question that was refused, not the refund.
        raise UnreadableError(f"a look-up was refused: {error}") from error


def _sought(
    leased: LeasedRefund, adapter: Provider, held: Reference, *, otherwise: Exception
) -> Sequence[ProviderEvent | ProviderRefundEvent]:
    """What a look-up says, if the refund is among it; else raises what is given."""
    events = _looked_up(adapter, held)
    if any(isinstance(event, ProviderRefundEvent) and event.refund_id == leased.id for event in events):
        return events
    raise otherwise


def _named(
    leased: LeasedRefund, events: Sequence[ProviderEvent | ProviderRefundEvent]
) -> Sequence[ProviderEvent | ProviderRefundEvent]:
    """The same events; the only one about a refund is about ours, even if the provider does not give our id back."""
    refunds = [event for event in events if isinstance(event, ProviderRefundEvent)]
    if len(refunds) != 1 or refunds[0].refund_id is not None:
        return events
    ours = replace(refunds[0], refund_id=leased.id)
    return [ours if event is refunds[0] else event for event in events]


def _record(leased: LeasedRefund, events: Sequence[ProviderEvent | ProviderRefundEvent]) -> str:
    """One transaction for the events; the next try is put off if they leave anything leased."""
    with transaction() as connection:
        recorded = record(connection, received_now(events))
    recorded.count()
    refunds = [
        (event, effect.outcome)
        for event, effect in zip(events, recorded.effects, strict=True)
        if isinstance(event, ProviderRefundEvent)
    ]
    if any(outcome is Outcome.MISMATCH for _, outcome in refunds):
        return put_off(leased, "the provider speaks of another amount, currency or reference: see the payment")
    silent = leased.status is RefundStatus.REQUESTED and not refunds
    later = put_off(leased, "the provider says nothing about it" if silent else None)
    return ", ".join(event.status.value for event, _ in refunds) or later


def _refused(leased: LeasedRefund, held: Reference, error: ProviderRefusedError) -> str:
    with transaction() as connection:
        recorded = record_refusal(connection, refund_id=leased.id, provider_ref=held.provider_ref, decline=error.reason)
    recorded.count()
    if recorded.refund_moves:
        log.warning("refund_refused", refund_id=str(leased.id), reason=error.reason.value)
    return f"refused: {error.reason.value}"
