"""Inserts payment and session, in one statement that also counts what the caller has open, proves that the cart was not
paid meanwhile and has older sessions of the same cart canceled.

Mostly a session is the first of its cart's filling, and a shorter statement does. Where that inserts nothing, the
longer one inserts or says why not.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

import orjson

from checkout_service.api.problems import CartChanged, Problem, TooManyOpenSessions
from checkout_service.carts.frozen import MERGED_UNPAID, FrozenCart
from checkout_service.checkout.holding import HELD_BEYOND_END
from checkout_service.checkout.open_sessions import ADDRESS_MAY_OPEN, CALLER_MAY_OPEN, OPEN_SESSIONS, bound_parameters
from checkout_service.checkout.queries import answer_from
from checkout_service.checkout.request import Order
from checkout_service.database.engine import execute
from checkout_service.database.statements import Statement
from checkout_service.providers.base import Opened
from checkout_service.telemetry import tracing

# One row in any case. It holds no session where the caller has as many open as one may, nor of a cart that was paid
# since it was read: a payment ends its generation, and the lock that this takes waits for one that is being recorded.
# Older sessions are those of a guest's cart, too, that went into this one when the guest signed in, until it is bought;
# not where it did so after this one was read: then the session has none of the guest's lines, and is of before.
# Requests to cancel are in the order of their payments, so that two sessions of one cart follow each other.
_insert = Statement(f"""
    WITH {OPEN_SESSIONS}, cart AS (
        SELECT carts.id, carts.generation FROM carts CROSS JOIN bound
        WHERE carts.id = :cart_id AND carts.generation = :generation AND bound.full_for IS NULL
        FOR SHARE OF carts
    ), filling AS (
        SELECT CAST(:cart_id AS uuid) AS cart_id, cart.generation FROM cart
        UNION ALL
        SELECT theirs.id, guest.merged_generation
        FROM cart AS carts JOIN guests AS guest ON {MERGED_UNPAID} AND coalesce(guest.merge_number, 0) <= :merges
        JOIN carts AS theirs ON theirs.user_id = guest.id
    ), older AS (
        SELECT earlier.id,
            earlier.under_way OR earlier.status = 'processing' OR earlier.amount_authorized > 0 AS promised
        FROM filling JOIN checkout_sessions AS before ON before.cart_id = filling.cart_id
            AND before.generation = filling.generation AND before.payment_id <> :payment_id
        JOIN payments AS earlier ON earlier.id = before.payment_id
        WHERE earlier.status < 'expired' AND earlier.amount_captured = 0
    ), payment AS (
        INSERT INTO payments (id, user_id, provider, provider_ref, amount, currency, trace_context)
        SELECT :payment_id, :user_id, :provider, :provider_ref, :amount, :currency, traced(:trace_context) FROM cart
        RETURNING id, provider
    ), address AS (
        INSERT INTO session_addresses (payment_id, address, ends_at)
        SELECT id, CAST(:address AS bytea), now() + least(CAST(:ttl AS interval), interval '1 day')
        FROM payment WHERE CAST(:address AS bytea) IS NOT NULL
    ), cancellation AS (
        INSERT INTO cancel_requests (payment_id, requested_by, trace_context)
        SELECT older.id, :user_id, :trace_context
        FROM older CROSS JOIN payment WHERE NOT older.promised ORDER BY older.id
        ON CONFLICT (payment_id) DO NOTHING
        RETURNING payment_id
    ), session AS (
        INSERT INTO checkout_sessions
            (user_id, cart_id, generation, merges, idempotency_key, request_hash, payment_id, payment_token, amount,
            currency, lines, expires_at, held_until, also_under_way, buyer, delivery_address)
        SELECT :user_id, :cart_id, cart.generation, :merges, :idempotency_key, :request_hash, payment.id,
            :payment_token, :amount, :currency, CAST(:lines AS jsonb), now() + CAST(:ttl AS interval),
            now() + CAST(:held_for AS interval), ARRAY(SELECT id FROM older WHERE promised ORDER BY id),
            CAST(:buyer AS jsonb), CAST(:delivery_address AS jsonb)
        FROM payment CROSS JOIN cart
        RETURNING payment_id, payment_token, amount, currency, expires_at, also_under_way
    )
    SELECT session.*, payment.provider, bound.full_for, ARRAY(SELECT payment_id FROM cancellation) AS canceled
    FROM bound LEFT JOIN (session CROSS JOIN payment) ON true
""")  # noqa: S608 (only our own constants)

_KEEP_ADDRESS: Final = """
    , address AS (
        INSERT INTO session_addresses (payment_id, address, ends_at)
        SELECT id, CAST(:address AS bytea), now() + least(CAST(:ttl AS interval), interval '1 day') FROM payment
    )
"""


def _first(may_open: str, keep_address: str) -> Statement:
    """No row where the other statement is needed: there is an older session, the cart was paid, or the caller has as
    many open as one may."""
    return Statement(f"""
        WITH payment AS (
            INSERT INTO payments (id, user_id, provider, provider_ref, amount, currency, trace_context)
            SELECT :payment_id, :user_id, :provider, :provider_ref, :amount, :currency, traced(:trace_context)
            FROM carts
            WHERE carts.id = :cart_id AND carts.generation = :generation AND NOT EXISTS (
                SELECT FROM checkout_sessions AS older
                WHERE older.cart_id = :cart_id AND older.generation = :generation
            ) AND {may_open}
            FOR SHARE OF carts
            RETURNING id, provider
        ) {keep_address}
        INSERT INTO checkout_sessions
            (user_id, cart_id, generation, merges, idempotency_key, request_hash, payment_id, payment_token, amount,
            currency, lines, expires_at, held_until, buyer, delivery_address)
        SELECT :user_id, :cart_id, :generation, :merges, :idempotency_key, :request_hash, payment.id,
            :payment_token, :amount, :currency, CAST(:lines AS jsonb), now() + CAST(:ttl AS interval),
            now() + CAST(:held_for AS interval), CAST(:buyer AS jsonb), CAST(:delivery_address AS jsonb)
        FROM payment
        RETURNING payment_id, payment_token, amount, currency, expires_at, also_under_way,
            (SELECT provider FROM payment) AS provider
    """)  # noqa: S608 (only our own constants)


_insert_first = _first(CALLER_MAY_OPEN, "")
_insert_first_of_address = _first(f"{CALLER_MAY_OPEN} AND {ADDRESS_MAY_OPEN}", _KEEP_ADDRESS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What is inserted: the request, the cart as it was read, and what the provider opened for it."""

    order: Order
    cart: FrozenCart
    payment_id: UUID
    provider: str
    ttl: timedelta
    opened: Opened


class Inserted(NamedTuple):
    """The answer of the session that was inserted, and the older payments for which a request to cancel was entered."""

    answer: dict[str, Any]
    canceled: list[UUID]


def insert_session(attempt: Attempt) -> Inserted | Problem:
    """The session that was inserted, or why none was. Raises Conflict: see the names of constraints in ``stock``."""
    values = _values(attempt)
    if not attempt.cart.has_sessions:
        first = _insert_first if attempt.order.bounds.address is None else _insert_first_of_address
        for row in execute(first, values):
            return Inserted(answer_from(row), [])
    (row,) = execute(_insert, values)
    if row.full_for is not None:
        return TooManyOpenSessions(retry_after=int(row.full_for))
    return CartChanged() if row.payment_id is None else Inserted(answer_from(row), row.canceled)


def _values(attempt: Attempt) -> dict[str, Any]:
    order, opened = attempt.order, attempt.opened
    return {
        "payment_id": attempt.payment_id,
        "user_id": order.user_id,
        "provider": attempt.provider,
        "provider_ref": opened.provider_ref,
        "amount": opened.amount,
        "currency": opened.currency,
        "cart_id": order.cart_id,
        "generation": attempt.cart.generation,
        "merges": attempt.cart.merges,
        "idempotency_key": order.key,
        "request_hash": order.request_hash,
        "payment_token": opened.payment_token,
        "lines": _json([line.as_json() for line in attempt.cart.lines]),
        "ttl": attempt.ttl,
        "held_for": attempt.ttl + HELD_BEYOND_END,
        "buyer": _json(order.buyer),
        "delivery_address": _json(order.delivery_address),
        "trace_context": tracing.context(),
        **bound_parameters(order.bounds),
    }


def _json(value: Any) -> str | None:
    return None if value is None else orjson.dumps(value).decode()
