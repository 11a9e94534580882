"""What must hold of orders and pieces, whatever died: nothing is sold twice, and each paid filling has one order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from checkout_service.payments.status import PaymentStatus
from tests.faults.journal import Journal

NUMBERED_WITHIN = 30.0
"""Seconds; the sweep of payments numbers what a worker left that died after its commit."""

SWEPT_WITHIN = "60 seconds"
"""After its end a hold is found by the sweep, which comes every 30 s; a beat that started anew has as long again."""

Ask = Callable[..., list[Any]]

_UNNUMBERED = "SELECT count(*) FROM orders WHERE number IS NULL"
_NUMBERS = "SELECT count(*), count(DISTINCT number), coalesce(min(number), 1), coalesce(max(number), 0) FROM orders"
_ORDERS = """
    SELECT payment.provider_ref, count(DISTINCT made.id), sum(line.line_total) = payment.amount, count(why.id)
    FROM payments AS payment
    LEFT JOIN orders AS made ON made.payment_id = payment.id
    LEFT JOIN order_lines AS line ON line.order_id = made.id
    LEFT JOIN order_reasons AS why ON why.payment_id = payment.id
    WHERE payment.provider_ref = ANY(%(tokens)s) GROUP BY payment.id
"""
_WITHOUT = """
    SELECT count(*) FROM payments AS payment
    WHERE (payment.amount_captured > 0 OR payment.status = 'authorized')
        AND NOT EXISTS (SELECT FROM orders WHERE orders.payment_id = payment.id)
        AND NOT EXISTS (SELECT FROM order_reasons AS why WHERE why.payment_id = payment.id)
"""
_PIECES = """
    SELECT listing.id::text, listing.stock, counter.stock, counter.reserved,
        coalesce((SELECT sum(reserved) FROM holds WHERE holds.listing_id = listing.id), 0),
        coalesce((SELECT sum(line.qty - line.qty_short - line.qty_fulfilled)
            FROM order_lines AS line JOIN orders AS made ON made.id = line.order_id
            WHERE line.listing_id = listing.id AND made.status <> 'canceled'), 0)
    FROM listings AS listing JOIN stock_counters AS counter ON counter.listing_id = listing.id
    WHERE listing.stock IS NOT NULL
"""
_UNPROVED = """
    SELECT count(*) FROM checkout_sessions AS session JOIN payments AS payment ON payment.id = session.payment_id
    CROSS JOIN LATERAL jsonb_to_recordset(session.lines) AS line (listing_id uuid, qty integer)
    JOIN stock_counters AS counter ON counter.listing_id = line.listing_id AND counter.stock IS NOT NULL
    LEFT JOIN holds AS hold ON hold.payment_id = session.payment_id AND hold.listing_id = line.listing_id
    WHERE payment.provider_ref = ANY(%(tokens)s) AND session.held_until > now() AND payment.closed IS NULL
        AND hold.reserved IS DISTINCT FROM line.qty
"""
_PAST_END = f"SELECT count(*) FROM holds WHERE state = 'held' AND until < now() - interval '{SWEPT_WITHIN}'"


def await_numbers(ask: Ask) -> None:
    """Wait until each order has its number, but no longer than it may take."""
    started = time.monotonic()
    while ask(_UNNUMBERED) != [(0,)] and time.monotonic() - started < NUMBERED_WITHIN:
        time.sleep(0.1)


def check_goods(ask: Ask, journal: Journal) -> Iterator[str]:
    """Whatever is not as promised. ``ask`` runs a query with named values, and returns its rows."""
    yield from _orders(ask, journal)
    yield from _numbers(ask)
    for listing, stock, counted, reserved, held, bought in ask(_PIECES):
        if counted != stock or reserved != held:
            yield f"listing {listing}: {stock} there and {held} held, but its counter says {counted} and {reserved}"
        if max(held, bought) > stock:
            yield f"listing {listing}: {stock} there, {held} held, and {bought} of them sold"
    ((unproved,),) = ask(_UNPROVED, tokens=list(journal.events))
    if unproved:
        yield f"{unproved} lines of sessions do not hold what they sell"
    ((late,),) = ask(_PAST_END)
    if late:
        yield f"{late} holds ended more than {SWEPT_WITHIN} ago"


def _orders(ask: Ask, journal: Journal) -> Iterator[str]:
    """Each payment here is for a filling of its own, so money makes an order, and no money none."""
    found = {
        token: (orders, whole, reasons) for token, orders, whole, reasons in ask(_ORDERS, tokens=[*journal.events])
    }
    for token in journal.events:
        orders, whole, reasons = found.get(token, (0, None, 0))
        came = journal.status_of(token) in {PaymentStatus.PAID, PaymentStatus.REVERSED}
        if orders != int(came) or reasons:
            yield f"payment {token} is {journal.status_of(token)} and has {orders} orders, {reasons} reasons for none"
        elif came and not whole:
            yield f"the lines of the order of payment {token} do not add up"
    ((without,),) = ask(_WITHOUT)
    if without:
        yield f"{without} payments with money have neither an order nor a reason"


def _numbers(ask: Ask) -> Iterator[str]:
    ((count, distinct, least, most),) = ask(_NUMBERS)
    if (distinct, least, most) != (count, 1, count):
        yield f"{count} orders have {distinct} numbers, from {least} to {most}"
