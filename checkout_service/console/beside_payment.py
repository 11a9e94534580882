"""Reads for operators what a payment's own page shows beside its timeline: what it is for, and its provider's names.

One statement, of a bounded number of rows along the indexes of the payment's id.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text

from checkout_service.database.engine import execute

LINES_SHOWN: Final = 50

NAMES_READ: Final = 20

_beside = text(f"""
    SELECT (SELECT owner.subject FROM users AS owner WHERE owner.id = payment.user_id) AS subject,
        session.buyer, jsonb_array_length(session.lines) AS number_of_lines,
        (SELECT jsonb_agg(line.value ORDER BY line.place) FROM (
            SELECT * FROM jsonb_array_elements(session.lines) WITH ORDINALITY AS each (value, place) LIMIT {LINES_SHOWN}
        ) AS line) AS lines,
        ARRAY(SELECT capture.capture_ref FROM captures AS capture
            WHERE capture.payment_id = payment.id AND capture.capture_ref <> ''
            ORDER BY capture.id DESC LIMIT {NAMES_READ}) AS capture_refs,
        ARRAY(SELECT attempt.attempt_ref FROM payment_attempts AS attempt
            WHERE attempt.payment_id = payment.id AND attempt.attempt_ref <> ''
            ORDER BY attempt.id DESC LIMIT {NAMES_READ}) AS attempt_refs
    FROM payments AS payment LEFT JOIN checkout_sessions AS session ON session.payment_id = payment.id
    WHERE payment.id = :id
""")  # noqa: S608 (only our own constants)


@dataclass(frozen=True, slots=True, kw_only=True)
class BesidePayment:
    """What a payment is for: the ``lines`` that its session sealed, as far as they are shown, and who buys.

    ``subject`` is what their tokens call the customer, where that is no UUID; ``buyer`` is what they wrote of
    themselves. Without a session nobody knows what was bought. ``attempt_refs`` and ``capture_refs`` are the provider's
    names, the newest first.
    """

    subject: str | None
    buyer: Mapping[str, Any] | None
    lines: Sequence[Mapping[str, Any]]
    number_of_lines: int
    attempt_refs: Sequence[str]
    capture_refs: Sequence[str]


def beside_payment(payment_id: UUID) -> BesidePayment:
    """What stands beside a payment; nothing of one that is not there. Raises DatabaseUnavailableError."""
    rows = execute(_beside, {"id": payment_id})
    if not rows:
        return BesidePayment(subject=None, buyer=None, lines=(), number_of_lines=0, attempt_refs=(), capture_refs=())
    row = rows[0]
    return BesidePayment(
        subject=row.subject,
        buyer=row.buyer,
        lines=row.lines or (),
        number_of_lines=row.number_of_lines or 0,
        attempt_refs=row.attempt_refs,
        capture_refs=row.capture_refs,
    )
