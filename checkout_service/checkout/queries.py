"""Reads of sessions: the answer that was given for a key."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import bindparam, select

from checkout_service.api.responses import show_time
from checkout_service.cache import cache
from checkout_service.checkout.bounds import Bounds
from checkout_service.checkout.models import CheckoutSession
from checkout_service.checkout.open_sessions import OPEN_SESSIONS, bound_parameters
from checkout_service.database.engine import execute
from checkout_service.database.statements import Statement
from checkout_service.money import show
from checkout_service.payments.models import Payment
from checkout_service.payments.status import PaymentStatus

_by_payment = Statement(
    select(
        CheckoutSession.cart_id,
        CheckoutSession.lines,
        CheckoutSession.payment_token,
        CheckoutSession.expires_at,
        Payment.status,
    )
    .join(Payment, Payment.id == CheckoutSession.payment_id)
    .where(CheckoutSession.payment_id == bindparam("payment_id"), CheckoutSession.user_id == bindparam("user_id"))
)

REMEMBER_FOR: Final = 300
"""Seconds that an answer stays in the cache; the row behind it stays for good."""

_by_key = Statement(
    select(
        CheckoutSession.request_hash,
        CheckoutSession.payment_id,
        CheckoutSession.payment_token,
        CheckoutSession.amount,
        CheckoutSession.currency,
        CheckoutSession.expires_at,
        Payment.provider,
    )
    .join(Payment, Payment.id == CheckoutSession.payment_id)
    .where(
        CheckoutSession.user_id == bindparam("user_id"),
        CheckoutSession.idempotency_key == bindparam("idempotency_key"),
    )
)

# One row in any case. Nothing is counted where there is an answer: a replay is given to whoever has a right to it.
_by_key_or_bound = Statement(f"""
    WITH given AS (
        SELECT session.request_hash, session.payment_id, session.payment_token, session.amount, session.currency,
            session.expires_at, payment.provider
        FROM checkout_sessions AS session JOIN payments AS payment ON payment.id = session.payment_id
        WHERE session.user_id = :user_id AND session.idempotency_key = :idempotency_key
    ), {OPEN_SESSIONS}
    SELECT given.*, CASE WHEN given.payment_id IS NULL THEN (SELECT full_for FROM bound) END AS full_for
    FROM (SELECT) AS one LEFT JOIN given ON true
""")  # noqa: S608 (only our own constants)


class OpenedSession(NamedTuple):
    """A session as it was opened, and its payment's ``status`` as it is now."""

    cart_id: UUID
    lines: list[dict[str, Any]]
    payment_token: str
    expires_at: datetime
    status: PaymentStatus


@dataclass(frozen=True, slots=True)
class GivenAnswer:
    """The answer that a key got, and the hash of the request that got it."""

    request_hash: bytes
    answer: dict[str, Any]


class Known(NamedTuple):
    """What is known before a session is opened: the answer that its key got, if it got one.

    ``full_for`` is for how many seconds the caller may open no other; None if they may.
    """

    given: GivenAnswer | None
    full_for: int | None


def known_before(*, user_id: UUID, key: str, bounds: Bounds) -> Known:
    """The key's answer from the cache, or from the database behind it; of a new key, whether it may open a session."""
    given = _kept_answer(user_id, key)
    if given is not None:
        return Known(given, None)
    (row,) = execute(_by_key_or_bound, {"user_id": user_id, "idempotency_key": key, **bound_parameters(bounds)})
    if row.payment_id is None:
        return Known(None, row.full_for and int(row.full_for))
    given = GivenAnswer(row.request_hash, answer_from(row))
    remember(user_id=user_id, key=key, given=given)
    return Known(given, None)


def given_answer(*, user_id: UUID, key: str) -> GivenAnswer | None:
    """The answer from the database, the truth."""
    rows = execute(_by_key, {"user_id": user_id, "idempotency_key": key})
    return GivenAnswer(rows[0].request_hash, answer_from(rows[0])) if rows else None


def session_of(*, payment_id: UUID, user_id: UUID) -> OpenedSession | None:
    """The session that opened a payment; None unless it is this customer's."""
    rows = execute(_by_payment, {"payment_id": payment_id, "user_id": user_id})
    return OpenedSession._make(rows[0]) if rows else None


def remember(*, user_id: UUID, key: str, given: GivenAnswer) -> None:
    """Keep the answer in the cache in a moment, so that a retry costs no statement."""
    value = orjson.dumps({"request_hash": given.request_hash.hex(), "answer": given.answer})
    cache().put_later([_name(user_id, key)], value, seconds=REMEMBER_FOR)


def answer_from(row: Any) -> dict[str, Any]:
    """The answer to a session's request: as it was then, so its status stays pending."""
    return {
        "payment_id": str(row.payment_id),
        "payment_token": row.payment_token,
        "amount": show(row.amount, row.currency),
        "currency": row.currency,
        "status": PaymentStatus.PENDING.value,
        "provider": row.provider,
        "expires_at": show_time(row.expires_at),
    }


def _kept_answer(user_id: UUID, key: str) -> GivenAnswer | None:
    kept = cache().get(_name(user_id, key))
    if kept is None:
        return None
    try:
        found = orjson.loads(kept)
        return GivenAnswer(bytes.fromhex(found["request_hash"]), found["answer"])
    except (ValueError, TypeError, KeyError):
        # Not written by this version of us; the database knows.
        return None


def _name(user_id: UUID, key: str) -> str:
    return f"session:{user_id}:{hashlib.sha256(key.encode()).hexdigest()}"
