"""Gauges that the database gives at each scrape: pending work, failed work, payments to be reviewed."""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic
from typing import Any, Final

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from checkout_service.database.clock import seconds_ahead
from checkout_service.database.engine import execute
from checkout_service.database.errors import DatabaseUnavailableError
from checkout_service.health.catalog_gauges import catalog_gauges
from checkout_service.health.event_gauges import event_gauges
from checkout_service.health.money_gauges import money_gauges
from checkout_service.health.settlement_gauges import settlement_gauges
from checkout_service.health.shop_gauges import shop_gauges
from checkout_service.telemetry.metrics import clock_skew_seconds

FRESH_FOR: Final = 2.0
"""Seconds for which one reading serves every scraper."""

# All of it from partial indexes. The oldest webhook is looked for among the 10,000 that are due first: exact while
# fewer are pending, and near enough when a million are. Webhooks under replay are left out: they are old, and no news.
PENDING = text("""
    SELECT (SELECT count(*) FROM webhook_deliveries WHERE state IN ('received', 'parked')) AS pending,
           (SELECT count(*) FROM webhook_deliveries WHERE state = 'parked') AS parked,
           (SELECT count(*) FROM webhook_deliveries WHERE state = 'failed') AS failed,
           (SELECT count(*) FROM payments WHERE review_reason IS NOT NULL) AS flagged,
           (SELECT count(*) FROM refunds WHERE status <= 'processing' AND status = 'requested') AS requested,
           (SELECT count(*) FROM refunds WHERE status <= 'processing' AND status = 'processing') AS processing,
           (SELECT count(*) FROM refunds
            WHERE status <= 'processing' AND status = 'requested' AND in_doubt) AS in_doubt,
           (SELECT count(*) FROM refunds
            WHERE status = 'failed' AND updated_at > now() - interval '7 days') AS refunds_failed,
           (SELECT coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8
            FROM (SELECT created_at FROM refunds
                  WHERE status <= 'processing' AND status = 'requested'
                  ORDER BY next_attempt_at
                  LIMIT 10000) AS due) AS oldest_refund_seconds,
           (SELECT coalesce(extract(epoch FROM now() - min(received_at)), 0)::float8
            FROM (SELECT received_at
                  FROM webhook_deliveries
                  WHERE state IN ('received', 'parked') AND (state = 'received' OR next_attempt_at <= now())
                      AND replay_of IS NULL
                  ORDER BY next_attempt_at
                  LIMIT 10000) AS due) AS oldest_seconds
""")


class Backlog(Collector):
    """Gauges read by six statements. While the database is away they are left out, not stale and not 0."""

    def __init__(self) -> None:
        self._read_at = float("-inf")
        self._gauges: list[Metric] = []

    def collect(self) -> Iterator[Metric]:
        if monotonic() - self._read_at > FRESH_FOR:
            self._gauges = _read()
            self._read_at = monotonic()
        yield from self._gauges


def _read() -> list[Metric]:
    up = GaugeMetricFamily("checkout_database_up", "Whether the database answered this scrape.")
    try:
        [row] = execute(PENDING)
        clock_skew_seconds.labels("web").set(seconds_ahead())
        money = money_gauges()
        events = event_gauges()
        shop = shop_gauges()
        catalog = catalog_gauges()
        settled = settlement_gauges()
    except (DatabaseUnavailableError, SQLAlchemyError):
        up.add_metric([], 0)
        return [up]
    up.add_metric([], 1)
    pending = GaugeMetricFamily("webhook_deliveries_pending", "Webhooks that are still pending.", labels=["state"])
    pending.add_metric(["received"], row.pending - row.parked)
    pending.add_metric(["parked"], row.parked)
    return [
        up,
        pending,
        GaugeMetricFamily(
            "webhook_oldest_pending_age_seconds",
            "Age of the oldest webhook still pending: received, or parked and due.",
            value=row.oldest_seconds,
        ),
        GaugeMetricFamily("webhook_deliveries_failed", "Webhooks given up, for an operator.", value=row.failed),
        GaugeMetricFamily("payments_flagged", "Payments for a person to review.", value=row.flagged),
        *_refunds(row),
        *money,
        *events,
        *shop,
        *catalog,
        *settled,
    ]


def _refunds(row: Any) -> Iterator[Metric]:
    pending = GaugeMetricFamily("refunds_outstanding", "Refunds that have not ended.", labels=["status"])
    pending.add_metric(["requested"], row.requested)
    pending.add_metric(["processing"], row.processing)
    yield pending
    yield GaugeMetricFamily(
        "refunds_oldest_outstanding_age_seconds",
        "Age of the oldest refund that its provider has not taken yet.",
        value=row.oldest_refund_seconds,
    )
    yield GaugeMetricFamily(
        "refunds_in_doubt", "Refunds of which a person must find out whether they were made.", value=row.in_doubt
    )
    yield GaugeMetricFamily("refunds_failed", "Refunds that failed within seven days.", value=row.refunds_failed)
