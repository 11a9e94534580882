"""Reads of captures, of what staff asked for, and of what may still be captured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

from checkout_service.api.responses import show_time
from checkout_service.database.engine import execute
from checkout_service.database.statements import Statement
from checkout_service.money import show

REQUEST: Final = """
    request.id, request.payment_id, request.attempt_ref, request.provider_ref, request.amount, request.currency,
    request.final, request.releases, request.status::text AS status, request.decline, request.detail,
    request.request_hash, request.created_at, request.updated_at
"""
"""The values of ``RequestRow``."""

VOID: Final = """
    void.id, void.payment_id, void.releases, void.currency, void.status::text AS status, void.decline, void.detail,
    void.request_hash, void.created_at, void.updated_at
"""
"""The values of ``VoidRow``."""

# payment_authorizations (migrations/entries/requests.sql) says what is open; the triggers of a request judge by it.
# capture_requests_wait_for_look_up (migrations/restores/look_ups.sql) judges by ``waits``.
_capturable: Final = Statement(
    f"""
    SELECT payment.provider, payment.currency, payment.status::text AS payment_status,
        EXISTS (SELECT FROM voids WHERE payment_id = payment.id AND status <= 'processing') AS voiding,
        EXISTS (SELECT FROM look_ups_after_restore AS waiting WHERE waiting.payment_id = payment.id) AS waits,
        (SELECT jsonb_agg(jsonb_build_array(promise.id, promise.attempt_ref, promise.room::text, trunc(
            capture_limit(payment.provider, promise.room, payment.currency),
            currency_decimals(payment.currency))::text))
        FROM payment_authorizations(payment.id) AS promise WHERE promise.room > 0) AS authorizations, {REQUEST}
    FROM payments AS payment
    LEFT JOIN capture_requests AS request ON request.requested_by = :requested_by
        AND request.idempotency_key = :idempotency_key
    WHERE payment.id = :payment_id
""",  # noqa: S608 (only our own constants)
    named=False,
)

_voidable: Final = Statement(
    f"""
    SELECT payment.status::text AS payment_status, payment.amount_authorized > 0 AND payment.closed IS NULL
        AND NOT EXISTS (SELECT FROM voids AS other WHERE other.payment_id = payment.id AND other.status <= 'processing')
        AND NOT EXISTS (SELECT FROM capture_requests AS request
            WHERE request.payment_id = payment.id AND request.status <= 'processing') AS voidable, {VOID}
    FROM payments AS payment
    LEFT JOIN voids AS void ON void.requested_by = :requested_by AND void.idempotency_key = :idempotency_key
    WHERE payment.id = :payment_id
""",  # noqa: S608 (only our own constants)
    named=False,
)

# Money that nothing names is listed by its attempt: it is given back by that one's id.
_of_payment: Final = Statement(
    """
    SELECT payment.provider, payment.currency,
        (WITH source AS MATERIALIZED (SELECT * FROM payment_sources(payment.id))
        SELECT jsonb_agg(jsonb_build_array(found.id, found.ref, found.status, found.amount::text, found.currency,
            found.presumed, coalesce(source.room, 0)::text) ORDER BY found.created_at, found.id)
        FROM (
            SELECT id, capture_ref AS ref, status::text AS status, amount, currency, false AS presumed, created_at
            FROM captures WHERE payment_id = payment.id
            UNION ALL
            SELECT attempt.id, nullif(attempt.attempt_ref, ''), 'succeeded', attempt.amount_presumed, payment.currency,
                true, attempt.created_at
            FROM source AS presumed JOIN payment_attempts AS attempt ON attempt.id = presumed.id
            WHERE presumed.capture_ref IS NULL
        ) AS found LEFT JOIN source ON source.id = found.id) AS captures,
        (SELECT jsonb_agg(jsonb_build_array(request.id, request.attempt_ref, request.provider_ref, request.amount::text,
            request.final, request.releases::text, request.status, request.decline, request.detail,
            request.created_at, request.updated_at) ORDER BY request.id)
        FROM capture_requests AS request WHERE request.payment_id = payment.id) AS requests,
        (SELECT jsonb_agg(jsonb_build_array(void.id, void.releases::text, void.status, void.decline, void.detail,
            void.created_at, void.updated_at) ORDER BY void.id)
        FROM voids AS void WHERE void.payment_id = payment.id) AS voids,
        (SELECT jsonb_agg(jsonb_build_array(promise.id, promise.attempt_ref, promise.room::text, promise.expires_at))
        FROM payment_authorizations(payment.id) AS promise WHERE promise.room > 0) AS authorizations
    FROM payments AS payment WHERE payment.id = :payment_id
""",
    named=False,
)


class RequestRow(NamedTuple):
    """A capture that staff asked for."""

    id: UUID
    payment_id: UUID
    attempt_ref: str
    provider_ref: str | None
    amount: Decimal
    currency: str
    final: bool
    releases: Decimal
    status: str
    decline: str | None
    detail: str | None
    request_hash: bytes
    created_at: datetime
    updated_at: datetime


class VoidRow(NamedTuple):
    """A void that staff asked for."""

    id: UUID
    payment_id: UUID
    releases: Decimal
    currency: str
    status: str
    decline: str | None
    detail: str | None
    request_hash: bytes
    created_at: datetime
    updated_at: datetime


class Authorization(NamedTuple):
    """An open authorisation: what it still promises, and the most that its provider lets us capture of it."""

    id: UUID
    attempt_ref: str
    room: Decimal
    most: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Capturable:
    """What may be captured of a payment, and what was requested with a key; None if it was never used."""

    provider: str
    currency: str
    payment_status: str
    voiding: bool
    waits: bool
    authorizations: Sequence[Authorization]
    request: RequestRow | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Voidable:
    """Whether a payment may be voided, and what was requested with a key; None if it was never used."""

    payment_status: str
    voidable: bool
    void: VoidRow | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentCaptures:
    """A payment's provider, and its captures, requests, voids and authorisations as the API shows them."""

    provider: str
    shown: dict[str, list[dict[str, Any]]]


def capturable(*, payment_id: UUID, requested_by: UUID, key: str) -> Capturable | None:
    """What a caller may capture, and what was requested with this key; None when there is no such payment."""
    rows = execute(_capturable, {"payment_id": payment_id, "requested_by": requested_by, "idempotency_key": key})
    if not rows:
        return None
    provider, currency, status, voiding, waits, promises, *request = rows[0]
    return Capturable(
        provider=provider,
        currency=currency,
        payment_status=status,
        voiding=voiding,
        waits=waits,
        authorizations=[
            Authorization(UUID(promise_id), attempt_ref, Decimal(room), Decimal(most))
            for promise_id, attempt_ref, room, most in promises or ()
        ],
        request=None if request[0] is None else RequestRow._make(request),
    )


def voidable(*, payment_id: UUID, requested_by: UUID, key: str) -> Voidable | None:
    """Whether a caller may void it, and what was requested with this key; None when there is no such payment."""
    rows = execute(_voidable, {"payment_id": payment_id, "requested_by": requested_by, "idempotency_key": key})
    if not rows:
        return None
    status, may_be, *void = rows[0]
    return Voidable(payment_status=status, voidable=may_be, void=None if void[0] is None else VoidRow._make(void))


def captures_of(*, payment_id: UUID) -> PaymentCaptures | None:
    """What came of a payment, what was asked for, and what is open; None when there is no such payment."""
    rows = execute(_of_payment, {"payment_id": payment_id})
    if not rows:
        return None
    provider, currency, captures, requests, voids, promises = rows[0]
    shown = {
        "captures": [
            {
                "id": capture_id,
                "ref": ref,
                "status": status,
                "amount": show(Decimal(amount), own_currency),
                "currency": own_currency,
                "presumed": presumed,
                "amount_refundable": show(Decimal(room), own_currency),
            }
            for capture_id, ref, status, amount, own_currency, presumed, room in captures or ()
        ],
        "requests": [
            show_request(
                RequestRow(
                    id=UUID(request_id),
                    payment_id=payment_id,
                    attempt_ref=attempt_ref,
                    provider_ref=provider_ref,
                    amount=Decimal(amount),
                    currency=currency,
                    final=final,
                    releases=Decimal(releases),
                    status=status,
                    decline=decline,
                    detail=detail,
                    request_hash=b"",
                    created_at=datetime.fromisoformat(created),
                    updated_at=datetime.fromisoformat(updated),
                )
            )
            for (
                request_id,
                attempt_ref,
                provider_ref,
                amount,
                final,
                releases,
                status,
                decline,
                detail,
                created,
                updated,
            ) in (requests or ())
        ],
        "voids": [
            show_void(
                VoidRow(
                    id=UUID(void_id),
                    payment_id=payment_id,
                    releases=Decimal(releases),
                    currency=currency,
                    status=status,
                    decline=decline,
                    detail=detail,
                    request_hash=b"",
                    created_at=datetime.fromisoformat(created),
                    updated_at=datetime.fromisoformat(updated),
                )
            )
            for void_id, releases, status, decline, detail, created, updated in voids or ()
        ],
        "authorizations": [
            {
                "id": promise_id,
                "ref": attempt_ref,
                "amount_open": show(Decimal(room), currency),
                "currency": currency,
                "expires_at": None if expires is None else show_time(datetime.fromisoformat(expires)),
            }
            for promise_id, attempt_ref, room, expires in promises or ()
        ],
    }
    return PaymentCaptures(provider=provider, shown=shown)


def show_request(row: RequestRow) -> dict[str, Any]:
    """The requested capture as the API shows it."""
    return {
        "id": str(row.id),
        "payment_id": str(row.payment_id),
        "authorization": row.attempt_ref,
        "amount": show(row.amount, row.currency),
        "currency": row.currency,
        "final": row.final,
        "releases": show(row.releases, row.currency),
        "status": row.status,
        "capture_ref": row.provider_ref,
        "decline": row.decline,
        "provider_answer": row.detail if row.decline else None,
        "created_at": show_time(row.created_at),
        "updated_at": show_time(row.updated_at),
    }


def show_void(row: VoidRow) -> dict[str, Any]:
    """The requested void as the API shows it."""
    return {
        "id": str(row.id),
        "payment_id": str(row.payment_id),
        "releases": show(row.releases, row.currency),
        "currency": row.currency,
        "status": row.status,
        "decline": row.decline,
        "provider_answer": row.detail if row.decline else None,
        "created_at": show_time(row.created_at),
        "updated_at": show_time(row.updated_at),
    }
