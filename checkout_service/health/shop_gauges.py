"""Gauges of the shop: payments that wait for their customers, and pieces of stock that are held for them."""

from __future__ import annotations

from typing import Final

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from sqlalchemy import text

from checkout_service.database.engine import execute

COUNTED: Final = 10_000
"""Rows of a kind that are counted at most: more of them are no other news."""

LOOKED_AT: Final = 1000
"""Holds whose end is looked for: those that would end first."""

# All of it from partial indexes. A hold lasts for as long as its session says, of which its row learns only when it is
# looked at.
SHOP: Final = text(f"""
    SELECT (SELECT count(*) FROM (SELECT FROM payments
            WHERE status = 'pending' AND NOT under_way LIMIT {COUNTED}) AS counted) AS open,
        (SELECT count(*) FROM (SELECT FROM payments WHERE under_way LIMIT {COUNTED}) AS counted) AS under_way,
        (SELECT count(*) FROM (SELECT FROM holds WHERE state = 'held' LIMIT {COUNTED}) AS counted) AS held,
        (SELECT coalesce(extract(epoch FROM now() - min(greatest(hold.until, session.held_until))), 0)::float8
            FROM (SELECT payment_id, until FROM holds WHERE state = 'held' AND until < now()
                ORDER BY until LIMIT {LOOKED_AT}) AS hold
            LEFT JOIN checkout_sessions AS session ON session.payment_id = hold.payment_id
            WHERE (session.held_until < now()) IS NOT FALSE) AS past_end_seconds
""")  # noqa: S608 (only our own constants)


def shop_gauges() -> list[Metric]:
    """The gauges, read by one statement. Raises DatabaseUnavailableError."""
    [row] = execute(SHOP)
    return [
        GaugeMetricFamily("payments_open", f"Payments that wait for their customers; up to {COUNTED}.", value=row.open),
        GaugeMetricFamily(
            "payments_under_way", f"Payments of which an attempt is under way; up to {COUNTED}.", value=row.under_way
        ),
        GaugeMetricFamily(
            "stock_holds_held",
            f"Lines whose pieces are held for a payment that may come; up to {COUNTED}.",
            value=row.held,
        ),
        GaugeMetricFamily(
            "stock_oldest_hold_past_end_seconds",
            "For how long the oldest hold that is over has not been given back; 0 where none is over.",
            value=row.past_end_seconds,
        ),
    ]
