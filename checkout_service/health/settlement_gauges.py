"""Gauges of settled money: what needs a person, for how long, and payouts that have not come out even."""

from __future__ import annotations

from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from checkout_service.settlements.exception_queries import COUNTED, open_counts


def settlement_gauges() -> list[Metric]:
    """The gauges, read by one statement; zeros where nobody enters reports. Raises DatabaseUnavailableError."""
    counts = open_counts()
    exceptions = GaugeMetricFamily(
        "settlement_exceptions",
        f"Exceptions of settled money that nobody settled, and files that are held; up to {COUNTED} of each kind.",
        labels=["kind"],
    )
    for kind, number in sorted(counts.by_kind.items()):
        exceptions.add_metric([kind], number)
    return [
        exceptions,
        GaugeMetricFamily(
            "settlement_oldest_unmatched_age_seconds",
            "Age of the oldest exception of settled money that is no fee of no payment; 0 where there is none.",
            value=counts.oldest,
        ),
        GaugeMetricFamily(
            "settlement_payouts_open",
            f"Payouts that do not add up yet, or of which a line needs a person; up to {COUNTED}.",
            value=counts.open_payouts,
        ),
        GaugeMetricFamily(
            "settlement_oldest_open_payout_age_seconds",
            "For how long nothing changed of a payout that is open, the longest; those that nobody can list left out.",
            value=counts.oldest_open_payout,
        ),
    ]
