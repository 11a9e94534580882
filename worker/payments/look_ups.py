"""The tasks ``payments.look_up`` and ``payments.expire``: ask providers about payments that nobody reported on.

Providers are asked outside any transaction; what they answer is recorded like any other event. The first ``cancel``
comes soon after a session's end; what stays open after all is asked about at the intervals of look-ups.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final, NamedTuple
from uuid import UUID

import structlog
from celery import shared_task
from sqlalchemy import text

from checkout_service.database.engine import execute
from checkout_service.database.errors import DatabaseLockedError, DatabaseUnavailableError
from checkout_service.payments.look_up_log import Question
from checkout_service.payments.status import PaymentStatus
from checkout_service.providers.base import Provider, ProviderEvent, ProviderRefusedError, Reference, UnreadableError
from checkout_service.providers.entries import ClosedEntry
from checkout_service.tasks import TaskName
from worker.payments.attempts import give_up_overdue, watch_authorizations
from worker.payments.status_queries import Answer, Ask, StatusQueries

STEP: Final = 20
PAGE: Final = 500

# From one question about an open payment to the next, by the look-ups so far.
_INTERVAL: Final = "least(interval '10 minutes' * power(2, least({look_ups}, 10)), interval '12 hours')"

# Only such a payment is expired by us: nothing came of it, is promised or under way, and nobody has to look at it.
_NOTHING_CAME: Final = """payment.status IN ('pending', 'failed') AND NOT payment.under_way
    AND payment.amount_authorized = 0 AND payment.amount_captured = 0 AND payment.review_reason IS NULL"""

# A claim: the next look-up is set before this one begins, so two runs never ask for the same payment.
_claim_due = text(f"""
    UPDATE payments AS payment SET look_ups = look_ups + 1,
        next_look_up_at = CASE
            WHEN status < 'expired' OR status = 'partially_paid'
                THEN now() + {_INTERVAL.format(look_ups="look_ups + 1")}
            WHEN status < 'paid' AND look_ups = 0 THEN now() + interval '1 day'
            WHEN status < 'paid' AND look_ups = 1 THEN now() + interval '3 days' END
    WHERE id = ANY(ARRAY(
        SELECT id FROM payments WHERE next_look_up_at <= now()
        ORDER BY next_look_up_at LIMIT {STEP} FOR NO KEY UPDATE SKIP LOCKED
    ))
    RETURNING id, provider, status::text AS status,
        {_NOTHING_CAME} AND EXISTS (
            SELECT FROM checkout_sessions AS session
            WHERE session.payment_id = payment.id AND session.expires_at <= now()) AS over
""")  # noqa: S608 (only our own constants)

# Claimed, but the run ended before they were asked about: they stay due, and no look-up is used up.
_give_back = text("""
    UPDATE payments SET look_ups = look_ups - 1, next_look_up_at = now()
    WHERE id = ANY(CAST(:ids AS uuid[])) AND look_ups > 0 AND status < 'paid'
""")

# Canceled in vain: that counts as a look-up, and the next one cancels again.
_leave_to_look_ups = text(f"""
    UPDATE payments SET look_ups = look_ups + 1, next_look_up_at = now() + {_INTERVAL.format(look_ups="look_ups + 1")}
    WHERE id = :id AND status < 'expired'
""")  # noqa: S608 (only our own constants)

# Asked about since its session's end, as the time of the next look-up tells, a payment is left to the look-ups.
_page_of_open = text(f"""
    SELECT payment.id, payment.provider, payment.created_at,
        coalesce(session.expires_at <= now(), false) AND {_NOTHING_CAME} AND (
            payment.look_ups = 0 OR payment.next_look_up_at IS NULL
            OR payment.next_look_up_at - {_INTERVAL.format(look_ups="payment.look_ups")} < session.expires_at
        ) AS expired,
        coalesce(session.expires_at > now(), false) AS fresh
    FROM payments AS payment LEFT JOIN checkout_sessions AS session ON session.payment_id = payment.id
    WHERE payment.status = CAST(:status AS payment_status)
        AND (payment.created_at, payment.id) > (:created_at, :id)
    ORDER BY payment.created_at, payment.id LIMIT {PAGE}
""")  # noqa: S608 (only our own constants)


class _DuePayment(NamedTuple):
    """A payment whose look-up is due. ``over``: its session ended, and nobody has to look at it."""

    id: UUID
    provider: str
    status: str
    over: bool


class _OpenPayment(NamedTuple):
    """An open payment. ``expired``: it is to be canceled now; ``fresh``: its session goes on."""

    id: UUID
    provider: str
    created_at: datetime
    expired: bool
    fresh: bool


class _Cursor(NamedTuple):
    """How far a walk along the oldest payments came."""

    created_at: datetime
    id: UUID


log = structlog.get_logger(__name__)


@shared_task(name=TaskName.LOOK_UP_PAYMENTS)
def look_up() -> str:
    """Ask the providers about payments that are due for it, and record what they answer."""
    queries = StatusQueries()
    try:
        while queries.may_go_on():
            due = list(map(_DuePayment._make, execute(_claim_due)))
            full = len(due) == STEP
            while due and queries.may_go_on():
                payment = due.pop(0)
                question, ask = _question_about(payment)
                queries.ask(payment.id, provider=payment.provider, question=question, ask=ask)
            if due:
                execute(_give_back, {"ids": [payment.id for payment in due]})
            if not full:
                break
        queries.record_delayed()
    except DatabaseUnavailableError:
        log.warning("database_unavailable")
    return queries.summary()


def look_up_now(payment_id: UUID, *, provider: str, status: PaymentStatus) -> str:
    """Ask about one payment because an operator wants to know, and record the answer; nothing is canceled.

    Returns the answer in words. Raises DatabaseUnavailableError.
    """
    queries = StatusQueries()
    queries.ask(payment_id, provider=provider, question=Question.LOOK_UP, ask=_looking_up(status))
    queries.record_delayed()
    return queries.last_answer


@shared_task(name=TaskName.EXPIRE_PAYMENTS)
def expire() -> str:
    """Cancel payments at their provider whose session is over, and record what became of them.

    Only where nothing came, is authorized or under way: that is waited for. A flagged payment is a person's to decide.
    Attempts that are past their time are looked up a last time, and given up; authorisations that end soon are logged.
    """
    queries = StatusQueries()
    try:
        for status in (PaymentStatus.PENDING, PaymentStatus.FAILED):
            begin = _walked.pop(status, _OLDEST)
            if _expire_from(queries, status, begin) and begin != _OLDEST:
                _expire_from(queries, status, _OLDEST)
        give_up_overdue(queries)
        watch_authorizations(queries)
        queries.record_delayed()
    except DatabaseUnavailableError:
        log.warning("database_unavailable")
    return queries.summary()


_OLDEST: Final = _Cursor(datetime.min.replace(tzinfo=UTC), UUID(int=0))
_walked: dict[PaymentStatus, _Cursor] = {}
"""How far this process came when a run ended early: a few payments at the head of the walk, about which no provider
ever answers, must not stand before all others."""


def _expire_from(queries: StatusQueries, status: PaymentStatus, cursor: _Cursor) -> bool:
    """Walk on from a cursor; whether the walk came to the end.

    Sessions end about as they began, so the first page of fresh ones is the end.
    """
    while queries.may_go_on():
        page = list(map(_OpenPayment._make, execute(_page_of_open, {"status": status.value, **cursor._asdict()})))
        for payment in page:
            if not queries.may_go_on():
                break
            cursor = _Cursor(payment.created_at, payment.id)
            if payment.expired and queries.ask(
                payment.id, provider=payment.provider, question=Question.CANCEL, ask=_expire
            ):
                with suppress(DatabaseLockedError):  # then the next run asks again
                    execute(_leave_to_look_ups, {"id": payment.id})
        else:
            if len(page) < PAGE or all(payment.fresh for payment in page):
                return True
    _walked[status] = cursor
    return False


def _question_about(payment: _DuePayment) -> tuple[Question, Ask]:
    """What a provider is asked when a look-up is due: to cancel the payment after all, if its time is over."""
    if payment.over:
        return Question.CANCEL, _expire
    return Question.LOOK_UP, _looking_up(PaymentStatus(payment.status))


def _looking_up(status: PaymentStatus) -> Ask:
    if status is PaymentStatus.EXPIRED:
        # Most likely we canceled it ourselves, so that the provider has another word for what it is here.
        return lambda adapter, reference: _canceled_by_us(adapter.look_up(reference))
    return lambda adapter, reference: adapter.look_up(reference)


def _expire(adapter: Provider, reference: Reference) -> Answer:
    """Cancel a payment because its time is over; what became of it."""
    try:
        answer = adapter.cancel(reference)
    except (ProviderRefusedError, UnreadableError):
        answer = adapter.look_up(reference)
    return _canceled_by_us(answer)


def _canceled_by_us(answer: Answer) -> Answer:
    """The same events, but canceled by us means expired."""
    return [
        replace(
            item,
            status=PaymentStatus.EXPIRED if item.status is PaymentStatus.CANCELED else item.status,
            event_id=_renamed(item.event_id),
            entries=[
                ClosedEntry(status=PaymentStatus.EXPIRED) if entry == _CANCELED else entry for entry in item.entries
            ],
        )
        if isinstance(item, ProviderEvent) and (item.status is PaymentStatus.CANCELED or _CANCELED in item.entries)
        else item
        for item in answer
    ]


def _renamed(event_id: str) -> str:
    """The id of the event when it says expired: it is another one than that of a plain look-up."""
    renamed = event_id.replace(":canceled:", ":expired:")
    return f"{event_id}:expired" if event_id and renamed == event_id else renamed


_CANCELED: Final = ClosedEntry(status=PaymentStatus.CANCELED)
