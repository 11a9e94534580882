"""Sets of events entered as the worker does it, and payments read as the fold leaves them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from checkout_service.database.engine import transaction
from checkout_service.payments.status import (
    AttemptStatus,
    CaptureStatus,
    DisputeStage,
    DisputeStatus,
)
from checkout_service.providers.base import ProviderEvent, ProviderRefundEvent
from checkout_service.providers.entries import AttemptEntry, CaptureEntry, DisputeEntry, Entry
from tests.conftest import Sql
from worker.transitions.outcomes import Outcome, ReceivedEvent, Recorded, received_now
from worker.transitions.recording import record


def recorded(*events: ProviderEvent | ProviderRefundEvent) -> Recorded:
    """Record the events as one set, in a transaction of its own."""
    with transaction() as connection:
        return record(connection, received_now(events))


def enter(*events: ProviderEvent | ProviderRefundEvent) -> list[Outcome]:
    """The same; what each event did."""
    return [effect.outcome for effect in recorded(*events).effects]


def enter_webhook(event: ProviderEvent, *, received_at: datetime) -> list[Outcome]:
    """What an event did that came with a webhook at this moment."""
    with transaction() as connection:
        return [effect.outcome for effect in record(connection, [ReceivedEvent(event, received_at, uuid4())]).effects]


def news(reference: str, *entries: Entry, **values: Any) -> ProviderEvent:
    """An event that proves these entries, of the mock provider; with an id of its own."""
    given: dict[str, Any] = {"event_id": f"evt_{uuid4().hex}", "occurred_at": datetime.now(UTC)} | values
    return ProviderEvent(provider="mock", provider_ref=reference, status=None, entries=entries, **given)


def attempt(ref: str, status: str = "started", **values: Any) -> AttemptEntry:
    """An attempt, in USD unless told otherwise."""
    return AttemptEntry(ref=ref, status=AttemptStatus(status), **{"currency": "USD"} | values)


def capture(ref: str, amount: str, status: str = "succeeded", **values: Any) -> CaptureEntry:
    """A capture, in USD unless told otherwise."""
    given = {"currency": "USD"} | values
    return CaptureEntry(ref=ref, status=CaptureStatus(status), amount=Decimal(amount), **given)


def dispute(ref: str, status: str, amount: str | None = None, **values: Any) -> DisputeEntry:
    """A chargeback, in USD unless told otherwise."""
    given: dict[str, Any] = {"stage": DisputeStage.CHARGEBACK, "currency": "USD"} | values
    return DisputeEntry(
        ref=ref, status=DisputeStatus(status), amount=None if amount is None else Decimal(amount), **given
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """A payment as it stands; sums as text, so that a comparison shows them."""

    status: str
    reasons: str | None
    captured: str
    lost: str
    blocked: str
    authorized: str
    refunded: str
    refunding: str
    under_way: bool


def folded(sql: Sql, reference: str) -> Folded:
    """The payment of this reference."""
    (row,) = sql(
        """SELECT status::text, review_reason AS reasons, trim_scale(amount_captured)::text AS captured,
            trim_scale(amount_lost)::text AS lost, trim_scale(amount_blocked)::text AS blocked,
            trim_scale(amount_authorized)::text AS authorized, trim_scale(amount_refunded)::text AS refunded,
            trim_scale(amount_refunding)::text AS refunding, under_way
        FROM payments WHERE provider_ref = :reference""",
        reference=reference,
    )
    return Folded(**row._mapping)


def payment_id(sql: Sql, reference: str) -> UUID:
    """The payment's own id."""
    return sql("SELECT id FROM payments WHERE provider_ref = :reference", reference=reference)[0].id


def reasons(sql: Sql, references: Sequence[str]) -> list[str | None]:
    """Why a person has to look at each of these payments."""
    return [folded(sql, reference).reasons for reference in references]


def see_all_reasons(sql: Sql) -> None:
    """A person has seen every reason of every payment, with the amounts of now."""
    sql(
        """INSERT INTO payment_reviews (payment_id, reason, amounts)
        SELECT payment_id, reason, amounts
        FROM payment_reasons(ARRAY(SELECT sums FROM payment_sums(ARRAY(SELECT id FROM payments)) AS sums))"""
    )
    sql("SELECT FROM payments_fold(ARRAY(SELECT id FROM payments))")
