"""Reads of sessions: the answer that was given for a key, and the session as it is now."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import bindparam, select, text

from checkout_service.api.responses import show_time
from checkout_service.cache import cache
from checkout_service.checkout.models import CheckoutSession
from checkout_service.database.engine import execute, history
from checkout_service.database.statements import Statement
from checkout_service.money import show
from checkout_service.owners import is_theirs
from checkout_service.payments.models import Payment
from checkout_service.payments.next_action import next_action_of, show_next_action
from checkout_service.payments.status import PaymentStatus

_by_payment = Statement(
    select(
        CheckoutSession.payment_id,
        CheckoutSession.cart_id,
        CheckoutSession.lines,
        CheckoutSession.payment_token,
        CheckoutSession.amount,
        CheckoutSession.currency,
        CheckoutSession.expires_at,
        CheckoutSession.also_under_way,
        CheckoutSession.buyer,
        CheckoutSession.delivery_address,
        Payment.provider,
        Payment.status,
    )
    .join(Payment, Payment.id == CheckoutSession.payment_id)
    .where(CheckoutSession.payment_id == bindparam("payment_id"), text(is_theirs("checkout_sessions.user_id")))
)

REMEMBER_FOR: Final = 300
"""Seconds that an answer stays in the cache; the row behind it stays for good."""

GIVEN_ANSWER: Final = """
    SELECT session.request_hash, session.payment_id, session.payment_token, session.amount, session.currency,
        session.expires_at, session.also_under_way, payment.provider
    FROM checkout_sessions AS session JOIN payments AS payment ON payment.id = session.payment_id
    WHERE session.user_id = :user_id AND session.idempotency_key = :idempotency_key
"""
"""No row where the key got no answer."""

_by_key = Statement(GIVEN_ANSWER)


class OpenedSession(NamedTuple):
    """A session as it was opened, and its payment's ``status`` as it is now.

    ``lines``, ``buyer`` and ``delivery_address`` are as they were sealed; the last two are None where the request had
    none, or where they were erased. ``also_under_way`` are older payments for the same cart that somebody had begun to
    pay when it was opened.
    """

    payment_id: UUID
    cart_id: UUID
    lines: list[dict[str, Any]]
    payment_token: str
    amount: Decimal
    currency: str
    expires_at: datetime
    also_under_way: list[UUID]
    buyer: dict[str, Any] | None
    delivery_address: dict[str, Any] | None
    provider: str
    status: PaymentStatus


@dataclass(frozen=True, slots=True)
class GivenAnswer:
    """The answer that a key got, and the hash of the request that got it."""

    request_hash: bytes
    answer: dict[str, Any]


def kept_answer(kept: bytes | None) -> GivenAnswer | None:
    """The answer that the cache has kept under ``answer_name``; None where it has forgotten it."""
    if kept is None:
        return None
    try:
        found = orjson.loads(kept)
        return GivenAnswer(bytes.fromhex(found["request_hash"]), found["answer"])
    except (ValueError, TypeError, KeyError):
        # Not written by this version of us; the database knows.
        return None


def given_answer(*, user_id: UUID, key: str) -> GivenAnswer | None:
    """The answer from the database, the truth."""
    rows = execute(_by_key, {"user_id": user_id, "idempotency_key": key})
    return GivenAnswer(rows[0].request_hash, answer_from(rows[0])) if rows else None


def session_of(*, payment_id: UUID, user_id: UUID) -> OpenedSession | None:
    """The session that opened a payment; None unless it is this customer's."""
    rows = execute(_by_payment, {"payment_id": payment_id, "user_id": user_id})
    return OpenedSession._make(rows[0]) if rows else None


def show_session(session: OpenedSession, *, providers: Mapping[str, object]) -> dict[str, Any]:
    """The session as the API shows it: what its request was answered, its lines, and its status now."""
    answer = answer_from(session) | {"status": session.status.value, "lines": session.lines}
    return with_next_action(answer, providers=providers)


def with_next_action(answer: dict[str, Any], *, providers: Mapping[str, object]) -> dict[str, Any]:
    """The answer with what to do next. It is no part of what is kept, since it follows of the token and the account.

    ``providers`` are those that are on.
    """
    action = next_action_of(
        providers,
        provider=answer["provider"],
        payment_token=answer["payment_token"],
        status=PaymentStatus(answer["status"]),
    )
    return answer | {"next_action": show_next_action(action)}


def remember(name: str, given: GivenAnswer) -> None:
    """Keep the answer under its ``answer_name`` in a moment, so that a retry costs at most a look at the history."""
    if name:
        value = orjson.dumps({"request_hash": given.request_hash.hex(), "answer": given.answer})
        cache().put_later([name], value, seconds=REMEMBER_FOR)


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
        "also_under_way": [str(payment_id) for payment_id in row.also_under_way],
    }


def answer_name(user_id: UUID, key: str, *, now: bool = False) -> str:
    """The name in the cache under which the answer to this caller's key is kept; empty while it cannot be.

    Of the history that the database is in: a failover may have undone what another one's answer says. It is taken
    before the answer is committed; what is found under it is believed where it is the name as of ``now``, too.
    """
    in_history = history(now=now)
    return in_history and f"session:{in_history}:{user_id}:{hashlib.sha256(key.encode()).hexdigest()}"
