"""The statements that join entries with the rows that are there: the greater of what is known and what is new.

Each takes arrays with one place for each entry, in the order of their names. A column of which a set says nothing is an
empty array: unnest fills it with NULL. Rows come back only of entries that are new or told more than what was known,
with what they were before.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple
from uuid import UUID

from checkout_service.database.statements import Statement


class AttemptRow(NamedTuple):
    """A row of JOIN_ATTEMPTS. The values before are NULL of one that is new."""

    id: UUID
    payment_id: UUID
    attempt_ref: str
    version: int
    status: str
    status_before: str | None
    currency_before: str | None
    presumed_before: Decimal | None
    authorized_before: Decimal | None
    released_before: bool | None
    expires_before: datetime | None
    times_out_before: datetime | None
    replaces_before: str | None
    decline_before: str | None
    reported_before: datetime | None
    is_new_version: bool


# Of two currencies under one name the payment's own is kept, else the smaller text: currency_prevails
# (migrations/entries/guards.sql). It is called only where there are two.
_SAME_CURRENCY: Final = "coalesce(entry.currency = excluded.currency, true)"
_PREVAILS: Final = "currency_prevails(entry.payment_id, excluded.currency, entry.currency)"
_CURRENCY: Final = f"""CASE WHEN {_SAME_CURRENCY} THEN coalesce(entry.currency, excluded.currency)
    WHEN {_PREVAILS} THEN excluded.currency ELSE entry.currency END"""


def _amount(column: str) -> str:
    return f"""CASE WHEN {_SAME_CURRENCY} THEN greatest(entry.{column}, excluded.{column})
        WHEN {_PREVAILS} THEN excluded.{column} ELSE entry.{column} END"""


# That it was reported once more, later, is written and is no new version.
_ATTEMPT_BEFORE: Final = """(entry.status, entry.currency, entry.amount_presumed, entry.amount_authorized,
    entry.rest_released, entry.expires_at, entry.times_out_at, entry.replaces, entry.decline)"""
_ATTEMPT_AFTER: Final = f"""(
    greatest(entry.status, excluded.status),
    {_CURRENCY},
    {_amount("amount_presumed")},
    {_amount("amount_authorized")},
    entry.rest_released OR excluded.rest_released,
    greatest(entry.expires_at, excluded.expires_at),
    greatest(entry.times_out_at, excluded.times_out_at),
    greatest(entry.replaces, excluded.replaces),
    coalesce(entry.decline, excluded.decline))"""

JOIN_ATTEMPTS: Final = Statement(
    f"""
    INSERT INTO payment_attempts AS entry (payment_id, provider, attempt_ref, status, reported_at, currency,
        amount_presumed, amount_authorized, rest_released, expires_at, times_out_at, replaces, decline)
    SELECT payment_id, provider, ref, status, reported_at, currency, presumed, authorized, coalesce(released, false),
        expires_at, times_out_at, replaces, decline
    FROM unnest(CAST(:payments AS uuid[]), CAST(:providers AS text[]), CAST(:refs AS text[]),
        CAST(:statuses AS attempt_status[]), CAST(:reported AS timestamptz[]), CAST(:currencies AS text[]),
        CAST(:presumed AS numeric[]), CAST(:authorized AS numeric[]), CAST(:released AS boolean[]),
        CAST(:expires AS timestamptz[]), CAST(:times_out AS timestamptz[]), CAST(:replaces AS text[]),
        CAST(:declines AS text[]))
        AS given (payment_id, provider, ref, status, reported_at, currency, presumed, authorized, released, expires_at,
            times_out_at, replaces, decline)
    ON CONFLICT (payment_id, attempt_ref) DO UPDATE SET
        (status, currency, amount_presumed, amount_authorized, rest_released, expires_at, times_out_at, replaces,
            decline) = {_ATTEMPT_AFTER},
        reported_at = greatest(entry.reported_at, excluded.reported_at),
        version = entry.version + CASE WHEN {_ATTEMPT_BEFORE} IS DISTINCT FROM {_ATTEMPT_AFTER} THEN 1 ELSE 0 END,
        updated_at = now()
    WHERE {_ATTEMPT_BEFORE} IS DISTINCT FROM {_ATTEMPT_AFTER} OR excluded.reported_at > entry.reported_at
    RETURNING entry.id, entry.payment_id, entry.attempt_ref, entry.version, new.status::text, old.status::text,
        old.currency::text, old.amount_presumed, old.amount_authorized, old.rest_released, old.expires_at,
        old.times_out_at, old.replaces, old.decline, old.reported_at, new.version IS DISTINCT FROM old.version
    """,  # noqa: S608 (only our own constants)
    binary=True,
    named=False,
)


class CaptureRow(NamedTuple):
    """A row of JOIN_CAPTURES."""

    id: UUID
    payment_id: UUID
    capture_ref: str
    version: int
    status: str
    status_before: str | None
    amount_before: Decimal | None
    currency_before: str | None
    attempt_before: str | None


_CAPTURE_AFTER: Final = f"""(
    CASE WHEN entry.payment_id = excluded.payment_id THEN greatest(entry.status, excluded.status)
        ELSE entry.status END,
    CASE WHEN entry.payment_id = excluded.payment_id THEN {_amount("amount")} ELSE entry.amount END,
    CASE WHEN entry.payment_id = excluded.payment_id THEN {_CURRENCY} ELSE entry.currency END,
    CASE WHEN entry.payment_id = excluded.payment_id THEN greatest(entry.attempt_ref, excluded.attempt_ref)
        ELSE entry.attempt_ref END)"""

# A row of another payment comes back too, unchanged: another set has entered the name for it a moment ago.
JOIN_CAPTURES: Final = Statement(
    f"""
    INSERT INTO captures AS entry (payment_id, provider, capture_ref, attempt_ref, status, amount, currency)
    SELECT * FROM unnest(CAST(:payments AS uuid[]), CAST(:providers AS text[]), CAST(:refs AS text[]),
        CAST(:attempts AS text[]), CAST(:statuses AS capture_status[]), CAST(:amounts AS numeric[]),
        CAST(:currencies AS text[]))
    ON CONFLICT (provider, capture_ref) DO UPDATE SET
        (status, amount, currency, attempt_ref) = {_CAPTURE_AFTER}, version = entry.version + 1, updated_at = now()
    WHERE entry.payment_id <> excluded.payment_id
        OR (entry.status, entry.amount, entry.currency, entry.attempt_ref) IS DISTINCT FROM {_CAPTURE_AFTER}
    RETURNING entry.id, entry.payment_id, entry.capture_ref, entry.version, new.status::text, old.status::text,
        old.amount, old.currency::text, old.attempt_ref
    """,  # noqa: S608 (only our own constants)
    binary=True,
    named=False,
)


class DisputeRow(NamedTuple):
    """A row of JOIN_DISPUTES. ``at_before`` is NULL where nobody signed a moment."""

    id: UUID
    payment_id: UUID
    dispute_ref: str
    version: int
    status: str
    status_before: str | None
    stage_before: str | None
    at_before: datetime | None
    rank_before: int | None
    event_before: str | None
    reason_before: str | None
    due_before: datetime | None
    blocks_before: bool | None
    step_before: int | None
    out_before: bool | None
    only_before: bool | None
    amount_before: Decimal | None
    currency_before: str | None
    capture_before: str | None
    attempt_before: str | None


# What is reported is one value, whose greatest is kept; so are the number and the direction of a movement of money.
_LATER: Final = """(excluded.stage, excluded.reported_at, excluded.rank, excluded.event_id)
    > (entry.stage, entry.reported_at, entry.rank, entry.event_id)"""
_MOVED: Final = "(excluded.money_step, excluded.money_out) > (entry.money_step, entry.money_out)"
_REPORTED: Final = ("stage", "status", "reported_at", "rank", "event_id", "reason", "evidence_due_at", "blocks_refund")
_DISPUTE_AFTER: Final = f"""(
    {", ".join(f"CASE WHEN {_LATER} THEN excluded.{name} ELSE entry.{name} END" for name in _REPORTED)},
    CASE WHEN {_MOVED} THEN excluded.money_step ELSE entry.money_step END,
    CASE WHEN {_MOVED} THEN excluded.money_out ELSE entry.money_out END,
    entry.money_only OR excluded.money_only,
    {_amount("amount")},
    {_CURRENCY},
    greatest(entry.capture_ref, excluded.capture_ref),
    greatest(entry.attempt_ref, excluded.attempt_ref))"""
_DISPUTE_COLUMNS: Final = (
    *_REPORTED,
    "money_step",
    "money_out",
    "money_only",
    "amount",
    "currency",
    "capture_ref",
    "attempt_ref",
)

JOIN_DISPUTES: Final = Statement(
    f"""
    INSERT INTO disputes AS entry (payment_id, provider, dispute_ref, capture_ref, attempt_ref, stage, status,
        reported_at, rank, event_id, reason, evidence_due_at, blocks_refund, money_step, money_out, money_only,
        amount, currency)
    SELECT payment_id, provider, ref, capture, attempt, stage, status, coalesce(reported_at, '-infinity'), rank,
        event_id, reason, evidence_due_at, blocks_refund, step, money_out, money_only, amount, currency
    FROM unnest(CAST(:payments AS uuid[]), CAST(:providers AS text[]), CAST(:refs AS text[]),
        CAST(:captures AS text[]), CAST(:attempts AS text[]), CAST(:stages AS dispute_stage[]),
        CAST(:statuses AS dispute_status[]), CAST(:reported AS timestamptz[]), CAST(:ranks AS integer[]),
        CAST(:events AS text[]), CAST(:reasons AS text[]), CAST(:due AS timestamptz[]), CAST(:blocks AS boolean[]),
        CAST(:steps AS integer[]), CAST(:outs AS boolean[]), CAST(:only AS boolean[]), CAST(:amounts AS numeric[]),
        CAST(:currencies AS text[]))
        AS given (payment_id, provider, ref, capture, attempt, stage, status, reported_at, rank, event_id, reason,
            evidence_due_at, blocks_refund, step, money_out, money_only, amount, currency)
    ON CONFLICT (payment_id, dispute_ref) DO UPDATE SET
        ({", ".join(_DISPUTE_COLUMNS)}) = {_DISPUTE_AFTER}, version = entry.version + 1, updated_at = now()
    WHERE ({", ".join(f"entry.{name}" for name in _DISPUTE_COLUMNS)}) IS DISTINCT FROM {_DISPUTE_AFTER}
    RETURNING entry.id, entry.payment_id, entry.dispute_ref, entry.version, new.status::text, old.status::text,
        old.stage::text, nullif(old.reported_at, '-infinity'), old.rank, old.event_id, old.reason, old.evidence_due_at,
        old.blocks_refund, old.money_step, old.money_out, old.money_only, old.amount, old.currency::text,
        old.capture_ref, old.attempt_ref
    """,  # noqa: S608 (only our own constants)
    binary=True,
    named=False,
)


class NoticeRow(NamedTuple):
    """A row of INSERT_NOTICES: a notice that is new."""

    payment_id: UUID
    reason: str
    ref: str


INSERT_NOTICES: Final = Statement(
    """
    INSERT INTO payment_notices (payment_id, reason, ref, detail)
    SELECT * FROM unnest(CAST(:payments AS uuid[]), CAST(:reasons AS text[]), CAST(:refs AS text[]),
        CAST(:details AS text[]))
    ON CONFLICT (payment_id, reason, ref) DO NOTHING
    RETURNING payment_id, reason, ref
    """,
    binary=True,
    named=False,
)

REFUSE_VOIDS: Final = Statement(
    """
    UPDATE voids AS void
    SET status = 'failed', decline = :decline, next_attempt_at = NULL, detail = NULL, version = void.version + 1,
        updated_at = now()
    FROM unnest(CAST(:voids AS uuid[]), CAST(:payments AS uuid[])) AS refused (id, payment_id)
    WHERE void.id = refused.id AND void.payment_id = refused.payment_id AND void.status <= 'processing'
    RETURNING void.id
    """
)

# A request is found by our id where the provider gave it back, else by the capture's name. A name that several captures
# share (Stripe's charge) is that of the first.
MOVE_REQUESTS: Final = Statement(
    """
    UPDATE capture_requests AS request
    SET status = greatest(request.status, moved.status),
        provider_ref = CASE WHEN request.provider_ref IS NULL AND NOT moved.taken THEN moved.ref
            ELSE request.provider_ref END,
        next_attempt_at = CASE WHEN greatest(request.status, moved.status) > 'processing' THEN NULL
            WHEN moved.status > request.status THEN now() + interval '10 minutes' ELSE request.next_attempt_at END,
        detail = CASE WHEN moved.status > request.status THEN NULL ELSE request.detail END,
        version = request.version + 1, updated_at = now()
    FROM (
        SELECT mine.id, max(given.status) AS status, min(given.ref) AS ref, EXISTS (
            SELECT FROM capture_requests AS other
            WHERE other.provider = min(given.provider) AND other.provider_ref = min(given.ref)
        ) OR row_number() OVER (PARTITION BY min(given.provider), min(given.ref) ORDER BY mine.id) > 1 AS taken
        FROM unnest(CAST(:payments AS uuid[]), CAST(:providers AS text[]), CAST(:refs AS text[]),
            CAST(:requests AS uuid[]), CAST(:statuses AS request_status[]))
            AS given (payment_id, provider, ref, request_id, status)
        JOIN capture_requests AS mine ON mine.payment_id = given.payment_id
            AND (mine.id = given.request_id OR mine.provider_ref = given.ref)
        GROUP BY mine.id
    ) AS moved
    WHERE request.id = moved.id AND (
        moved.status > request.status OR request.provider_ref IS NULL AND NOT moved.taken)
    """,
    named=False,
)
