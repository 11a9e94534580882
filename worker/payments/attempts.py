"""Time limits of attempts, and the ends of authorisations: part of the task ``payments.expire``.

An attempt that is under way for longer than its method takes is looked up a last time. Where the provider still does
not say that it is over, it is given up: it holds nothing back any more, and a person has to look
(``attempt_timed_out``). An authorisation is logged a day before its end, and looked up once that has passed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Final, NamedTuple
from uuid import UUID

import structlog
from sqlalchemy import text

from checkout_service.api.responses import show_time
from checkout_service.cache import cache
from checkout_service.database.engine import execute, transaction
from checkout_service.database.errors import DatabaseLockedError
from worker.payments.status_queries import Inquiry
from worker.transitions.outcomes import PaymentMove, follow_up, moves_of

PAGE: Final = 200
"""Payments a page; of attempts that are past their time, so many of each provider in a run."""

AHEAD: Final = timedelta(days=1)
"""How long before its end an authorisation is told of."""

ASK_AGAIN: Final = 600_000
"""Milliseconds after which a provider that was away is asked again about an attempt that is past its time."""

REMEMBERED: Final = 30 * 86_400_000
"""Milliseconds for which an authorisation that was told of is not told of again."""

# A look-up that named none under way has ended those before it: they need not be given up. Nor need those by which
# money came meanwhile. Both stay as they are, so they are left out before the page is cut: they would fill it for ever.
_overdue = text(f"""
    SELECT id, provider, user_id FROM (
        SELECT own.*, row_number() OVER (PARTITION BY own.provider ORDER BY own.turn, own.times_out_at) AS place
        FROM (
            SELECT payment.id, payment.provider, payment.user_id, min(attempt.times_out_at) AS times_out_at,
                row_number() OVER (
                    PARTITION BY payment.provider, payment.user_id ORDER BY min(attempt.times_out_at)) AS turn
            FROM payment_attempts AS attempt JOIN payments AS payment ON payment.id = attempt.payment_id
            WHERE attempt.status = 'under_way' AND attempt.given_up_at IS NULL AND attempt.times_out_at <= now()
                AND payment.under_way AND attempt.reported_at >= coalesce(payment.looked_up_at, '-infinity')
            GROUP BY payment.id
        ) AS own
    ) AS placed
    WHERE place <= {PAGE} ORDER BY place
""")  # noqa: S608 (only our own constants)

_lock_payment = text("SELECT provider FROM payments WHERE id = :id FOR NO KEY UPDATE")

_give_up = text("""
    UPDATE payment_attempts AS attempt
    SET given_up_at = now(), version = attempt.version + 1, updated_at = now()
    FROM payments AS payment
    WHERE payment.id = :id AND attempt.payment_id = payment.id AND attempt.status = 'under_way'
        AND attempt.given_up_at IS NULL AND attempt.times_out_at <= now()
        AND attempt.reported_at >= coalesce(payment.looked_up_at, '-infinity')
    RETURNING attempt.attempt_ref
""")

_fold = text("SELECT status_from, status_to FROM payments_fold(ARRAY[CAST(:id AS uuid)])")

_ending = text(f"""
    SELECT payment.id, payment.provider, payment.user_id, attempt.attempt_ref, attempt.expires_at,
        payment.amount_authorized,
        payment.currency, attempt.expires_at <= now() AS over, attempt.id AS attempt_id
    FROM payment_attempts AS attempt JOIN payments AS payment ON payment.id = attempt.payment_id
    WHERE attempt.status = 'authorized' AND NOT attempt.rest_released
        AND attempt.expires_at BETWEEN now() - interval '7 days' AND now() + :ahead
        AND (attempt.expires_at, attempt.id) > (:expires_at, :attempt_id)
        AND payment.amount_authorized > 0 AND payment.closed IS NULL
        AND NOT EXISTS (SELECT FROM payment_attempts AS newer
            WHERE newer.payment_id = payment.id AND newer.replaces = attempt.attempt_ref)
    ORDER BY attempt.expires_at, attempt.id LIMIT {PAGE}
""")  # noqa: S608 (only our own constants)


class _Ending(NamedTuple):
    """An authorisation that ends soon, or has ended: then it is ``over``. The amount is what is open of its payment."""

    payment_id: UUID
    provider: str
    user_id: UUID
    attempt_ref: str
    expires_at: datetime
    amount: Decimal
    currency: str
    over: bool
    attempt_id: UUID


log = structlog.get_logger(__name__)


class OverdueAttempts:
    """Attempts that are past their time: their payments are looked up, and what is under way then is given up."""

    def __init__(self) -> None:
        self._payments: list[UUID] = []

    def inquiries(self) -> list[tuple[UUID, Inquiry]]:
        """A look-up of each, with its customer. Raises DatabaseUnavailableError."""
        return [
            (
                row.user_id,
                Inquiry(
                    payment_id=row.id,
                    provider=row.provider,
                    still_due=partial(cache().claim, f"past its time:{row.id}", milliseconds=ASK_AGAIN),
                    # A provider that is away may still say that it is over.
                    then=partial(self._payments.append, row.id),
                ),
            )
            for row in execute(_overdue)
        ]

    def give_up(self) -> None:
        """Give up what is under way all the same, once all answers are recorded: one of them may say that it is over.

        Raises DatabaseUnavailableError.
        """
        for payment_id in self._payments:
            with suppress(DatabaseLockedError):  # then a later run gives it up
                _give_up_attempts(payment_id)


def ended_authorizations() -> Iterator[tuple[UUID, Inquiry]]:
    """Log each authorisation once that ends within a day; those that ended, each with its customer, to look them up.

    A page after the other: those that ended and were told of stay on the first ones for days. Raises
    DatabaseUnavailableError.
    """
    expires_at, attempt_id, full = datetime.min.replace(tzinfo=UTC), UUID(int=0), True
    while full:
        values = {"ahead": AHEAD, "expires_at": expires_at, "attempt_id": attempt_id}
        page = list(map(_Ending._make, execute(_ending, values)))
        for ending in page:
            if not ending.over:
                _is_news(ending)
                continue
            inquiry = Inquiry(
                payment_id=ending.payment_id,
                provider=ending.provider,
                still_due=partial(_is_news, ending),
            )
            yield ending.user_id, inquiry
        full = len(page) == PAGE
        if page:
            expires_at, attempt_id = page[-1].expires_at, page[-1].attempt_id


def _is_news(ending: _Ending) -> bool:
    """Log it unless that was done before; whether it was logged now."""
    mark = f"{'ended' if ending.over else 'ends'}:{ending.payment_id}:{ending.expires_at.timestamp()}"
    if not cache().claim(mark, milliseconds=REMEMBERED):
        return False
    log.warning(
        "authorization_ended" if ending.over else "authorization_ends_soon",
        payment_id=str(ending.payment_id),
        attempt_ref=ending.attempt_ref,
        amount_open=str(ending.amount),
        currency=ending.currency,
        expires_at=show_time(ending.expires_at),
    )
    return True


def _give_up_attempts(payment_id: UUID) -> None:
    moves: list[PaymentMove] = []
    with transaction() as connection:
        provider = connection.execute(_lock_payment, {"id": payment_id}).scalar_one()
        given_up = connection.execute(_give_up, {"id": payment_id}).all()
        if given_up:
            moves = moves_of(provider, connection.execute(_fold, {"id": payment_id}))
    follow_up(moves)
    for row in given_up:
        log.warning("attempt_timed_out", payment_id=str(payment_id), attempt_ref=row.attempt_ref)
