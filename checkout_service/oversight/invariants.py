"""What must hold of all payments, sessions and webhooks; each broken promise names rows and says what to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple
from uuid import UUID

from checkout_service.database.engine import execute
from checkout_service.money import show
from checkout_service.oversight.money_statements import (
    CAPTURES_OUTSTANDING,
    COUNT_CAPTURES_OUTSTANDING,
    COUNT_DUPLICATES,
    COUNT_FOLDED,
    COUNT_MONEY_WITHOUT_EVENT,
    COUNT_PAST_LIMIT,
    DUPLICATES,
    FOLDED,
    MONEY_WITHOUT_EVENT,
    PAST_LIMIT,
)
from checkout_service.oversight.order_invariants import ORDER_INVARIANTS
from checkout_service.oversight.promises import Invariant, Limits, paged
from checkout_service.oversight.settlement_invariants import SETTLEMENT_INVARIANTS
from checkout_service.oversight.statements import (
    ALL,
    COUNT_DUPLICATE_WEBHOOKS,
    COUNT_PENDING,
    COUNT_REFUNDS,
    COUNT_REFUNDS_OUTSTANDING,
    COUNT_SESSIONS,
    COUNT_STUCK,
    DUPLICATE_WEBHOOKS,
    PENDING_TOO_LONG,
    RECENT,
    REFUNDS,
    REFUNDS_OUTSTANDING,
    SESSIONS,
    STUCK,
)
from checkout_service.payments.status import PaymentStatus
from checkout_service.terminal import printable


def count_violations(limits: Limits) -> dict[str, int]:
    """How many rows break each promise, among the most telling ones. Raises DatabaseUnavailableError."""
    values = asdict(limits) | {"limit": RECENT}
    return {invariant.name: int(execute(invariant.count, values)[0][0]) for invariant in INVARIANTS}


class _Folded(NamedTuple):
    id: UUID
    at: datetime
    differs: str
    wrong: bool


class _Money(NamedTuple):
    id: UUID
    at: datetime
    came: Decimal
    currency: str
    wrong: bool


class _Duplicate(NamedTuple):
    id: UUID
    at: datetime
    payment_id: UUID
    wrong: bool


class _PastLimit(NamedTuple):
    kind: str
    id: UUID
    name: str
    since: datetime


class _Stuck(NamedTuple):
    id: UUID
    why: str


class _Pending(NamedTuple):
    id: UUID
    state: str
    attempts: int
    received_at: datetime


class _DuplicateWebhook(NamedTuple):
    id: UUID
    at: datetime
    provider_ref: str | None
    wrong: bool


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


def _unclean(_: Limits) -> Iterator[str]:
    for row in paged(_Folded._make, FOLDED):
        yield f"payment {row.id} is not what its entries make it: {row.differs}"


def _without_event(limits: Limits) -> Iterator[str]:
    for status in PaymentStatus:
        if status.money_came:
            for row in paged(_Money._make, MONEY_WITHOUT_EVENT, status=status.value, remembered=limits.remembered):
                yield f"payment {row.id}: {show(row.came, row.currency)} {row.currency} came, and no event tells of it"


def _half_flagged(_: Limits) -> Iterator[str]:
    for row in paged(_Duplicate._make, DUPLICATES):
        yield f"payment {row.payment_id} is one of two for the same things, and nobody was told"


def _past_limit(limits: Limits) -> Iterator[str]:
    for row in map(_PastLimit._make, execute(PAST_LIMIT, {"overdue": limits.overdue, "limit": ALL})):
        name = f" {printable(row.name)}" if row.name else ""
        yield f"payment {row.id} counts on an {row.kind}{name} that was over {row.since:%Y-%m-%d %H:%M:%S} UTC"


def _captures_outstanding(limits: Limits) -> Iterator[str]:
    for row in map(_Outstanding._make, execute(CAPTURES_OUTSTANDING, {"overdue": limits.overdue, "limit": ALL})):
        yield _outstanding(row)


def _stuck_open(limits: Limits) -> Iterator[str]:
    for row in map(_Stuck._make, execute(STUCK, {"overdue": limits.overdue, "limit": ALL})):
        yield f"payment {row.id} {row.why}"


def _pending_too_long(limits: Limits) -> Iterator[str]:
    for row in map(_Pending._make, execute(PENDING_TOO_LONG, {"pending": limits.pending, "limit": ALL})):
        yield f"webhook {row.id} is {row.state} since {row.received_at:%Y-%m-%d %H:%M:%S} UTC, tried {row.attempts}"


def _duplicates_of_nothing(limits: Limits) -> Iterator[str]:
    for row in paged(_DuplicateWebhook._make, DUPLICATE_WEBHOOKS, remembered=limits.remembered):
        about = f" about {printable(row.provider_ref)}" if row.provider_ref else ""
        yield f"webhook {row.id}{about} is a duplicate of {row.at:%Y-%m-%d %H:%M:%S} UTC, and nothing came before it"


def _sessions_astray(_: Limits) -> Iterator[str]:
    for row in paged(_Session._make, SESSIONS):
        yield f"session {row.id} " + ("has no payment" if row.payment_id is None else "differs from its payment")


def _refunds_astray(_: Limits) -> Iterator[str]:
    named = None
    for row in paged(_Refunds._make, REFUNDS):
        if row.payment_id != named:
            named = row.payment_id
            yield f"payment {named}: its refunds say {row.refunded} given back and {row.refunding} on the way"


def _refunds_outstanding(limits: Limits) -> Iterator[str]:
    for row in map(_Outstanding._make, execute(REFUNDS_OUTSTANDING, {"overdue": limits.overdue, "limit": ALL})):
        yield _outstanding(row)


def _outstanding(row: _Outstanding) -> str:
    why = f": {printable(row.detail)}" if row.detail else ""
    return f"{row.kind} {row.id} is pending since {row.created_at:%Y-%m-%d %H:%M:%S} UTC{why}"


INVARIANTS: Final = (
    Invariant(
        name="fold_is_clean",
        promise="status, sums and reasons are what the entries make them",
        remedy="Somebody else wrote them, or entries without the fold; find out who may write. As the workers' role "
        "`SELECT * FROM payments_fold(ARRAY['ID']::uuid[])` computes a payment anew.",
        find=_unclean,
        count=COUNT_FOLDED,
    ),
    Invariant(
        name="money_without_event",
        promise="no money came that no event tells of",
        remedy="Somebody else wrote the entries. See `payments show`, ask the provider, and find out who may write.",
        find=_without_event,
        count=COUNT_MONEY_WITHOUT_EVENT,
    ),
    Invariant(
        name="duplicates_flagged",
        promise="of two payments for the same things both are flagged, or were seen",
        remedy="Entries were written without the fold: compute both anew, as for fold_is_clean, then `payments show`.",
        find=_half_flagged,
        count=COUNT_DUPLICATES,
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
        name="duplicate_has_its_event",
        promise="what a duplicate webhook repeats was entered",
        remedy="A failover or a restore undid it: `webhooks replay` these, and ask the provider for what came since.",
        find=_duplicates_of_nothing,
        count=COUNT_DUPLICATE_WEBHOOKS,
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
        promise="what a payment gave back, and what is on the way, are its refunds'",
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
    Invariant(
        name="capture_outstanding_too_long",
        promise="no capture or void is pending for too long",
        remedy="Do housekeeping and beat run, and is the provider there? One that is in doubt: see docs/operating.md.",
        find=_captures_outstanding,
        count=COUNT_CAPTURES_OUTSTANDING,
    ),
    Invariant(
        name="attempt_past_limit",
        promise="no payment counts on an attempt or an authorisation whose time is over",
        remedy="Do housekeeping and beat run? Ask the provider: a look-up, in the console, ends what is over.",
        find=_past_limit,
        count=COUNT_PAST_LIMIT,
    ),
    *ORDER_INVARIANTS,
    *SETTLEMENT_INVARIANTS,
)
