"""One payment's story: its session, every delivery, fact, look-up and refund, in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, text

from checkout_service.answers import show_time
from checkout_service.database import execute
from checkout_service.money import show
from checkout_service.terminal import printable

PAGE: Final = 5000
"""Letters that one statement looks through: some tens of milliseconds."""

EARLY: Final = timedelta(hours=1)
"""How long before its payment a letter may have come: a provider can be faster than our own INSERT."""

_payment = text("""
    SELECT id, user_id, provider, provider_ref, status::text AS status, amount, currency, review_reason, created_at,
        amount_refunded, amount_refunding, next_look_up_at, look_ups, look_up_log
    FROM payments WHERE id = :id
""")

_session = text("""
    SELECT id, cart_id, idempotency_key, amount, currency, jsonb_array_length(lines) AS lines, expires_at, created_at
    FROM checkout_sessions WHERE payment_id = :id
""")

_facts = text("""
    SELECT event_id, delivery_id, status::text AS status, amount, currency, outcome, occurred_at, received_at
    FROM payment_events WHERE payment_id = :id ORDER BY received_at, id
""")

_refunds = text("""
    SELECT id, provider_ref, amount, currency, status::text AS status, reason, decline, requested_by, attempts, detail,
        next_attempt_at, created_at
    FROM refunds WHERE payment_id = :id
""")

_refund_facts = text("""
    SELECT event.event_id, event.delivery_id, 'refund ' || event.status::text AS status, event.amount, event.currency,
        event.outcome, event.occurred_at, event.received_at
    FROM refund_events AS event JOIN refunds ON refunds.id = event.refund_id WHERE refunds.payment_id = :id
""")

_cancellation = text("""
    SELECT requested_by, attempts, next_attempt_at, detail, created_at FROM cancellations WHERE payment_id = :id
""")

_LETTER_COLUMNS: Final = "id, received_at, state, attempts, detail, next_attempt_at, processed_at"

_linked = text(f"SELECT {_LETTER_COLUMNS} FROM webhook_deliveries WHERE id = ANY(CAST(:ids AS uuid[]))")  # noqa: S608 (only our own constants)

# A repeated letter, a rejected or a failed one is tied to no payment by anything but the bytes in it. Keys are version
# 7 UUIDs, so a walk along the primary key begins where the payment did.
_walk = text(f"""
    WITH page AS (
        SELECT {_LETTER_COLUMNS}, provider, body FROM webhook_deliveries
        WHERE id > CAST(:after AS uuid) ORDER BY id LIMIT {PAGE}
    )
    SELECT last.id AS last_id, found.* FROM (SELECT id FROM page ORDER BY id DESC LIMIT 1) AS last
    LEFT JOIN (
        SELECT {_LETTER_COLUMNS} FROM page
        WHERE provider = :provider AND (
            position(convert_to(:reference, 'UTF8') IN body) > 0
            OR position(convert_to(:payment_id, 'UTF8') IN body) > 0
        )
    ) AS found ON true
""")  # noqa: S608 (only our own constants)

_first_key = text(
    "SELECT uuidv7(CAST(:created_at AS timestamptz) - clock_timestamp() - CAST(:early AS interval)) AS id"
)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Entry:
    """Something that happened; entries sort by time, and those of one moment as they follow from each other."""

    at: datetime
    rank: int
    kind: str
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """A payment and what happened to it."""

    payment: Row[Any]
    entries: Sequence[Entry]


def story(payment_id: UUID) -> Story | None:
    """Everything known of this payment, in order. Raises DatabaseUnavailable."""
    found = execute(_payment, {"id": payment_id})
    if not found:
        return None
    (payment,) = found
    facts = [*execute(_facts, {"id": payment_id}), *execute(_refund_facts, {"id": payment_id})]
    letters = {row.id: row for row in execute(_linked, {"ids": [row.delivery_id for row in facts if row.delivery_id]})}
    letters |= {row.id: row for row in _letters_about(payment)}
    entries = [_opened(row) for row in execute(_session, {"id": payment_id})]
    entries += [_delivered(row) for row in letters.values()]
    entries += [_asked(question) for question in payment.look_up_log]
    entries += [_learned(row) for row in facts]
    entries += [_refunded(row) for row in execute(_refunds, {"id": payment_id})]
    entries += [_called_off(row) for row in execute(_cancellation, {"id": payment_id})]
    return Story(payment=payment, entries=sorted(entries))


def _letters_about(payment: Row[Any]) -> Iterator[Row[Any]]:
    ((after,),) = execute(_first_key, {"created_at": payment.created_at, "early": EARLY})
    sought = {"provider": payment.provider, "reference": payment.provider_ref, "payment_id": str(payment.id)}
    while page := execute(_walk, {"after": after, **sought}):
        yield from (row for row in page if row.id is not None)
        after = page[0].last_id


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
    return Entry(at=row.created_at, rank=1, kind="refund", said=said + _owed(row))


def _called_off(row: Row[Any]) -> Entry:
    return Entry(at=row.created_at, rank=1, kind="cancel", said=f"requested by {row.requested_by}{_owed(row)}")


def _owed(row: Row[Any]) -> str:
    detail = f" ({printable(row.detail)})" if row.detail else ""
    ahead = f", next attempt {show_time(row.next_attempt_at)}" if row.next_attempt_at else ""
    return f", tried {row.attempts}{detail}{ahead}"


def _delivered(row: Row[Any]) -> Entry:
    owed = f", next attempt {show_time(row.next_attempt_at)}" if row.state in {"received", "parked"} else ""
    detail = f" ({printable(row.detail)})" if row.detail else ""
    said = f"{row.id} {row.state}{detail}, tried {row.attempts}{owed}"
    return Entry(at=row.received_at, rank=1, kind="delivery", said=said)


def _asked(question: dict[str, str]) -> Entry:
    at = datetime.fromisoformat(question["at"])
    return Entry(at=at, rank=2, kind=question["asked"], said=printable(question["said"]))


def _learned(row: Row[Any]) -> Entry:
    money = "" if row.amount is None else f" {show(row.amount)} {row.currency}"
    source = f", from delivery {row.delivery_id}" if row.delivery_id else ""
    happened = f", happened {show_time(row.occurred_at)}" if row.occurred_at else ""
    said = f"{row.status}{money}: {row.outcome}, event {printable(row.event_id)}{source}{happened}"
    return Entry(at=row.received_at, rank=3, kind="fact", said=said)
