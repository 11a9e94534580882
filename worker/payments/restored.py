"""Payments that wait for their look-up after a restore (``checkout after-restore``), whatever their status is.

A row is taken for some minutes, and is gone only in the transaction in which its provider's answer was recorded. So a
run that ends, a provider that is away, or a payment that moves meanwhile costs a while, never the look-up. Where the
provider cannot tell what was given back, the row stands, answered, until an operator lets it go.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, text

from checkout_service.database.engine import execute
from checkout_service.providers.registry import tells_all

STEP: Final = 20
"""Payments of one provider that are taken at a time."""

_take = text(f"""
    WITH RECURSIVE names AS (
        SELECT min(provider) AS name FROM look_ups_after_restore WHERE answered_at IS NULL
        UNION ALL
        SELECT (SELECT min(provider) FROM look_ups_after_restore WHERE answered_at IS NULL AND provider > names.name)
        FROM names WHERE names.name IS NOT NULL
    ), due AS (
        SELECT own.id FROM names CROSS JOIN LATERAL (
            SELECT id FROM look_ups_after_restore
            WHERE provider = names.name AND answered_at IS NULL AND due_at <= now()
            ORDER BY due_at LIMIT {STEP} FOR UPDATE SKIP LOCKED
        ) AS own
        WHERE names.name IS NOT NULL
            AND (CAST(:providers AS text[]) IS NULL OR names.name = ANY(CAST(:providers AS text[])))
    )
    UPDATE look_ups_after_restore AS taken SET due_at = now() + interval '10 minutes', updated_at = now()
    FROM due WHERE taken.id = due.id
    RETURNING taken.payment_id, taken.provider,
        (SELECT status::text FROM payments WHERE id = taken.payment_id) AS status
""")  # noqa: S608 (only our own constants)

_give_back = text("""
    UPDATE look_ups_after_restore SET due_at = now(), updated_at = now()
    WHERE payment_id = ANY(CAST(:payments AS uuid[])) AND answered_at IS NULL
""")

_forget = text("DELETE FROM look_ups_after_restore WHERE payment_id = :payment")

_note = text("""
    UPDATE look_ups_after_restore SET answered_at = now(), updated_at = now()
    WHERE payment_id = :payment AND answered_at IS NULL
""")


class Waiting(NamedTuple):
    """A payment that was taken to be looked up."""

    payment_id: UUID
    provider: str
    status: str


def take(providers: Sequence[str] | None) -> list[Waiting]:
    """Take payments that are due at these providers, or at all. Raises DatabaseUnavailableError."""
    rows = execute(_take, {"providers": None if providers is None else list(providers)})
    return list(map(Waiting._make, rows))


def give_back(payments: Sequence[UUID]) -> None:
    """They were not asked about after all. Raises DatabaseUnavailableError."""
    if payments:
        execute(_give_back, {"payments": list(payments)})


def note_recorded(connection: Connection, payment_id: UUID, provider: str) -> None:
    """In the transaction that recorded the answer: the payment waits no more, if its provider tells all there is."""
    connection.execute(_forget if tells_all(provider) else _note, {"payment": payment_id})
