"""The task ``payments.refund``: claim, ask the provider, record.

A refund that is requested is asked for, with its id as the provider's idempotency key; one that is processing is
looked up. Killed anywhere it is claimed again when its lease ends, and asks with the same key. A key is not kept for
ever: when the first try is long ago, the provider is only asked what it knows, since asking again might give twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

import structlog
from celery import shared_task
from sqlalchemy import text

from checkout_service.database import execute, transaction
from checkout_service.metrics import refunds_total
from checkout_service.payments.status import PaymentStatus, RefundStatus
from checkout_service.problems import DatabaseLocked, DatabaseUnavailable
from checkout_service.providers.base import (
    Decline,
    Fact,
    Provider,
    ProviderRefusedError,
    ProviderUnavailableError,
    Reference,
    RefundFact,
    UnreadableError,
)
from checkout_service.queue import TaskName
from worker.context import provider
from worker.outcomes import Outcome
from worker.references import reference
from worker.refund_ledger import count_refunds, record_all, refuse
from worker.reports import of_answer
from worker.verdicts import describe, jittered

LEASE: Final = timedelta(seconds=90)
"""Longer than the task's hard time limit (75 s): nobody claims a refund whose worker may still be alive."""

ASK_AGAIN_FOR: Final = timedelta(hours=20)
ASK_AGAIN_AT: Final = {"mollie": timedelta(minutes=45)}
"""Since the first try, below the time that a provider keeps a key: an hour at Mollie, 24 at Stripe, else longer."""

SOONEST: Final = {RefundStatus.REQUESTED: timedelta(seconds=5), RefundStatus.PROCESSING: timedelta(minutes=10)}
LATEST: Final = {RefundStatus.REQUESTED: timedelta(minutes=15), RefundStatus.PROCESSING: timedelta(hours=12)}

_claim = text("""
    UPDATE refunds SET attempts = attempts + 1, first_attempt_at = coalesce(first_attempt_at, now()),
        next_attempt_at = now() + :lease
    WHERE id = :id AND status <= 'processing' AND (attempts = 0 OR next_attempt_at <= now())
    RETURNING id, payment_id, provider, amount, reason, status::text AS status, attempts, next_attempt_at AS lease,
        now() - first_attempt_at AS age,
        (SELECT payment.status::text FROM payments AS payment WHERE payment.id = payment_id) AS payment_status
""")

# Only where the claim still holds, and nobody has moved it on meanwhile.
_put_off = text("""
    UPDATE refunds SET next_attempt_at = now() + :delay, detail = :detail
    WHERE id = :id AND status <= 'processing' AND next_attempt_at = :lease
""")

log = structlog.get_logger(__name__)


class RefundInDoubtError(Exception):
    """Nobody knows whether the provider made it, and to ask again might make it twice: a person has to look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """A refund under lease. ``age`` is the time since it was asked for first."""

    id: UUID
    payment_id: UUID
    provider: str
    amount: Decimal
    reason: str | None
    status: RefundStatus
    attempts: int
    lease: datetime
    age: timedelta
    payment_status: PaymentStatus


@shared_task(name=TaskName.REFUND_PAYMENT)
def refund(refund_id: str) -> str:
    """Ask for this refund, or about it, if that is owed now; run it again at any time.

    Raises RefundInDoubtError when only a person can tell what became of it.
    """
    try:
        rows = execute(_claim, {"id": UUID(refund_id), "lease": LEASE})
        if not rows:
            return "nothing is owed to it now"
        claimed = rows[0]._asdict()
        return _work(
            Owed(
                **claimed
                | {
                    "status": RefundStatus(claimed["status"]),
                    "payment_status": PaymentStatus(claimed["payment_status"]),
                }
            )
        )
    except DatabaseLocked:
        return "its payment is held by another; the sweep rings again"
    except DatabaseUnavailable:
        log.warning("database_unavailable", refund_id=refund_id)
        return "the database is unavailable; the sweep rings again"


def _work(owed: Owed) -> str:
    asked = provider(owed.provider)
    if asked is None:
        return _later(owed, "no account at this provider is set up")
    held = reference(owed.payment_id)
    try:
        return _record(owed, _ask(owed, asked, held))
    except ProviderUnavailableError as error:
        return _later(owed, f"unavailable: {error}")
    except ProviderRefusedError as error:
        if error.reason is Decline.CREDENTIALS:  # ours to mend, and until then the provider is as good as away
            return _later(owed, f"our credentials are refused: {error}")
        return _refused(owed, held, error)
    except UnreadableError as error:
        return _later(owed, f"not understood: {error}")
    except RefundInDoubtError:
        _later(owed, "in doubt: see in the provider's dashboard whether it was made", least=timedelta(hours=1))
        raise
    except (DatabaseLocked, DatabaseUnavailable):
        raise
    except Exception as error:
        log.exception("refund_broke", refund_id=str(owed.id))
        return _later(owed, f"broke: {describe(error)}")


def _ask(owed: Owed, asked: Provider, held: Reference) -> Sequence[Fact | RefundFact]:
    """What the provider says when it is asked for the refund, or about it where that is all we may do."""
    if owed.status is RefundStatus.PROCESSING:
        return _looked_up(asked, held)
    first = owed.attempts == 1
    if first and owed.payment_status is not PaymentStatus.PAID:
        raise ProviderRefusedError("the money went before it was asked for", reason=Decline.NOT_IN_THIS_STATE)
    if owed.age > ASK_AGAIN_AT.get(owed.provider, ASK_AGAIN_FOR) or owed.payment_status is not PaymentStatus.PAID:
        return _sought(owed, asked, held, otherwise=RefundInDoubtError(f"refund {owed.id}"))
    try:
        return _named(owed, asked.refund(held, refund_id=owed.id, amount=owed.amount, reason=owed.reason))
    except ProviderRefusedError as error:
        if error.reason is Decline.KEY_REUSED:
            return _sought(owed, asked, held, otherwise=RefundInDoubtError(f"refund {owed.id}: {error}"))
        if first or error.reason is Decline.CREDENTIALS:
            raise
        # A key that was kept would have got the first try's answer. To be sure, it is looked for all the same.
        return _sought(owed, asked, held, otherwise=error)
    except UnreadableError as error:
        return _sought(owed, asked, held, otherwise=error)


def _looked_up(asked: Provider, held: Reference) -> Sequence[Fact | RefundFact]:
    try:
        return asked.look_up(held)
    except ProviderRefusedError as error:
        # It was the question that was refused, not the refund.
        raise UnreadableError(f"a look-up was refused: {error}") from error


def _sought(owed: Owed, asked: Provider, held: Reference, *, otherwise: Exception) -> Sequence[Fact | RefundFact]:
    """What a look-up says, if the refund is among it; else raises what is given."""
    said = _looked_up(asked, held)
    if any(isinstance(fact, RefundFact) and fact.refund_id == owed.id for fact in said):
        return said
    raise otherwise


def _named(owed: Owed, said: Sequence[Fact | RefundFact]) -> Sequence[Fact | RefundFact]:
    """The same facts; the only one about a refund is about ours, even if the provider does not give our id back."""
    refunds = [fact for fact in said if isinstance(fact, RefundFact)]
    if len(refunds) != 1 or refunds[0].refund_id is not None:
        return said
    return [replace(fact, refund_id=owed.id) if isinstance(fact, RefundFact) else fact for fact in said]


def _record(owed: Owed, said: Sequence[Fact | RefundFact]) -> str:
    """One transaction for the facts; the next try is put off if they leave anything owed."""
    reports, refunds = of_answer(said)
    with transaction() as connection:
        _, entered = record_all(connection, reports, refunds)
    count_refunds(refunds, entered)
    if any(entry.outcome is Outcome.MISMATCH for entry in entered):
        return _later(owed, "the provider speaks of another amount, currency or reference: see the payment")
    silent = owed.status is RefundStatus.REQUESTED and not refunds
    later = _later(owed, "the provider says nothing about it" if silent else None)
    return ", ".join(report.fact.status.value for report in refunds) or later


def _refused(owed: Owed, held: Reference, error: ProviderRefusedError) -> str:
    with transaction() as connection:
        news = refuse(connection, refund_id=owed.id, provider_ref=held.provider_ref, decline=error.reason)
    if news:
        refunds_total.labels(owed.provider, RefundStatus.FAILED.value).inc()
        log.warning("refund_refused", refund_id=str(owed.id), reason=error.reason.value)
    return f"refused: {error.reason.value}"


def _later(owed: Owed, detail: str | None, *, least: timedelta = timedelta(0)) -> str:
    """Put the next try off; the delay doubles by itself, being as long as the first try is ago."""
    delay = max(least, min(max(owed.age, SOONEST[owed.status]), LATEST[owed.status]))
    plain = None if detail is None else detail[:300].encode("unicode_escape").decode()
    execute(_put_off, {"id": owed.id, "lease": owed.lease, "delay": jittered(delay), "detail": plain})
    return f"later: {detail or 'still processing'}"
