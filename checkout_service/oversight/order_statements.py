"""The statements behind the invariants of orders and of stock: money has its order, pieces are counted once.

As in ``statements``: one finds all rows that break a promise, one counts few of them along an index.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import text

from checkout_service.oversight.statements import PAGE, RECENT

_WITHOUT_ORDER: Final = """
    NOT EXISTS (SELECT FROM orders WHERE orders.payment_id = payment.id)
    AND NOT EXISTS (SELECT FROM order_reasons AS why WHERE why.payment_id = payment.id)
"""

PAID_WITHOUT_ORDER: Final = text(f"""
    SELECT payment.id, payment.created_at AS at, payment.amount_captured AS came, payment.currency,
        {_WITHOUT_ORDER} AS wrong
    FROM (
        SELECT * FROM payments
        WHERE status = CAST(:status AS payment_status)
            AND (created_at, id) > (CAST(:after_time AS timestamptz), CAST(:after_id AS uuid))
        ORDER BY created_at, id LIMIT {PAGE}
    ) AS payment
    ORDER BY payment.created_at, payment.id
""")  # noqa: S608 (only our own constants)

COUNT_PAID_WITHOUT_ORDER: Final = text(f"""
    SELECT count(*)
    FROM unnest(CAST(ARRAY['authorized', 'partially_paid', 'paid', 'reversed'] AS payment_status[])) AS of (status)
    CROSS JOIN LATERAL (
        SELECT id FROM payments WHERE payments.status = of.status ORDER BY created_at DESC LIMIT {RECENT}
    ) AS payment
    WHERE {_WITHOUT_ORDER}
""")  # noqa: S608 (only our own constants)


# What lies there is the listing's, what is reserved is its holds'. Available is the difference of the two.
COUNTERS: Final = text(f"""
    SELECT listing.id, listing.created_at AS at, listing.stock, counter.stock AS counted,
        coalesce(counter.reserved, 0) AS reserved, held.reserved AS held,
        counter.stock IS DISTINCT FROM listing.stock OR coalesce(counter.reserved, 0) <> held.reserved AS wrong
    FROM (
        SELECT * FROM listings
        WHERE id > CAST(:after_id AS uuid)
        ORDER BY id LIMIT {PAGE}
    ) AS listing
    LEFT JOIN stock_counters AS counter ON counter.listing_id = listing.id
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(holds.reserved), 0) AS reserved FROM holds WHERE holds.listing_id = listing.id
    ) AS held
    ORDER BY listing.id
""")  # noqa: S608 (only our own constants)

_BOUGHT: Final = """
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(line.qty - line.qty_fulfilled - line.qty_short - line.qty_canceled), 0) AS qty
        FROM orders AS made JOIN order_lines AS line ON line.order_id = made.id
        WHERE made.payment_id = hold.payment_id AND made.status <> 'canceled' AND line.listing_id = hold.listing_id
    ) AS bought
"""

# The other way round it cannot be said: a line of a listing that was not counted when it was bought has no hold.
SOLD: Final = text(f"""
    SELECT hold.id, hold.created_at AS at, hold.payment_id, hold.listing_id, hold.qty AS sold, bought.qty AS bought,
        hold.state = 'sold' AND hold.qty <> bought.qty AS wrong
    FROM (
        SELECT * FROM holds
        WHERE id > CAST(:after_id AS uuid)
        ORDER BY id LIMIT {PAGE}
    ) AS hold {_BOUGHT}
    ORDER BY hold.id
""")  # noqa: S608 (only our own constants)

# But for one that is short, which only a listing can be whose pieces are counted.
_SHORT: Final = """
    SELECT made.payment_id, line.listing_id,
        line.qty - line.qty_fulfilled - line.qty_short - line.qty_canceled AS bought
    FROM unnest(CAST(ARRAY['short', 'partially_fulfilled', 'on_hold'] AS order_status[])) AS of (status)
    CROSS JOIN LATERAL (
        SELECT id, payment_id FROM orders
        WHERE orders.status = of.status AND orders.status <> 'fulfilled'
        ORDER BY id DESC LIMIT CAST(:limit AS integer)
    ) AS made
    JOIN order_lines AS line ON line.order_id = made.id AND line.qty_short > 0
    WHERE line.qty > line.qty_fulfilled + line.qty_short + line.qty_canceled AND NOT EXISTS (
        SELECT FROM holds WHERE holds.payment_id = made.payment_id AND holds.listing_id = line.listing_id)
"""
SHORT_WITHOUT_HOLD: Final = text(_SHORT)

HOLDS_OF_ONE: Final = 10 * RECENT
"""Holds of one listing that a scrape adds up; one that has more is left to ``payments check``."""

# The newest holds tell, and the listings that they are of; and the newest listings of what lies there.
COUNT_STOCK: Final = text(f"""
    WITH newest AS MATERIALIZED (SELECT * FROM holds ORDER BY id DESC LIMIT {RECENT})
    SELECT
        (SELECT count(*) FROM newest AS hold {_BOUGHT} WHERE hold.state = 'sold' AND hold.qty <> bought.qty)
        + (SELECT count(*) FROM ({_SHORT}) AS short)
        + (SELECT count(*) FROM (
                SELECT id, stock FROM listings ORDER BY id DESC LIMIT {RECENT}
            ) AS listing LEFT JOIN stock_counters AS counter ON counter.listing_id = listing.id
            WHERE counter.stock IS DISTINCT FROM listing.stock)
        + (SELECT count(*)
            FROM (SELECT listing_id FROM newest UNION SELECT listing_id FROM (
                SELECT listing_id FROM stock_counters ORDER BY listing_id DESC LIMIT {RECENT // 10}) AS last
                LIMIT {RECENT // 5}
            ) AS of
            JOIN stock_counters AS counter ON counter.listing_id = of.listing_id
            CROSS JOIN LATERAL (
                SELECT count(*) AS number, coalesce(sum(own.reserved), 0) AS reserved FROM (
                    SELECT reserved FROM holds WHERE holds.listing_id = of.listing_id LIMIT {HOLDS_OF_ONE}
                ) AS own
            ) AS held
            WHERE held.number < {HOLDS_OF_ONE} AND counter.reserved <> held.reserved)
""")  # noqa: S608 (only our own constants)


_UNNUMBERED: Final = """
    SELECT waiting.id, made.created_at
    FROM (SELECT orders, created_at FROM unnumbered_orders ORDER BY id LIMIT CAST(:limit AS integer)) AS made
    CROSS JOIN LATERAL unnest(made.orders) AS waiting (id)
    WHERE made.created_at < now() - CAST(:numbered AS interval)
    LIMIT CAST(:limit AS integer)
"""
UNNUMBERED: Final = text(_UNNUMBERED)
COUNT_UNNUMBERED: Final = text(f"SELECT count(*) FROM ({_UNNUMBERED}) AS waiting")  # noqa: S608 (only our own constants)

# The oldest rows of the queue; what waits for an order's number waits with them.
_UNSEQUENCED: Final = """
    SELECT waiting.id, waiting.type, made.created_at
    FROM (SELECT events, types, created_at FROM unsequenced_events ORDER BY place LIMIT CAST(:limit AS integer)) AS made
    CROSS JOIN LATERAL unnest(made.events, made.types) AS waiting (id, type)
    WHERE made.created_at < now() - CAST(:numbered AS interval)
    LIMIT CAST(:limit AS integer)
"""
UNSEQUENCED: Final = text(_UNSEQUENCED)
COUNT_UNSEQUENCED: Final = text(f"SELECT count(*) FROM ({_UNSEQUENCED}) AS waiting")  # noqa: S608 (only our own constants)

# What a session proved stays until the session says so, which its row learns when it is looked at.
_PAST_END: Final = """
    SELECT hold.payment_id, hold.listing_id, hold.qty, greatest(hold.until, session.held_until) AS until
    FROM holds AS hold LEFT JOIN checkout_sessions AS session ON session.payment_id = hold.payment_id
    WHERE hold.state = 'held' AND hold.until < now() - CAST(:swept AS interval)
        AND (session.held_until < now() - CAST(:swept AS interval)) IS NOT FALSE
    ORDER BY hold.until LIMIT CAST(:limit AS integer)
"""
PAST_END: Final = text(_PAST_END)
COUNT_PAST_END: Final = text(f"SELECT count(*) FROM ({_PAST_END}) AS past")  # noqa: S608 (only our own constants)
