"""Gauges of the catalogue's source: when it was last read with success, and what could not be used of it."""

from __future__ import annotations

from typing import Final

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from sqlalchemy import text

from checkout_service.database.engine import execute

_LAST: Final = text("""
    SELECT source_rows, unusable, short, extract(epoch FROM now() - finished_at)::float8 AS age
    FROM catalog_syncs WHERE state = 'done' ORDER BY id DESC LIMIT 1
""")


def catalog_gauges() -> list[Metric]:
    """The gauges, read by one statement; none where no source was ever read. Raises DatabaseUnavailableError."""
    rows = execute(_LAST)
    if not rows:
        return []
    [row] = rows
    values = {
        "catalog_sync_last_success_age_seconds": ("How long ago all of the catalogue's source was last read.", row.age),
        "catalog_source_rows": ("Rows that the source had then.", row.source_rows),
        "catalog_source_unusable_rows": ("Rows of it that could be no listing.", row.unusable),
        "catalog_source_short_listings": ("Listings of which less lies there than is reserved.", row.short),
    }
    return [GaugeMetricFamily(name, about, value=value) for name, (about, value) in values.items()]
