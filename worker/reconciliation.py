"""The tasks ``payments.look_up`` and ``payments.expire``: asks providers about payments that nobody reported on.

Providers are asked outside any transaction; what they say goes into the ledger like any other fact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from time import monotonic
from typing import Any, Final
from uuid import UUID

import structlog
from celery import shared_task
from sqlalchemy import text

from checkout_service.database import execute, transaction
from checkout_service.payments.status import PaymentStatus
from checkout_service.problems import DatabaseUnavailable
from checkout_service.providers.base import (
    Fact,
    Provider,
    ProviderError,
    ProviderRefusedError,
    ProviderUnavailableError,
)
from checkout_service.queue import TaskName
from worker.context import provider
from worker.ledger import Report, record

STEP: Final = 20
PAGE: Final = 500
WORK_FOR: Final = 40.0
GIVE_UP_AFTER: Final = 3
"""Failures in a row after which a run ends: the provider is away, and the next run is not far."""

# A claim: the next look-up is set before this one begins, so two runs never ask for the same payment.
_claim_due = text(f"""
    UPDATE payments SET look_ups = look_ups + 1,
        next_look_up_at = CASE
            WHEN status < 'expired'
                THEN now() + least(interval '10 minutes' * power(2, least(look_ups + 1, 10)), interval '12 hours')
            WHEN status < 'paid' AND look_ups = 0 THEN now() + interval '1 day'
            WHEN status < 'paid' AND look_ups = 1 THEN now() + interval '3 days' END
    WHERE id IN (
        SELECT id FROM payments WHERE next_look_up_at <= now()
        ORDER BY next_look_up_at LIMIT {STEP} FOR NO KEY UPDATE SKIP LOCKED
    )
    RETURNING id, provider, provider_ref
""")  # noqa: S608 (only our own constants)

_page_of_open = text(f"""
    SELECT payment.id, payment.provider, payment.provider_ref, payment.created_at,
        coalesce(session.expires_at <= now(), false) AND payment.review_reason IS NULL AS expired,
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
    run = _Run()
    try:
        while run.goes_on():
            due = execute(_claim_due)
            for row in due:
                run.ask(row, lambda asked, reference: asked.look_up(provider_ref=reference))
            if len(due) < STEP:
                break
    except DatabaseUnavailable:
        log.warning("database_unavailable")
    return run.summary()


@shared_task(name=TaskName.EXPIRE_PAYMENTS)
def expire() -> str:
    """Cancel payments at their provider whose session is over, and record what became of them.

    Only ``pending`` and ``failed`` ones: money under way is waited for. A flagged payment is a person's to decide.
    """
    run = _Run()
    try:
        for status in (PaymentStatus.PENDING, PaymentStatus.FAILED):
            _expire_all(run, status)
    except DatabaseUnavailable:
        log.warning("database_unavailable")
    return run.summary()


def _expire_all(run: _Run, status: PaymentStatus) -> None:
    """Walk from the oldest on; sessions end about as they began, so the first page of fresh ones is the end."""
    created_at, last = datetime.min.replace(tzinfo=UTC), UUID(int=0)
    while run.goes_on():
        page = execute(_page_of_open, {"status": status.value, "created_at": created_at, "id": last})
        for row in page:
            if row.expired and run.goes_on():
                run.ask(row, _cancel)
        if len(page) < PAGE or all(row.fresh for row in page):
            return
        created_at, last = page[-1].created_at, page[-1].id


def _cancel(asked: Provider, reference: str) -> Sequence[Fact]:
    """What became of a payment that we cancel because its time is over: canceled by us means expired."""
    try:
        facts = asked.cancel(provider_ref=reference)
    except ProviderRefusedError:
        facts = asked.look_up(provider_ref=reference)
    return [
        replace(fact, status=PaymentStatus.EXPIRED, event_id=fact.event_id.replace(":canceled:", ":expired:"))
        if fact.status is PaymentStatus.CANCELED
        else fact
        for fact in facts
    ]


class _Run:
    """One run of a task: how long it may go on, and what it found."""

    def __init__(self) -> None:
        self._until = monotonic() + WORK_FOR
        self._failures_in_a_row = 0
        self._asked = 0
        self._facts = 0

    def goes_on(self) -> bool:
        return monotonic() < self._until and self._failures_in_a_row < GIVE_UP_AFTER

    def ask(self, row: Any, question: Any) -> None:
        """Ask one provider about one payment and record the answer; an error is this payment's alone."""
        asked = provider(row.provider)
        if asked is None:
            log.warning("provider_without_secrets", provider=row.provider, payment_id=str(row.id))
            return
        self._asked += 1
        try:
            facts = question(asked, row.provider_ref)
        except ProviderUnavailableError as error:
            self._failures_in_a_row += 1
            log.warning("provider_unavailable", payment_id=str(row.id), error=str(error))
            return
        except ProviderError as error:
            log.warning("provider_not_understood", payment_id=str(row.id), error=str(error))
            return
        self._failures_in_a_row = 0
        now = datetime.now(UTC)
        reports = [Report(fact=fact, received_at=now) for fact in facts]
        if reports:
            with transaction() as connection:
                record(connection, reports)
        self._facts += len(reports)

    def summary(self) -> str:
        return f"asked about {self._asked} payments, learned {self._facts} facts"
