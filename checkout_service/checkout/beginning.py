"""Begins to open a session: one statement reads the cart and holds its pieces. Where it does not, another says why not,
and gives the key's answer.

Pieces are only held for a cart that can be paid as it is, all or none; ``hold_take`` (migrations/orders/stock.sql) says
what is short.
"""

from __future__ import annotations

from typing import Any, NamedTuple
from uuid import UUID

from checkout_service.carts.frozen import FrozenCart, frozen_cart, frozen_lines
from checkout_service.checkout.bounds import Bounds
from checkout_service.checkout.open_sessions import ADDRESS_MAY_OPEN, CALLER_MAY_OPEN, OPEN_SESSIONS, bound_parameters
from checkout_service.checkout.queries import GIVEN_ANSWER, GivenAnswer, answer_from
from checkout_service.checkout.request import Order
from checkout_service.database.engine import execute
from checkout_service.database.errors import DatabaseLockedError
from checkout_service.database.statements import Statement
from checkout_service.money import LARGEST
from checkout_service.stock.operations import HELD, TRIES, HeldResult, refused_result, until_decided


def _beginning(may_open: str) -> Statement:
    """A row for each line of the cart, or one of nulls. No row where ``_why_not`` is needed: the key has its answer,
    the caller has as many sessions open as one may, or there is no such cart.

    ``to_hold`` is empty where operations._payable refuses the cart, and ``held`` null. The rows are in the order in
    which ``frozen`` has them. As a subselect of its own the function is called once, whatever the number of rows.
    """
    is_new = (
        "NOT EXISTS (SELECT FROM checkout_sessions WHERE user_id = :user_id AND idempotency_key = :idempotency_key)"
    )
    return Statement(
        f"""
        WITH {frozen_lines(f"{is_new} AND {may_open}")}
        SELECT (
            SELECT coalesce(jsonb_agg(taken) FILTER (WHERE NOT taken IS NULL), '[]')
            FROM (
                SELECT min(generation) AS generation,
                    array_agg(listing_id) FILTER (WHERE unreserved_pieces IS NOT NULL) AS listings,
                    array_agg(qty) FILTER (WHERE unreserved_pieces IS NOT NULL) AS quantities
                FROM frozen WHERE CAST(:may_hold AS boolean)
                HAVING bool_and(available AND (unreserved_pieces IS NULL OR unreserved_pieces >= qty OR holds_some))
                    AND bool_or(unreserved_pieces IS NOT NULL) AND min(line_currency) = max(line_currency)
                    AND sum(line_total) <= :largest
                    AND sum(line_total) = coalesce(CAST(:expected_total AS numeric), sum(line_total))
            ) AS to_hold LEFT JOIN LATERAL hold_take(
                CAST(:payment_id AS uuid), CAST(:user_id AS uuid), CAST(:cart_id AS uuid), to_hold.generation,
                to_hold.listings, to_hold.quantities, CAST(:most_of_owner AS integer), CAST(:address AS bytea),
                CAST(:most_of_address AS integer)) AS taken ON true
            HAVING count(*) > 0
        ) AS held, frozen.*
        FROM frozen
    """,  # noqa: S608 (only our own constants)
        calls_writer=True,
    )


_begin = _beginning(CALLER_MAY_OPEN)
_begin_of_address = _beginning(f"{CALLER_MAY_OPEN} AND {ADDRESS_MAY_OPEN}")

# Where there is an answer the bound is not looked at, since a replay is given to whoever has a right to it.
_why_not = Statement(f"""
    WITH given AS ({GIVEN_ANSWER}), {OPEN_SESSIONS}
    SELECT given.*, CASE WHEN given.payment_id IS NULL THEN (SELECT full_for FROM bound) END AS full_for,
        EXISTS (SELECT FROM carts WHERE user_id = :user_id AND id = :cart_id) AS has_cart
    FROM (SELECT) AS one LEFT JOIN given ON true
""")  # noqa: S608 (only our own constants)


class Begun(NamedTuple):
    """What is known before the provider is asked.

    ``given`` is the answer that the key got, if it got one: then nothing else is looked at. ``full_for`` is for how
    many seconds the caller may open no other session; None if they may. ``cart`` is None where the customer has no such
    cart. ``held`` is None where nothing was to be held.
    """

    given: GivenAnswer | None
    full_for: int | None
    cart: FrozenCart | None
    held: HeldResult | None


def begin(order: Order, *, payment_id: UUID, may_hold: bool) -> Begun:
    """Read what is known of an order, and hold the pieces of its cart for its payment if there is nothing against it.

    Does no harm when it runs twice. Raises DatabaseUnavailableError, and of it DatabaseLockedError where others took
    the pieces again and again.
    """
    values = _values(order, order.bounds, payment_id, may_hold=may_hold)
    statement = _begin if order.bounds.address is None else _begin_of_address
    for _ in range(TRIES):
        rows = until_decided(lambda: execute(statement, values))
        if rows:
            refused = rows[0].held
            held = None if refused is None else refused_result(refused) if refused else HELD
            return Begun(None, None, frozen_cart(order.cart_id, [row[1:] for row in rows]), held)
        (known,) = execute(_why_not, values)
        if known.payment_id is not None:
            return Begun(GivenAnswer(known.request_hash, answer_from(known)), None, None, None)
        if known.full_for is not None or not known.has_cart:
            return Begun(None, known.full_for and int(known.full_for), None, None)
        # What was against it has ended meanwhile.
    raise DatabaseLockedError


def _values(order: Order, bounds: Bounds, payment_id: UUID, *, may_hold: bool) -> dict[str, Any]:
    return {
        "user_id": order.user_id,
        "idempotency_key": order.key,
        "cart_id": order.cart_id,
        "payment_id": payment_id,
        "may_hold": may_hold,
        "expected_total": order.expected_total,
        "largest": LARGEST,
        "most_of_owner": bounds.pieces_of_caller,
        "most_of_address": bounds.pieces_of_address,
        **bound_parameters(bounds),
    }
