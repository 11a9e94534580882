"""What goes into the transitions and what comes out: received events, what each did, and what changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from checkout_service.payments.outcomes import EventOutcome
from checkout_service.payments.status import RefundStatus
from checkout_service.providers.base import ProviderEvent, ProviderRefundEvent
from checkout_service.telemetry import tracing
from checkout_service.telemetry.metrics import payments_total, refunds_total
from worker.events.sequencer import sequence_events
from worker.transitions.failing import count_failed_attempts


class ReceivedEvent(NamedTuple):
    """An event about a payment or a refund, and when we received it: with a webhook, or as an answer to a query.

    A tuple, as ``Effect`` is, because there is one for each event of a set.
    """

    event: ProviderEvent | ProviderRefundEvent
    received_at: datetime
    delivery_id: UUID | None = None
    trace_context: str | None = None
    """The span that it is recorded in, where that is sampled: what follows of it belongs there."""


class Outcome(StrEnum):
    """What an event did in this set. The first three are stored with the event, the others leave no trace."""

    APPLIED = EventOutcome.APPLIED.value
    STALE = EventOutcome.STALE.value
    MISMATCH = EventOutcome.MISMATCH.value
    DUPLICATE = "duplicate"
    """It was recorded before."""
    PARKED = "parked"
    """Its payment is not here yet."""
    FOREIGN = "foreign"
    """It is another shop's on the same account."""
    WAITING = "waiting"
    """Its refund cannot be recorded yet: its webhook stays pending."""


class Effect(NamedTuple):
    """What one event did. ``waits_for`` says in words what an event that is WAITING waits for."""

    outcome: Outcome
    waits_for: str | None = None


class RefundMove(NamedTuple):
    """A refund at this provider came to this status."""

    provider: str
    status: RefundStatus


class PaymentMove(NamedTuple):
    """A payment at this provider came to this status."""

    provider: str
    status: str


class ObjectKind(StrEnum):
    """What a change is of."""

    PAYMENT = "payment"
    ATTEMPT = "attempt"
    CAPTURE = "capture"
    REFUND = "refund"
    DISPUTE = "dispute"


class Change(NamedTuple):
    """An object came to this version; its statuses before (None of one that is new) and now, which may be equal.

    ``id`` is that of its row, ``payment_id`` that of the payment that it belongs to.
    """

    kind: ObjectKind
    id: UUID
    payment_id: UUID
    version: int
    status_from: str | None
    status_to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What a set of events did.

    One effect for each event, in their order; the refunds and payments that moved; and each version of an object that
    is new.
    ``failed`` has the payment of each attempt that failed a while ago at most.
    ``found`` are the references of payments that were found by other names, by the place of the event in the set.
    ``opened_in`` are the traces that the payments of traced webhooks were opened in, by the id of the webhook.
    """

    effects: Sequence[Effect] = ()
    refund_moves: Sequence[RefundMove] = ()
    payment_moves: Sequence[PaymentMove] = ()
    changes: Sequence[Change] = ()
    failed: Sequence[UUID] = ()
    found: Mapping[int, str] = field(default_factory=dict)
    opened_in: Mapping[UUID, str] = field(default_factory=dict)

    def follow_up(self) -> None:
        """Count what moved, and have its orders and events numbered. Call it after the commit."""
        for move in self.refund_moves:
            refunds_total.labels(move.provider, move.status.value).inc()
        _count(self.payment_moves)
        if self.failed:
            count_failed_attempts(self.failed)
        if self.changes:
            sequence_events()


def moves_of(provider: str, folded: Iterable[Any]) -> list[PaymentMove]:
    """Payments of one provider that came to another status, by rows with ``status_from`` and ``status_to``."""
    return [PaymentMove(provider, row.status_to) for row in folded if row.status_from != row.status_to]


def follow_up(moves: Iterable[PaymentMove]) -> None:
    """Count payments that came to another status; have what was committed numbered. Call it after the commit."""
    _count(moves)
    sequence_events()


def _count(moves: Iterable[PaymentMove]) -> None:
    for move, number in Counter(moves).items():
        payments_total.labels(move.provider, move.status).inc(number)


def received_now(events: Iterable[ProviderEvent | ProviderRefundEvent]) -> list[ReceivedEvent]:
    """Events that a provider has just answered a query with."""
    now = datetime.now(UTC)
    context = tracing.context()
    return [ReceivedEvent(event, now, trace_context=context) for event in events]
