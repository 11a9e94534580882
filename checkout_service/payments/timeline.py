"""The timeline of a payment as the API shows it: what was reported, and the entries that it came to, in one list."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Protocol
from uuid import UUID

from checkout_service.api.responses import show_time
from checkout_service.money import show

# One row an entry, of the payment in the scope around it. ``place`` orders what has one moment: entries before the
# event that made them. Reviews and notices are for staff, as the reasons are.
_ENTRIES: Final = """
    SELECT 1 AS place, 'attempt' AS kind, attempt.id AS entry_id, attempt.attempt_ref AS name, attempt.replaces AS of,
        attempt.status::text AS entry_status, NULL AS stage,
        coalesce(attempt.amount_presumed, attempt.amount_authorized) AS entry_amount,
        coalesce(attempt.currency, payment.currency) AS entry_currency, NULL::numeric AS entry_lost,
        attempt.reported_at AS occurred_at, attempt.created_at AS received_at,
        CASE attempt.status WHEN 'authorized' THEN attempt.expires_at END AS due_at,
        NULL AS reason, attempt.decline, NULL AS outcome, NULL::jsonb AS entries
    FROM payment_attempts AS attempt WHERE attempt.payment_id = payment.id
    UNION ALL
    SELECT 2, 'capture', capture.id, capture.capture_ref, capture.attempt_ref, capture.status::text, NULL,
        capture.amount, capture.currency,
        CASE WHEN capture.status = 'undone' AND NOT capture_counts(capture) THEN capture.amount ELSE 0 END, NULL,
        capture.created_at, NULL, NULL, NULL,
        NULL, NULL
    FROM captures AS capture WHERE capture.payment_id = payment.id
    UNION ALL
    SELECT 3, 'refund', refund.id, refund.provider_ref, coalesce(refund.capture_ref, refund.attempt_ref),
        refund.status::text, NULL, refund.amount, refund.currency, NULL, NULL, refund.created_at, NULL, refund.reason,
        refund.decline, NULL, NULL
    FROM refunds AS refund WHERE refund.payment_id = payment.id
    UNION ALL
    SELECT 4, 'dispute', dispute.id, dispute.dispute_ref,
        coalesce(nullif(dispute.capture_ref, ''), dispute.attempt_ref), dispute.status::text, dispute.stage::text,
        dispute.amount, coalesce(dispute.currency, payment.currency),
        CASE WHEN dispute.money_step > 0 AND dispute.money_out
            THEN coalesce(dispute.amount, payment.amount_captured) ELSE 0 END,
        nullif(dispute.reported_at, '-infinity'), dispute.created_at, dispute.evidence_due_at, dispute.reason, NULL,
        NULL, NULL
    FROM disputes AS dispute WHERE dispute.payment_id = payment.id
    UNION ALL
    SELECT 5, 'capture_request', request.id, request.provider_ref, request.attempt_ref, request.status::text, NULL,
        request.amount, request.currency, NULL, NULL, request.created_at, NULL, NULL, request.decline, NULL, NULL
    FROM capture_requests AS request WHERE request.payment_id = payment.id
    UNION ALL
    SELECT 6, 'void', void.id, NULL, NULL, void.status::text, NULL, NULL, payment.currency, NULL, NULL, void.created_at,
        NULL, NULL, void.decline, NULL, NULL
    FROM voids AS void WHERE void.payment_id = payment.id
    UNION ALL
    SELECT 7, 'closed', NULL, NULL, NULL, payment.closed::text, NULL, NULL, NULL, NULL, NULL,
        coalesce((SELECT min(event.received_at) FROM payment_events AS event
            WHERE event.payment_id = payment.id AND event.status = payment.closed), payment.updated_at),
        NULL, NULL, NULL, NULL, NULL
    WHERE payment.closed IS NOT NULL
    UNION ALL
    SELECT 8, 'acceptance', acceptance.id, NULL, NULL, 'accepted', NULL, acceptance.amount, payment.currency, NULL,
        NULL, acceptance.created_at, NULL, {why}, NULL, NULL, NULL
    FROM payment_acceptances AS acceptance WHERE acceptance.payment_id = payment.id
    UNION ALL
    SELECT 9, 'notice', notice.id, notice.ref, NULL, 'reported', NULL, NULL, NULL, NULL, NULL, notice.created_at, NULL,
        notice.reason, NULL, NULL, NULL
    FROM payment_notices AS notice WHERE {anybodys} AND notice.payment_id = payment.id
    UNION ALL
    SELECT 10, 'review', review.id, NULL, NULL, 'seen', NULL, NULL, NULL, NULL, NULL, review.created_at, NULL,
        review.reason, NULL, NULL, NULL
    FROM payment_reviews AS review WHERE {anybodys} AND review.payment_id = payment.id
    UNION ALL
    SELECT 11, 'event', event.id, NULL, NULL, event.status::text, NULL, event.amount, event.currency, NULL,
        event.occurred_at, event.received_at, NULL, NULL, NULL, event.outcome, event.entries
    FROM payment_events AS event WHERE event.payment_id = payment.id
"""


def entries_of(*, anybodys: bool) -> str:
    """The entries of the payment in the scope around it: as staff reads them with ``anybodys``, else as a customer."""
    return _ENTRIES.format(anybodys=anybodys, why="acceptance.why" if anybodys else "NULL")


class EntryRow(Protocol):
    """The columns of ``entries_of``; NULL in all of them where a payment has no entry."""

    place: int
    kind: str | None
    entry_id: UUID | None
    name: str | None
    of: str | None
    entry_status: str | None
    stage: str | None
    entry_amount: Decimal | None
    entry_currency: str | None
    entry_lost: Decimal | None
    occurred_at: datetime | None
    received_at: datetime
    due_at: datetime | None
    reason: str | None
    decline: str | None
    outcome: str | None
    entries: Sequence[Any] | None


def show_entry(row: EntryRow, *, anybodys: bool) -> dict[str, Any]:
    """One entry as the API shows it: members that every kind has, then those of its own.

    With ``anybodys`` it is shown to staff: what an event says of notices is for them, as the notices are, and so is why
    something waits, since a review warns whom it is about.
    """
    shown: dict[str, Any] = {
        "kind": row.kind,
        "id": None if row.entry_id is None else str(row.entry_id),
        "name": row.name or None,
        "status": row.entry_status,
        "amount": _amount(row.entry_amount, row.entry_currency),
        "currency": row.entry_currency,
        "occurred_at": _time(row.occurred_at),
        "received_at": show_time(row.received_at),
        "reason": row.reason,
    }
    match row.kind:
        case "event":
            words_of = row.entries or () if anybodys else _for_customers(row.entries or ())
            shown |= {"outcome": row.outcome, "entries": list(words_of)}
        case "attempt":
            shown |= {"replaces": row.of, "expires_at": _time(row.due_at), "decline": row.decline}
        case "capture":
            shown |= {"of": row.of or None, "amount_lost": _amount(row.entry_lost, row.entry_currency)}
        case "refund" | "capture_request" | "void":
            shown |= {"of": row.of or None, "decline": row.decline}
        case "dispute":
            shown |= {
                "of": row.of or None,
                "stage": row.stage,
                "amount_lost": _amount(row.entry_lost, row.entry_currency),
                "evidence_due_at": _time(row.due_at),
            }
    return shown


def _for_customers(entries: Sequence[Any]) -> list[Any]:
    shown = [words for words in entries if "notice" not in words]
    return [{name: value for name, value in words.items() if name != "pending"} for words in shown]


def _amount(amount: Decimal | None, currency: str | None) -> str | None:
    return None if amount is None else show(amount, currency)


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else show_time(moment)
