"""One payment's story: its session, every delivery, event, look-up and refund, in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from checkout_service.api.responses import show_time
from checkout_service.money import show
from checkout_service.oversight.payment_history import evidence_of
from checkout_service.terminal import printable


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Entry:
    """Something that happened; entries sort by time, and those of one moment as they follow from each other.

    ``delivery_id`` is the webhook that it is, or that it came from.
    """

    at: datetime
    rank: int
    kind: str
    said: str
    delivery_id: UUID | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """A payment and what happened to it; ``looked_until`` as in its evidence."""

    payment: Row[Any]
    entries: Sequence[Entry]
    looked_until: UUID | None = None


def story(payment_id: UUID, *, pages: int | None = None, after: UUID | None = None) -> Story | None:
    """Everything known of this payment, in order; ``pages`` and ``after`` bound it as they bound its evidence.

    Raises DatabaseUnavailableError.
    """
    known = evidence_of(payment_id, pages=pages, after=after)
    if known is None:
        return None
    entries = [_opened(row) for row in known.sessions]
    entries += [_delivered(row) for row in known.webhooks]
    entries += [_asked(question) for question in known.payment.look_up_log]
    entries += [_learned(row) for row in (*known.events, *known.refund_events)]
    entries += [_refunded(row) for row in known.refunds]
    entries += [_called_off(row) for row in known.cancellations]
    return Story(payment=known.payment, entries=sorted(entries), looked_until=known.looked_until)


def _opened(row: Row[Any]) -> Entry:
    said = (
        f"{show(row.amount)} {row.currency} for {row.lines} line{'' if row.lines == 1 else 's'} of cart {row.cart_id}, "
        f"key {printable(row.idempotency_key)}, until {show_time(row.expires_at)}"
    )
    return Entry(at=row.created_at, rank=0, kind="session", said=said)


def _refunded(row: Row[Any]) -> Entry:
    source = f"requested by {row.requested_by}" if row.requested_by else "made by the provider"
    reason = f" ({printable(row.reason)})" if row.reason else ""
    named = f", there {printable(row.provider_ref)}" if row.provider_ref else ""
    decline = f": {row.decline}" if row.decline else ""
    said = f"{row.id} of {show(row.amount)} {row.currency} {source}{reason}, now {row.status}{decline}{named}"
    return Entry(at=row.created_at, rank=1, kind="refund", said=said + _pending(row))


def _called_off(row: Row[Any]) -> Entry:
    return Entry(at=row.created_at, rank=1, kind="cancel", said=f"requested by {row.requested_by}{_pending(row)}")


def _pending(row: Row[Any]) -> str:
    detail = f" ({printable(row.detail)})" if row.detail else ""
    ahead = f", next attempt {show_time(row.next_attempt_at)}" if row.next_attempt_at else ""
    return f", tried {row.attempts}{detail}{ahead}"


def _delivered(row: Row[Any]) -> Entry:
    pending = f", next attempt {show_time(row.next_attempt_at)}" if row.state in {"received", "parked"} else ""
    detail = f" ({printable(row.detail)})" if row.detail else ""
    said = f"{row.id} {row.state}{detail}, tried {row.attempts}{pending}"
    return Entry(at=row.received_at, rank=1, kind="delivery", said=said, delivery_id=row.id)


def _asked(question: dict[str, str]) -> Entry:
    at = datetime.fromisoformat(question["at"])
    return Entry(at=at, rank=2, kind=question["question"], said=printable(question["answer"]))


def _learned(row: Row[Any]) -> Entry:
    money = "" if row.amount is None else f" {show(row.amount)} {row.currency}"
    source = f", from delivery {row.delivery_id}" if row.delivery_id else ""
    happened = f", happened {show_time(row.occurred_at)}" if row.occurred_at else ""
    said = f"{row.status}{money}: {row.outcome}, event {printable(row.event_id)}{source}{happened}"
    return Entry(at=row.received_at, rank=3, kind="event", said=said, delivery_id=row.delivery_id)
