"""The tasks ``payments.look_up`` and ``payments.expire``: ask providers about payments that nobody reported on.

Providers are asked outside any transaction; what they answer is recorded like any other event. The first ``cancel``
comes soon after a session's end; what stays open after all is asked about at the intervals of look-ups.

Nobody's payments stand before another's: each provider has a lane of its own, and within it customers take turns.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
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
from worker.payments import restored
from worker.payments.attempts import OverdueAttempts, ended_authorizations
from worker.payments.lanes import ask_in_lanes, in_turns
from worker.payments.status_queries import Answer, Ask, Inquiry, StatusQueries

STEP: Final = 20
"""Payments of one provider that are claimed at a time."""

OLDEST_DUE: Final = 5_000
"""Due payments of one provider among which customers take turns: some 10 ms to look through. So many no customer has,
within the bounds of what one may open; what is due beyond them comes when they are done."""

PAGE: Final = 500

WINDOW: Final = 20_000
"""Payments to expire among which customers take turns."""

IN_VAIN: Final = 10_000
"""Payments that are remembered because their provider was away when it was to cancel them."""

# From one question about an open payment to the next, by the look-ups so far.
_INTERVAL: Final = "least(interval '10 minutes' * power(2, least({look_ups}, 10)), interval '12 hours')"

# Only such a payment is expired by us: nothing came of it, is promised or under way, and nobody has to look at it.
_NOTHING_CAME: Final = """payment.status IN ('pending', 'failed') AND NOT payment.under_way
    AND payment.amount_authorized = 0 AND payment.amount_captured = 0 AND payment.review_reason IS NULL"""

# A claim: the next look-up is set before this one begins, so two runs never ask for the same payment. Providers are
# found one by one along the index; of each, customers' first payments go before anybody's second.
_claim_due = text(f"""
    WITH RECURSIVE names AS (
        SELECT min(provider) AS name FROM payments WHERE next_look_up_at IS NOT NULL
        UNION ALL
        SELECT (SELECT min(provider) FROM payments WHERE next_look_up_at IS NOT NULL AND provider > names.name)
        FROM names WHERE names.name IS NOT NULL
    ), due AS (
        SELECT own.id, own.place
        FROM names CROSS JOIN LATERAL (
            SELECT ranked.id, row_number() OVER (ORDER BY ranked.turn, ranked.next_look_up_at, ranked.id) AS place
            FROM (
                SELECT oldest.id, oldest.next_look_up_at, row_number() OVER (
                    PARTITION BY oldest.user_id ORDER BY oldest.next_look_up_at, oldest.id) AS turn
                FROM (
                    SELECT id, user_id, next_look_up_at FROM payments
                    WHERE provider = names.name AND next_look_up_at <= now()
                    ORDER BY next_look_up_at LIMIT {OLDEST_DUE}
                ) AS oldest
            ) AS ranked
            ORDER BY ranked.turn, ranked.next_look_up_at, ranked.id LIMIT {STEP}
        ) AS own
        WHERE names.name IS NOT NULL
            AND (CAST(:providers AS text[]) IS NULL OR names.name = ANY(CAST(:providers AS text[])))
    ), claimed AS (
        SELECT payment.id, due.place FROM payments AS payment JOIN due ON due.id = payment.id
        WHERE payment.next_look_up_at <= now() FOR NO KEY UPDATE OF payment SKIP LOCKED
    )
    UPDATE payments AS payment SET look_ups = look_ups + 1,
        next_look_up_at = CASE
            WHEN status < 'expired' OR status = 'partially_paid'
                THEN now() + {_INTERVAL.format(look_ups="look_ups + 1")}
            WHEN status < 'paid' AND look_ups = 0 THEN now() + interval '1 day'
            WHEN status < 'paid' AND look_ups = 1 THEN now() + interval '3 days' END
    FROM claimed WHERE payment.id = claimed.id
    RETURNING payment.id, payment.provider, payment.status::text AS status,
        {_NOTHING_CAME} AND EXISTS (
            SELECT FROM checkout_sessions AS session
            WHERE session.payment_id = payment.id AND session.expires_at <= now()) AS over, claimed.place
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
    SELECT payment.id, payment.provider, payment.user_id, payment.created_at,
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
    """A payment whose look-up is due. ``over``: its session ended, and nobody has to look at it.

    ``place`` is its turn among its provider's, from 1.
    """

    id: UUID
    provider: str
    status: str
    over: bool
    place: int


class _OpenPayment(NamedTuple):
    """An open payment. ``expired``: it is to be canceled now; ``fresh``: its session goes on."""

    id: UUID
    provider: str
    user_id: UUID
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
        left = ask_in_lanes(queries, claim=_claim)
        if left:
            execute(_give_back, {"ids": [inquiry.payment_id for inquiry in left if not inquiry.after_restore]})
            restored.give_back([inquiry.payment_id for inquiry in left if inquiry.after_restore])
        queries.record_delayed()
    except DatabaseUnavailableError:
        log.warning("database_unavailable")
    return queries.summary()


def look_up_now(payment_id: UUID, *, provider: str, status: PaymentStatus) -> str:
    """Ask about one payment because an operator wants to know, and record the answer; nothing is canceled.

    Returns the answer in words. Raises DatabaseUnavailableError.
    """
    queries = StatusQueries()
    question, ask = Question.LOOK_UP, _looking_up(status)
    queries.ask(Inquiry(payment_id=payment_id, provider=provider, question=question, ask=ask, after_restore=True))
    queries.record_delayed()
    return queries.last_answer


@shared_task(name=TaskName.EXPIRE_PAYMENTS)
def expire() -> str:
    """Cancel payments at their provider whose session is over, and record what became of them.

    Only where nothing came, is authorized or under way: that is waited for. A flagged payment is a person's to decide.
    Attempts that are past their time are looked up a last time, and given up; authorisations that end soon are logged.
    """
    queries = StatusQueries()
    overdue = OverdueAttempts()
    try:
        others: list[_Turn] = [*overdue.inquiries(), *ended_authorizations()]
        for fresh, in_vain in _windows(queries):
            turns = [*in_turns([*others, *fresh], _whose), *in_vain]
            ask_in_lanes(queries, [inquiry for _, inquiry in turns])
            others = []
        queries.record_delayed()
        overdue.give_up()
    except DatabaseUnavailableError:
        log.warning("database_unavailable")
    return queries.summary()


_Turn = tuple[UUID, Inquiry]
"""An inquiry, and the customer whose turn it takes."""

_OLDEST: Final = _Cursor(datetime.min.replace(tzinfo=UTC), UUID(int=0))

_in_vain: OrderedDict[UUID, None] = OrderedDict()
"""Payments that this process was to cancel while their provider was away, those of the last run at the end. A few about
which no provider ever answers must not stand before all others, so they come last."""


def _whose(turn: _Turn) -> tuple[str, UUID]:
    customer, inquiry = turn
    return inquiry.provider, customer


def _windows(queries: StatusQueries) -> Iterator[tuple[list[_Turn], list[_Turn]]]:
    """The payments to expire, the oldest of them first, as many at a time as customers take turns among.

    Apart from them those that were to be canceled in vain before, the longest ago first.
    """
    window: list[_OpenPayment] = []
    for payment in _expired(queries):
        if queries.patience(payment.provider):
            window.append(payment)
        if len(window) == WINDOW:
            yield _parted(window)
            window = []
    yield _parted(window)


def _parted(window: Sequence[_OpenPayment]) -> tuple[list[_Turn], list[_Turn]]:
    turns = {payment.id: (payment.user_id, _expiry_of(payment)) for payment in window}
    in_vain = [turns.pop(payment_id) for payment_id in _in_vain if payment_id in turns]
    return list(turns.values()), in_vain


def _expired(queries: StatusQueries) -> Iterator[_OpenPayment]:
    """Walk along the open payments of either status.

    Sessions end about as they began, so the first page of fresh ones is the end.
    """
    for status in (PaymentStatus.PENDING, PaymentStatus.FAILED):
        cursor, full = _OLDEST, True
        while full and queries.may_go_on():
            page = list(map(_OpenPayment._make, execute(_page_of_open, {"status": status.value, **cursor._asdict()})))
            yield from (payment for payment in page if payment.expired)
            full = len(page) == PAGE and not all(payment.fresh for payment in page)
            if page:
                cursor = _Cursor(page[-1].created_at, page[-1].id)


def _expiry_of(payment: _OpenPayment) -> Inquiry:
    return Inquiry(
        payment_id=payment.id,
        provider=payment.provider,
        question=Question.CANCEL,
        ask=_expire,
        then=partial(_answered, payment.id),
        in_vain=partial(_note_in_vain, payment.id),
    )


def _answered(payment_id: UUID) -> None:
    """An expired payment is closed by now; what is open after all is left to the look-ups."""
    _in_vain.pop(payment_id, None)
    with suppress(DatabaseLockedError):  # then the next run asks again
        execute(_leave_to_look_ups, {"id": payment_id})


def _note_in_vain(payment_id: UUID) -> None:
    _in_vain[payment_id] = None
    _in_vain.move_to_end(payment_id)
    while len(_in_vain) > IN_VAIN:
        _in_vain.popitem(last=False)


def _claim(providers: Sequence[str] | None) -> list[Inquiry]:
    """Claim payments that are due at these providers, or at all; in turns. Behind them those that a restore left."""
    parameters = {"providers": None if providers is None else list(providers)}
    rows = sorted(map(_DuePayment._make, execute(_claim_due, parameters)), key=lambda payment: payment.place)
    return [*map(_look_up_of, rows), *map(_look_up_after_restore, restored.take(providers))]


def _look_up_of(payment: _DuePayment) -> Inquiry:
    """What a provider is asked when a look-up is due: to cancel the payment after all, if its time is over."""
    question, ask = Question.LOOK_UP, _looking_up(PaymentStatus(payment.status))
    if payment.over:
        question, ask = Question.CANCEL, _expire
    return Inquiry(payment_id=payment.id, provider=payment.provider, question=question, ask=ask)


def _look_up_after_restore(payment: restored.Waiting) -> Inquiry:
    ask = _looking_up(PaymentStatus(payment.status))
    return Inquiry(payment_id=payment.payment_id, provider=payment.provider, ask=ask, after_restore=True)


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
