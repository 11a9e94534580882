"""Every statement of the transitions; each takes arrays, so that their number does not grow with the events.

The order in which they lock keeps two workers from deadlock: carts by id, payments by id, then entries by provider and
name. Those of entries are in entry_statements.py. What the database itself holds: no entry moves back
(migrations/entries/guards.sql), and a payment's status, sums and reasons are written by payments_fold alone
(migrations/entries/fold.sql).
"""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

import orjson

from checkout_service.database.statements import Statement
from checkout_service.payments.mates import mates_of
from worker.owners import OWNERS as OWNERS  # others of the worker have it from here

# Before anything is locked: entries never change their payment, so what is found stays true.
FIND_NAMES: Final = Statement(
    f"""
    SELECT DISTINCT given.provider, given.name, payment.id, payment.provider_ref
    FROM unnest(CAST(:providers AS text[]), CAST(:names AS text[])) AS given (provider, name)
    CROSS JOIN LATERAL (
        {OWNERS}
    ) AS owner
    JOIN payments AS payment ON payment.id = owner.id
    """,  # noqa: S608 (only our own constants)
    binary=True,
    named=False,
)

# Where money may come or be authorized, or that may end, before any payment: of two payments of one generation the
# second waits here and sees the first, and the order takes what it bought out of the cart. For the rest of the
# transaction plans are kept, and read no table from end to end: to make those of both locks anew for a single payment
# took longer than to lock it.
LOCK_CARTS: Final = Statement(
    """
    SELECT set_config('plan_cache_mode', 'force_generic_plan', true), set_config('enable_seqscan', 'off', true),
        carts_lock_for_payments(CAST(:money_providers AS text[]), CAST(:money AS text[]))::text
    """
)


class PaymentRow(NamedTuple):
    """A row of LOCK_PAYMENTS. ``mate`` tells one that has money, as another for the same things may now have."""

    id: UUID
    provider: str
    provider_ref: str
    amount: Decimal
    currency: str
    closed: str | None
    looked_up_at: datetime | None
    mate: bool
    trace_context: str | None


# NO KEY UPDATE, because the entries' foreign keys take KEY SHARE. Of the other payments of a generation, and of mates
# in another cart, only those are locked along that money came for, or that are authorized: a few of however many. One
# of the generation may get the order.
LOCK_PAYMENTS: Final = Statement(
    f"""
    WITH named AS (
        SELECT payment.id FROM unnest(CAST(:providers AS text[]), CAST(:references AS text[])) AS given (provider, name)
        JOIN payments AS payment ON payment.provider = given.provider AND payment.provider_ref = given.name
        UNION
        SELECT unnest(CAST(:ids AS uuid[]))
    ), mates AS (
        SELECT DISTINCT other.payment_id
        FROM unnest(CAST(:money_providers AS text[]), CAST(:money AS text[])) AS given (provider, name)
        JOIN payments AS money ON money.provider = given.provider AND money.provider_ref = given.name
        CROSS JOIN LATERAL {mates_of("money.id")} AS other
        JOIN payments AS mate ON mate.id = other.payment_id
            AND (mate.amount_captured > 0 OR mate.status = 'authorized')
    )
    SELECT payment.id, payment.provider, payment.provider_ref, payment.amount, payment.currency::text,
        payment.closed::text, payment.looked_up_at, known.mate, payment.trace_context
    FROM (
        SELECT id, bool_or(mate) AS mate
        FROM (SELECT id, false AS mate FROM named UNION ALL SELECT payment_id, true FROM mates) AS each
        GROUP BY id
    ) AS known
    JOIN payments AS payment ON payment.id = known.id
    ORDER BY payment.id
    FOR NO KEY UPDATE OF payment
    """,  # noqa: S608 (only our own constants)
    binary=True,
    named=False,
)


NOTE_TRACES: Final = Statement("SELECT traced_lanes(CAST(:payments AS uuid[]), CAST(:contexts AS text[]))", named=False)
"""In which trace the events of each payment of this set are: migrations/traces/contexts.sql reads it."""


class FoldRow(NamedTuple):
    """A row of FOLD: a payment whose status, sums or reasons changed."""

    id: UUID
    version: int
    status_from: str
    status_to: str


# One call for all payments of a set. Nothing else moves a payment. The raw bodies come as bytes: psycopg would escape
# each quote of a text in an array, by far the largest cost of a set.
FOLD: Final = Statement(
    """
    SELECT payment_id, version, status_from, status_to
    FROM payments_fold(CAST(:ids AS uuid[]), CAST(:closing AS payment_status[]), CAST(:looked_up AS timestamptz[]),
        CAST(:raws AS bytea[]))
    """,
    binary=True,
    named=False,
)


class RefundRow(NamedTuple):
    """A row of LOCK_REFUNDS."""

    id: UUID
    payment_id: UUID
    provider_ref: str | None
    amount: Decimal
    status: str
    capture_ref: str | None
    attempt_ref: str | None
    sent: bool
    ours: bool
    named_by_operator: bool
    in_doubt: bool
    made_for: UUID | None


# All refunds of these payments. Nobody can insert another one meanwhile, since that locks the payment too.
LOCK_REFUNDS: Final = Statement(
    """
    SELECT id, payment_id, provider_ref, amount, status::text AS status, capture_ref, attempt_ref,
        sent_at IS NOT NULL AS sent, requested_by IS NOT NULL AS ours, named_by_operator, in_doubt, made_for
    FROM refunds WHERE payment_id = ANY(CAST(:payments AS uuid[]))
    ORDER BY id FOR NO KEY UPDATE
    """,
    named=False,
)


class KnownRefundEventRow(NamedTuple):
    """A row of KNOWN_REFUND_EVENTS."""

    provider: str
    event_id: str
    refund_id: UUID
    outcome: str


# Nobody enters an event of these refunds meanwhile: their payments are locked.
KNOWN_REFUND_EVENTS: Final = Statement(
    """
    SELECT provider, event_id, refund_id, outcome FROM refund_events
    WHERE event_id = ANY(CAST(:events AS text[])) AND refund_id = ANY(CAST(:refunds AS uuid[]))
    """,
    named=False,
)


# Providers give back ids of these too, where what they did in the end was to refund.
CAPTURES_AND_VOIDS: Final = Statement(
    """
    SELECT id FROM capture_requests WHERE id = ANY(CAST(:ids AS uuid[]))
    UNION ALL
    SELECT id FROM voids WHERE id = ANY(CAST(:ids AS uuid[]))
    """
)


class KnownEventRow(NamedTuple):
    """A row of KNOWN_EVENTS: an event that was recorded before."""

    provider: str
    event_id: str
    status: str | None
    outcome: str


# Nobody enters an event of these payments meanwhile: they are locked.
KNOWN_EVENTS: Final = Statement(
    """
    SELECT provider, event_id, status::text, outcome FROM payment_events
    WHERE event_id = ANY(CAST(:events AS text[])) AND provider = ANY(CAST(:providers AS text[]))
    """,
    binary=True,
    named=False,
)

# An event that was a mismatch is judged again: perhaps it agrees now.
INSERT_EVENTS: Final = Statement(
    """
    INSERT INTO payment_events (delivery_id, provider, event_id, payment_id, status, amount, currency, outcome, entries,
        occurred_at, received_at)
    SELECT * FROM unnest(CAST(:deliveries AS uuid[]), CAST(:providers AS text[]), CAST(:events AS text[]),
        CAST(:payments AS uuid[]), CAST(:statuses AS payment_status[]), CAST(:amounts AS numeric[]),
        CAST(:currencies AS text[]), CAST(:outcomes AS text[]), CAST(:entries AS jsonb[]),
        CAST(:occurred AS timestamptz[]), CAST(:received AS timestamptz[]))
    ON CONFLICT (provider, event_id) DO UPDATE SET outcome = excluded.outcome
        WHERE payment_events.outcome = 'mismatch' AND payment_events.payment_id = excluded.payment_id
            AND payment_events.status IS NOT DISTINCT FROM excluded.status
    """
)


class MovedRefundRow(NamedTuple):
    """A row of MOVE_REFUNDS and of INSERT_REFUNDS. There is no status before of one that is new."""

    id: UUID
    payment_id: UUID
    provider_ref: str | None
    version: int
    status_before: str | None
    status: str


# A refund that is processing is looked up after ten minutes, in case its webhook is lost.
MOVE_REFUNDS: Final = Statement(
    """
    UPDATE refunds AS refund
    SET status = greatest(refund.status, moved.status),
        provider_ref = CASE WHEN refund.named_by_operator THEN moved.reference
            ELSE coalesce(refund.provider_ref, moved.reference) END,
        named_by_operator = refund.named_by_operator AND moved.unconfirmed,
        capture_ref = coalesce(refund.capture_ref, moved.capture),
        attempt_ref = coalesce(refund.attempt_ref, moved.attempt),
        made_for = coalesce(moved.made_for, refund.made_for),
        decline = coalesce(refund.decline, moved.decline),
        next_attempt_at = CASE
            WHEN moved.status > 'processing' THEN NULL
            WHEN moved.status > refund.status THEN now() + interval '10 minutes'
            ELSE refund.next_attempt_at END,
        detail = CASE WHEN moved.status > refund.status THEN moved.detail ELSE refund.detail END,
        version = refund.version + 1, updated_at = now()
    FROM unnest(CAST(:ids AS uuid[]), CAST(:statuses AS refund_status[]), CAST(:references AS text[]),
        CAST(:captures AS text[]), CAST(:attempts AS text[]), CAST(:declines AS text[]), CAST(:details AS text[]),
        CAST(:unconfirmed AS boolean[]), CAST(:made_for AS uuid[]))
        AS moved (id, status, reference, capture, attempt, decline, detail, unconfirmed, made_for)
    WHERE refund.id = moved.id
    RETURNING refund.id, refund.payment_id, refund.provider_ref, refund.version, old.status::text, new.status::text
    """,
    named=False,
)

# Refunds that were made in the provider's dashboard.
INSERT_REFUNDS: Final = Statement(
    """
    INSERT INTO refunds (payment_id, provider_ref, amount, status, capture_ref, attempt_ref, decline, made_for,
        next_attempt_at)
    SELECT payment_id, reference, amount, status, capture, attempt, decline, made_for,
        CASE WHEN status = 'processing' THEN now() + interval '10 minutes' END
    FROM unnest(CAST(:payments AS uuid[]), CAST(:references AS text[]), CAST(:amounts AS numeric[]),
        CAST(:statuses AS refund_status[]), CAST(:captures AS text[]), CAST(:attempts AS text[]),
        CAST(:declines AS text[]), CAST(:made_for AS uuid[]))
        AS made (payment_id, reference, amount, status, capture, attempt, decline, made_for)
    RETURNING id, payment_id, provider_ref, version, NULL, status::text
    """,
    named=False,
)

# An event that was a mismatch is judged again: perhaps it agrees now.
INSERT_REFUND_EVENTS: Final = Statement("""
    INSERT INTO refund_events (delivery_id, provider, event_id, refund_id, status, amount, currency, outcome,
        occurred_at, received_at)
    SELECT * FROM unnest(CAST(:deliveries AS uuid[]), CAST(:providers AS text[]), CAST(:events AS text[]),
        CAST(:refunds AS uuid[]), CAST(:statuses AS refund_status[]), CAST(:amounts AS numeric[]),
        CAST(:currencies AS text[]), CAST(:outcomes AS text[]), CAST(:occurred AS timestamptz[]),
        CAST(:received AS timestamptz[]))
    ON CONFLICT (provider, event_id, refund_id) DO UPDATE SET outcome = excluded.outcome
        WHERE refund_events.outcome = 'mismatch'
""")


def as_json(raw: dict[str, Any] | bytes) -> bytes:
    """The body behind an event as JSON, for ``raws`` of FOLD."""
    if isinstance(raw, bytes):
        return raw
    try:
        return orjson.dumps(raw)
    except TypeError:
        # It refuses integers of more than 64 bits, which a verified webhook may hold.
        return json.dumps(raw).encode()
