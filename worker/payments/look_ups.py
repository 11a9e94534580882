"""The tasks ``payments.look_up`` and ``payments.expire``: asks providers about payments that nobody reported on.

Providers are asked outside any transaction; what they say goes into the transitions like any other event. The first
``cancel`` comes soon after a session's end; what stays open after all is asked about at the intervals of look-ups.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import structlog
from celery import shared_task
from sqlalchemy import text

from checkout_service.database.engine import execute
from checkout_service.database.errors import DatabaseLockedError, DatabaseUnavailableError
from checkout_service.payments.status import PaymentStatus
from checkout_service.providers.base import (
    Provider,
    ProviderEvent,
    ProviderRefundEvent,
    ProviderRefusedError,
    Reference,
    UnreadableError,
)
from checkout_service.tasks import TaskName
from worker.payments.provider_queries import Run

Question = Callable[[Provider, Reference], Sequence[ProviderEvent | ProviderRefundEvent]]

STEP: Final = 20
PAGE: Final = 500

# From one question about an open payment to the next, by how many there were.
_INTERVAL: Final = "least(interval '10 minutes' * power(2, least({asked}, 10)), interval '12 hours')"

# A claim: the next look-up is set before this one begins, so two runs never ask for the same payment.
_claim_due = text(f"""
    UPDATE payments SET look_ups = look_ups + 1,
        next_look_up_at = CASE
            WHEN status < 'expired' THEN now() + {_INTERVAL.format(asked="look_ups + 1")}
            WHEN status < 'paid' AND look_ups = 0 THEN now() + interval '1 day'
            WHEN status < 'paid' AND look_ups = 1 THEN now() + interval '3 days' END
    WHERE id = ANY(ARRAY(
        SELECT id FROM payments WHERE next_look_up_at <= now()
        ORDER BY next_look_up_at LIMIT {STEP} FOR NO KEY UPDATE SKIP LOCKED
    ))
    RETURNING id, provider, provider_ref, status::text AS status,
        status IN ('pending', 'failed') AND review_reason IS NULL AND EXISTS (
            SELECT FROM checkout_sessions AS session
            WHERE session.payment_id = payments.id AND session.expires_at <= now()) AS over
""")  # noqa: S608 (only our own constants)

# Claimed, but the run ended before they were asked about: they stay due, and no look-up is used up.
_give_back = text("""
    UPDATE payments SET look_ups = look_ups - 1, next_look_up_at = now()
    WHERE id = ANY(CAST(:ids AS uuid[])) AND look_ups > 0 AND status < 'paid'
""")

# Canceled in vain: that counts as a look-up, and the next one cancels again.
_leave_to_look_ups = text(f"""
    UPDATE payments SET look_ups = look_ups + 1, next_look_up_at = now() + {_INTERVAL.format(asked="look_ups + 1")}
    WHERE id = :id AND status < 'expired'
""")  # noqa: S608 (only our own constants)

# Asked about since its session's end, as the time of the next look-up tells, a payment is left to the look-ups.
_page_of_open = text(f"""
    SELECT payment.id, payment.provider, payment.provider_ref, payment.created_at,
        coalesce(session.expires_at <= now(), false) AND payment.review_reason IS NULL AND (
            payment.look_ups = 0 OR payment.next_look_up_at IS NULL
            OR payment.next_look_up_at - {_INTERVAL.format(asked="payment.look_ups")} < session.expires_at) AS expired,
        coalesce(session.expires_at > now(), false) AS fresh
    FROM payments AS payment LEFT JOIN checkout_sessions AS session ON session.payment_id = payment.id
    WHERE payment.status = CAST(:status AS payment_status)
        AND (payment.created_at, payment.id) > (:created_at, :id)
    ORDER BY payment.created_at, payment.id LIMIT {PAGE}
""")  # noqa: S608 (only our own constants)

log = structlog.get_logger(__name__)


@shared_task(name=TaskName.LOOK_UP_PAYMENTS)
def look_up() -> str:
    """Ask the providers about payments that are due for it, and record what they say."""
    run = Run()
    try:
        while run.goes_on():
            due = list(execute(_claim_due))
            full = len(due) == STEP
            while due and run.goes_on():
                row = due.pop(0)
                run.ask(row, *_question(row))
            if due:
                execute(_give_back, {"ids": [row.id for row in due]})
            if not full:
                break
        run.record_held()
    except DatabaseUnavailableError:
        log.warning("database_unavailable")
    return run.summary()


@shared_task(name=TaskName.EXPIRE_PAYMENTS)
def expire() -> str:
    """Cancel payments at their provider whose session is over, and record what became of them.

    Only ``pending`` and ``failed`` ones: money under way is waited for. A flagged payment is a person's to decide.
    """
    run = Run()
    try:
        for status in (PaymentStatus.PENDING, PaymentStatus.FAILED):
            begin = _walked.pop(status, _OLDEST)
            if _expire_from(run, status, begin) and begin != _OLDEST:
                _expire_from(run, status, _OLDEST)
        run.record_held()
    except DatabaseUnavailableError:
        log.warning("database_unavailable")
    return run.summary()


_OLDEST: Final = (datetime.min.replace(tzinfo=UTC), UUID(int=0))
_walked: dict[PaymentStatus, tuple[datetime, UUID]] = {}
"""How far this process came when a run ended early: a few payments at the head of the walk, about which no provider
ever answers, must not stand before all others."""


def _expire_from(run: Run, status: PaymentStatus, place: tuple[datetime, UUID]) -> bool:
    """Walk on from a place; whether the run came to the end.

    Sessions end about as they began, so the first page of fresh ones is the end.
    """
    while run.goes_on():
        page = execute(_page_of_open, {"status": status.value, "created_at": place[0], "id": place[1]})
        for row in page:
            if not run.goes_on():
                break
            place = (row.created_at, row.id)
            if row.expired and run.ask(row, "cancel", _cancel):
                with suppress(DatabaseLockedError):  # then the next run asks again
                    execute(_leave_to_look_ups, {"id": row.id})
        else:
            if len(page) < PAGE or all(row.fresh for row in page):
                return True
    _walked[status] = place
    return False


def look_up_now(run: Run, row: Any) -> str:
    """Ask about one payment because an operator wants to know, and return what was said; nothing is canceled."""
    run.ask(row, "look-up", _looking_up(row))
    return run.last_said


def _question(row: Any) -> tuple[str, Question]:
    """What a payment whose look-up is due is asked: to be canceled after all, if its time is over."""
    if row.over:
        return "cancel", _cancel
    return "look-up", _looking_up(row)


def _looking_up(row: Any) -> Question:
    if row.status == PaymentStatus.EXPIRED.value:
        # Most likely we canceled it ourselves, so that the provider has another word for what it is here.
        return lambda asked, reference: _canceled_by_us(asked.look_up(reference))
    return lambda asked, reference: asked.look_up(reference)


def _cancel(asked: Provider, reference: Reference) -> Sequence[ProviderEvent | ProviderRefundEvent]:
    """What became of a payment that we cancel because its time is over."""
    try:
        said = asked.cancel(reference)
    except (ProviderRefusedError, UnreadableError):
        said = asked.look_up(reference)
    return _canceled_by_us(said)


def _canceled_by_us(
    said: Sequence[ProviderEvent | ProviderRefundEvent],
) -> Sequence[ProviderEvent | ProviderRefundEvent]:
    """The same events, but canceled by us means expired."""
    return [
        replace(item, status=PaymentStatus.EXPIRED, event_id=item.event_id.replace(":canceled:", ":expired:"))
        if isinstance(item, ProviderEvent) and item.status is PaymentStatus.CANCELED
        else item
        for item in said
    ]
