"""Reads what stands in a payment's entries of money, each as a typed entry: five statements, however many there are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from sqlalchemy import text

from checkout_service.database.engine import execute
from checkout_service.disputes.queries import evidence_at
from checkout_service.oversight.entries import (
    AmountAccepted,
    AttemptEntered,
    CaptureEntered,
    CaptureRequested,
    DisputeEntered,
    Entry,
    NoticeEntered,
    ReasonSeen,
    VoidRequested,
)
from checkout_service.payments.status import (
    AttemptStatus,
    CaptureStatus,
    DisputeStage,
    DisputeStatus,
    RequestStatus,
)

_attempts = text("""
    SELECT attempt.created_at AS at, attempt.attempt_ref AS name, attempt.status::text AS status, attempt.reported_at,
        attempt.amount_presumed AS presumed, attempt.amount_authorized AS authorized,
        coalesce(attempt.currency, payment.currency) AS currency, attempt.rest_released, attempt.expires_at,
        attempt.times_out_at, attempt.given_up_at, attempt.replaces, attempt.decline
    FROM payment_attempts AS attempt JOIN payments AS payment ON payment.id = attempt.payment_id
    WHERE attempt.payment_id = :id ORDER BY attempt.id
""")

_captures = text("""
    SELECT created_at AS at, id AS capture_id, capture_ref AS name, attempt_ref AS of, status::text AS status, amount,
        currency
    FROM captures WHERE payment_id = :id ORDER BY id
""")

_disputes = text("""
    SELECT dispute.created_at AS at, dispute.dispute_ref AS name,
        coalesce(nullif(dispute.capture_ref, ''), dispute.attempt_ref) AS of, dispute.stage::text AS stage,
        dispute.status::text AS status, dispute.reason,
        coalesce(dispute.amount, CASE WHEN dispute.money_step > 0 THEN payment.amount_captured END) AS amount,
        CASE WHEN dispute.money_step > 0 AND dispute.money_out THEN coalesce(dispute.amount, payment.amount_captured)
            ELSE 0 END AS amount_lost,
        coalesce(dispute.currency, payment.currency) AS currency,
        dispute.money_step = 0 AND dispute.blocks_refund AS blocks_refund, dispute.evidence_due_at, dispute.provider
    FROM disputes AS dispute JOIN payments AS payment ON payment.id = dispute.payment_id
    WHERE dispute.payment_id = :id ORDER BY dispute.id
""")

_requests = text("""
    SELECT 'capture' AS kind, created_at AS at, id AS request_id, provider_ref AS name, attempt_ref AS of, amount,
        currency, final, status::text AS status, decline, requested_by, attempts, detail, next_attempt_at
    FROM capture_requests WHERE payment_id = :id
    UNION ALL
    SELECT 'void', created_at, id, NULL, NULL, NULL, NULL, NULL, status::text, decline, requested_by, attempts, detail,
        next_attempt_at
    FROM voids WHERE payment_id = :id
    ORDER BY request_id
""")

_by_people = text("""
    SELECT 'accepted' AS kind, acceptance.id, acceptance.created_at AS at, acceptance.amount, payment.currency,
        acceptance.operator, acceptance.why, NULL AS reason, NULL AS ref, NULL AS detail, NULL AS amounts
    FROM payment_acceptances AS acceptance JOIN payments AS payment ON payment.id = acceptance.payment_id
    WHERE acceptance.payment_id = :id
    UNION ALL
    SELECT 'notice', id, created_at, NULL, NULL, NULL, NULL, reason, ref, detail, NULL
    FROM payment_notices WHERE payment_id = :id
    UNION ALL
    SELECT 'seen', id, created_at, NULL, NULL, NULL, NULL, reason, NULL, NULL, amounts
    FROM payment_reviews WHERE payment_id = :id
    ORDER BY id
""")

_OF_CAPTURE = ("name", "of", "amount", "currency", "final")


def money_entries(payment_id: UUID) -> Iterator[Entry]:
    """The entries of money, and what people made of them, in no order. Raises DatabaseUnavailableError."""
    of = {"id": payment_id}
    for row in execute(_attempts, of):
        yield AttemptEntered(**row._asdict() | {"status": AttemptStatus(row.status)})
    for row in execute(_captures, of):
        yield CaptureEntered(**row._asdict() | {"status": CaptureStatus(row.status)})
    for row in execute(_disputes, of):
        columns = row._asdict()
        place = evidence_at(columns.pop("provider"))
        words = {"stage": DisputeStage(row.stage), "status": DisputeStatus(row.status)}
        yield DisputeEntered(**columns | words, evidence_at=place)
    for row in execute(_requests, of):
        yield _request(row._asdict())
    for row in execute(_by_people, of):
        match row.kind:
            case "accepted":
                yield AmountAccepted(
                    at=row.at, amount=row.amount, currency=row.currency, operator=row.operator, why=row.why
                )
            case "notice":
                yield NoticeEntered(at=row.at, reason=row.reason, ref=row.ref, detail=row.detail)
            case _:
                yield ReasonSeen(at=row.at, reason=row.reason, amounts=row.amounts)


def _request(columns: dict[str, Any]) -> CaptureRequested | VoidRequested:
    columns["status"] = RequestStatus(columns["status"])
    if columns.pop("kind") == "capture":
        return CaptureRequested(**columns)
    return VoidRequested(**{name: value for name, value in columns.items() if name not in _OF_CAPTURE})
