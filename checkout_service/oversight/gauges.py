"""The invariants as gauges for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic
from typing import Final

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from checkout_service.database.errors import DatabaseUnavailableError
from checkout_service.oversight.invariants import count_violations
from checkout_service.oversight.promises import Limits

FRESH_FOR: Final = 15.0
"""Seconds for which one reading serves every scraper of this process."""


class Violations(Collector):
    """Rows that break a promise, by promise; left out while the database is away."""

    def __init__(self) -> None:
        self._read_at = float("-inf")
        self._counts: dict[str, int] = {}

    def collect(self) -> Iterator[Metric]:
        if monotonic() - self._read_at > FRESH_FOR:
            try:
                self._counts = count_violations(Limits())
            except (DatabaseUnavailableError, SQLAlchemyError):
                self._counts = {}
            self._read_at = monotonic()
        gauge = GaugeMetricFamily(
            "checkout_invariant_violations",
            "Rows that break a promise, among the newest or oldest thousands; see `checkout payments check`.",
            labels=["invariant"],
        )
        for name, count in self._counts.items():
            gauge.add_metric([name], count)
        yield gauge
