"""Gauges of events on their way to the shop: endpoints by state, what waits and failed, how far they are behind."""

from __future__ import annotations

from typing import Final

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from sqlalchemy import text

from checkout_service.database.engine import execute

COUNTED: Final = 10_000
"""Event deliveries that are counted at most: more of them are no other news."""

# How long the oldest event that an enabled endpoint has not passed waits. What is for nobody is passed soon.
_EVENTS: Final = text(f"""
    SELECT (SELECT count(*) FROM webhook_endpoints WHERE deleted_at IS NULL AND state = 'enabled') AS enabled,
        (SELECT count(*) FROM webhook_endpoints WHERE deleted_at IS NULL AND state = 'suspended') AS suspended,
        (SELECT count(*) FROM webhook_endpoints WHERE deleted_at IS NULL AND state = 'disabled') AS disabled,
        (SELECT count(*) FROM (SELECT FROM pending_deliveries
            WHERE state = 'failed' LIMIT {COUNTED}) AS counted) AS failed,
        (SELECT count(*) FROM (SELECT FROM pending_deliveries
            WHERE state = 'waiting' AND next_attempt_at IS NOT NULL LIMIT {COUNTED}) AS counted) AS waiting,
        (SELECT coalesce(extract(epoch FROM now() - min(numbers.created_at)), 0)::float8
            FROM webhook_endpoints AS endpoint CROSS JOIN LATERAL (
                SELECT created_at FROM event_numbers WHERE seq = endpoint.place + 1
            ) AS numbers
            WHERE endpoint.deleted_at IS NULL AND endpoint.state = 'enabled'
                AND EXISTS (SELECT FROM event_types AS known
                    WHERE known.last_seq > endpoint.place
                        AND (endpoint.types IS NULL OR known.type = ANY(endpoint.types)))) AS behind_seconds
""")  # noqa: S608 (only our own constants)


def event_gauges() -> list[Metric]:
    """The gauges, read by one statement. Raises DatabaseUnavailableError."""
    [row] = execute(_EVENTS)
    endpoints = GaugeMetricFamily("event_endpoints", "Webhook endpoints by state.", labels=["state"])
    for state in ("enabled", "suspended", "disabled"):
        endpoints.add_metric([state], getattr(row, state))
    return [
        endpoints,
        GaugeMetricFamily(
            "event_deliveries_waiting",
            f"Event deliveries that were not taken and are tried again, the first of each lane; up to {COUNTED}.",
            value=row.waiting,
        ),
        GaugeMetricFamily(
            "event_deliveries_failed",
            f"Event deliveries given up, which can be replayed; up to {COUNTED}.",
            value=row.failed,
        ),
        GaugeMetricFamily(
            "event_oldest_undelivered_age_seconds",
            "How long the event behind the place of the slowest enabled endpoint has had its number.",
            value=row.behind_seconds,
        ),
    ]
