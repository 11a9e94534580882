"""What must hold of all payments, sessions and webhooks; each broken promise names rows and says what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple, TypeVar
from uuid import UUID

from sqlalchemy import Executable

from checkout_service.database.engine import execute
from checkout_service.oversight.statements import (
    AGAINST_EVENTS,
    ALL,
    COUNT_PENDING,
    COUNT_REFUNDS,
    COUNT_REFUNDS_OUTSTANDING,
    COUNT_SESSIONS,
    COUNT_STUCK,
    COUNT_UNPROVEN,
    PAGE,
    PENDING_TOO_LONG,
    RECENT,
    REFUNDS,
    REFUNDS_OUTSTANDING,
    SESSIONS,
    STUCK,
)
from checkout_service.payments.status import PaymentStatus
from checkout_service.terminal import printable


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What counts as too old, and how far back events are compared.

    Look-ups run twice a minute. Events are pruned after EVENTS_RETENTION_DAYS, 400 by default, and a payment older than
    that cannot be compared with them.
    """

    pending: timedelta = timedelta(minutes=15)
    overdue: timedelta = timedelta(minutes=30)
    remembered: timedelta = timedelta(days=365)


@dataclass(frozen=True, slots=True, kw_only=True)
class Invariant:
    """A promise; how rows that break it are found among all, and counted among the most telling ones."""

    name: str
    promise: str
    remedy: str
    find: Callable[[Limits], Iterator[str]]
    count: Executable


def count_violations(limits: Limits) -> dict[str, int]:
    """How many rows break each promise, among the most telling ones. Raises DatabaseUnavailableError."""
    values = {"pending": limits.pending, "overdue": limits.overdue, "remembered": limits.remembered, "limit": RECENT}
    return {invariant.name: int(execute(invariant.count, values)[0][0]) for invariant in INVARIANTS}


class _Unproven(NamedTuple):
    id: UUID
    at: datetime
    status: str
    proven: str | None
    wrong: bool


class _Stuck(NamedTuple):
    id: UUID
    why: str


class _Pending(NamedTuple):
    id: UUID
    state: str
    attempts: int
    received_at: datetime


class _Session(NamedTuple):
    id: UUID
    at: datetime
    payment_id: UUID | None
    wrong: bool


class _Refunds(NamedTuple):
    id: UUID
    at: datetime
    payment_id: UUID
    refunded: Decimal
    refunding: Decimal
    wrong: bool


class _Outstanding(NamedTuple):
    kind: str
    id: UUID
    detail: str | None
    created_at: datetime


_Paged = TypeVar("_Paged", _Unproven, _Session, _Refunds)


def _unproven(limits: Limits) -> Iterator[str]:
    for status in PaymentStatus:
        for row in _paged(_Unproven, AGAINST_EVENTS, status=status.value, remembered=limits.remembered):
            yield f"payment {row.id} is {row.status}, its events say {row.proven or 'nothing'}"


def _stuck_open(limits: Limits) -> Iterator[str]:
    for row in map(_Stuck._make, execute(STUCK, {"overdue": limits.overdue, "limit": ALL})):
        yield f"payment {row.id} {row.why}"


def _pending_too_long(limits: Limits) -> Iterator[str]:
    for row in map(_Pending._make, execute(PENDING_TOO_LONG, {"pending": limits.pending, "limit": ALL})):
        yield f"webhook {row.id} is {row.state} since {row.received_at:%Y-%m-%d %H:%M:%S} UTC, tried {row.attempts}"


def _sessions_astray(_: Limits) -> Iterator[str]:
    for row in _paged(_Session, SESSIONS):
        yield f"session {row.id} " + ("has no payment" if row.payment_id is None else "differs from its payment")


def _refunds_astray(_: Limits) -> Iterator[str]:
    named = None
    for row in _paged(_Refunds, REFUNDS):
        if row.payment_id != named:
            named = row.payment_id
            yield f"payment {named}: its refunds say {row.refunded} given back and {row.refunding} on the way"


def _refunds_outstanding(limits: Limits) -> Iterator[str]:
    for row in map(_Outstanding._make, execute(REFUNDS_OUTSTANDING, {"overdue": limits.overdue, "limit": ALL})):
        why = f": {printable(row.detail)}" if row.detail else ""
        yield f"{row.kind} {row.id} is pending since {row.created_at:%Y-%m-%d %H:%M:%S} UTC{why}"


def _paged(kind: type[_Paged], statement: Executable, **values: object) -> Iterator[_Paged]:
    """The wrong rows of all pages; a page ends with its last key, whether that row is wrong or not."""
    after_time, after_id = None, None
    while rows := execute(statement, {"after_time": after_time, "after_id": after_id, **values}):
        page = [kind._make(row) for row in rows]
        yield from (row for row in page if row.wrong)
        after_time, after_id = page[-1].at, page[-1].id
        if len(page) < PAGE:
            return


INVARIANTS: Final = (
    Invariant(
        name="status_without_event",
        promise="every payment is where its events say",
        remedy="Somebody else wrote the status. See `payments show`, ask the provider, and find out who may write.",
        find=_unproven,
        count=COUNT_UNPROVEN,
    ),
    Invariant(
        name="stuck_open",
        promise="no payment is stuck open beyond its look-ups",
        remedy="Do housekeeping and beat run, with every provider's secrets? `payments show` has the answers they got.",
        find=_stuck_open,
        count=COUNT_STUCK,
    ),
    Invariant(
        name="webhook_pending_too_long",
        promise="no webhook is pending for too long",
        remedy="Do workers and beat run? `webhooks list --state received` shows why attempts failed.",
        find=_pending_too_long,
        count=COUNT_PENDING,
    ),
    Invariant(
        name="session_without_payment",
        promise="every session has its payment, of the same amount",
        remedy="Constraints were switched off, or a backup is torn: restore it before you serve on.",
        find=_sessions_astray,
        count=COUNT_SESSIONS,
    ),
    Invariant(
        name="refunds_add_up",
        promise="no payment gave back more than came, and its sums are its refunds'",
        remedy="Triggers were switched off, or a backup is torn: `payments show`, and ask the provider what was given.",
        find=_refunds_astray,
        count=COUNT_REFUNDS,
    ),
    Invariant(
        name="refund_outstanding_too_long",
        promise="no refund or cancellation is pending for too long",
        remedy="Do housekeeping and beat run, and is the provider there? One that is in doubt: see docs/operating.md.",
        find=_refunds_outstanding,
        count=COUNT_REFUNDS_OUTSTANDING,
    ),
)
