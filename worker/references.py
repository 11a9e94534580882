"""What we know of payments when their providers are asked about them."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Final, NamedTuple
from uuid import UUID

from checkout_service.database.engine import execute
from checkout_service.database.statements import Statement
from checkout_service.providers.base import Reference
from worker.owners import OWNERS

# The newest names: an open authorisation goes before other attempts, one that was ever authorized before those that
# failed, money that came before other captures.
_COLUMNS: Final = """
    payment.id, payment.provider, payment.provider_ref, payment.amount, payment.currency, attempt.attempt_ref,
    capture.capture_ref, session.payment_token, payment.status IN ('expired', 'canceled') OR EXISTS (
        SELECT FROM cancel_requests AS request
        WHERE request.payment_id = payment.id AND request.next_attempt_at IS NOT NULL
    ) AS closed, ARRAY(
        SELECT event.event_id FROM payment_events AS event
        WHERE event.payment_id = payment.id AND event.status = 'failed' ORDER BY event.id DESC LIMIT 10
    ) AS failed_events
    FROM payments AS payment LEFT JOIN checkout_sessions AS session ON session.payment_id = payment.id
    LEFT JOIN LATERAL (
        SELECT entry.attempt_ref FROM payment_attempts AS entry
        WHERE entry.payment_id = payment.id AND entry.attempt_ref <> ''
        ORDER BY entry.status = 'authorized' AND NOT entry.rest_released DESC, entry.status = 'authorized' DESC,
            entry.id DESC
        LIMIT 1
    ) AS attempt ON true
    LEFT JOIN LATERAL (
        SELECT entry.capture_ref FROM captures AS entry WHERE entry.payment_id = payment.id
        ORDER BY entry.status = 'succeeded' DESC, entry.id DESC LIMIT 1
    ) AS capture ON true
"""

# A payment's own reference goes before other names; of several payments of one name it is the first that has it.
_by_refs = Statement(
    f"""SELECT given.name, {_COLUMNS} JOIN (
        SELECT DISTINCT ON (given.provider, given.name) given.name, owner.id
        FROM unnest(CAST(:providers AS text[]), CAST(:refs AS text[])) AS given (provider, name)
        CROSS JOIN LATERAL (
        {OWNERS}
        ) AS owner
        JOIN payments AS named ON named.id = owner.id AND named.provider = given.provider
        ORDER BY given.provider, given.name, named.provider_ref <> given.name, named.created_at, named.id
    ) AS given ON given.id = payment.id""",  # noqa: S608 (only our own constants)
    named=False,
)
_by_id = Statement(f"SELECT NULL, {_COLUMNS} WHERE payment.id = :id", named=False)


class _Row(NamedTuple):
    name: str | None
    id: UUID
    provider: str
    provider_ref: str
    amount: Decimal
    currency: str
    attempt_ref: str | None
    capture_ref: str | None
    payment_token: str | None
    closed: bool
    failed_events: list[str]


def references(named: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Reference]:
    """What we know of those payments that are here; one statement. Each is named by its provider and its reference, or
    another name of its entries (an attempt, a capture, a dispute, a refund), and stands under the name that was given.

    Raises DatabaseUnavailableError.
    """
    names = sorted(set(named))
    values = {"providers": [provider for provider, _ in names], "refs": [name for _, name in names]}
    rows = map(_Row._make, execute(_by_refs, values) if names else ())
    return {(row.provider, row.name or row.provider_ref): _reference(row) for row in rows}


def reference(payment_id: UUID) -> Reference:
    """What we know of one payment that is here. Raises DatabaseUnavailableError."""
    (row,) = map(_Row._make, execute(_by_id, {"id": payment_id}))
    return _reference(row)


def _reference(row: _Row) -> Reference:
    return Reference(
        provider_ref=row.provider_ref,
        payment_id=row.id,
        amount=row.amount,
        currency=row.currency,
        payment_token=row.payment_token,
        attempt_ref=row.attempt_ref,
        capture_ref=row.capture_ref,
        closed=row.closed,
        failed_events=row.failed_events,
    )
