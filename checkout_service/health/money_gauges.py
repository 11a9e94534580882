"""Gauges of money that waits for somebody: open disputes, captures and voids outstanding, authorisations that end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from sqlalchemy import text

from checkout_service.database.engine import execute

# All of it from partial indexes. Disputes that are open are few, whatever became of the others. So are payments of
# which something is authorized; authorisations of others may keep their end for good.
_MONEY: Final = text("""
    SELECT
        (SELECT jsonb_agg(jsonb_build_array(provider, stage, number)) FROM (
            SELECT provider, stage, count(*) AS number FROM disputes
            WHERE status IN ('needs_response', 'under_review') GROUP BY provider, stage
        ) AS open) AS disputes,
        due.evidence_seconds, due.evidence_due, due.evidence_overdue,
        ending.authorization_seconds, ending.authorizations_ending, ending.authorizations_past_end,
        (SELECT count(*) FROM capture_requests
            WHERE status <= 'processing' AND status = 'requested') AS captures_requested,
        (SELECT count(*) FROM capture_requests
            WHERE status <= 'processing' AND status = 'processing') AS captures_processing,
        (SELECT count(*) FROM capture_requests WHERE status <= 'processing' AND in_doubt) AS captures_in_doubt,
        (SELECT coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 FROM (
            SELECT created_at FROM capture_requests WHERE status <= 'processing' AND status = 'requested'
            ORDER BY next_attempt_at LIMIT 10000) AS due) AS oldest_capture_seconds,
        (SELECT count(*) FROM voids WHERE status <= 'processing' AND status = 'requested') AS voids_requested,
        (SELECT count(*) FROM voids WHERE status <= 'processing' AND status = 'processing') AS voids_processing,
        (SELECT coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 FROM (
            SELECT created_at FROM voids WHERE status <= 'processing' AND status = 'requested'
            ORDER BY next_attempt_at LIMIT 10000) AS due) AS oldest_void_seconds
    FROM (
        SELECT extract(epoch FROM min(evidence_due_at) FILTER (WHERE evidence_due_at > now()) - now())::float8
                AS evidence_seconds,
            count(*) FILTER (WHERE evidence_due_at > now() AND evidence_due_at < now() + interval '48 hours')
                AS evidence_due,
            count(*) FILTER (WHERE evidence_due_at <= now()) AS evidence_overdue
        FROM disputes WHERE status = 'needs_response'
    ) AS due, (
        SELECT extract(epoch FROM min(attempt.expires_at) FILTER (WHERE attempt.expires_at > now()) - now())::float8
                AS authorization_seconds,
            count(*) FILTER (WHERE attempt.expires_at > now() AND attempt.expires_at < now() + interval '24 hours')
                AS authorizations_ending,
            count(*) FILTER (WHERE attempt.expires_at <= now()) AS authorizations_past_end
        FROM payments AS payment JOIN payment_attempts AS attempt ON attempt.payment_id = payment.id
        WHERE payment.amount_authorized > 0 AND payment.closed IS NULL
            AND attempt.status = 'authorized' AND NOT attempt.rest_released AND NOT EXISTS (
                SELECT FROM payment_attempts AS newer
                WHERE newer.payment_id = attempt.payment_id AND newer.replaces = attempt.attempt_ref)
    ) AS ending
""")


def money_gauges() -> list[Metric]:
    """The gauges, read by one statement. Raises DatabaseUnavailableError."""
    [row] = execute(_MONEY)
    return [*_disputes(row), *_requests(row), *_authorizations(row)]


def _disputes(row: Any) -> Iterator[Metric]:
    opened = GaugeMetricFamily("disputes_open", "Disputes that are not decided.", labels=["provider", "stage"])
    for provider, stage, number in row.disputes or ():
        opened.add_metric([provider, stage], number)
    yield opened
    yield _seconds(
        "disputes_nearest_evidence_deadline_seconds",
        "Until the nearest deadline for evidence that is ahead; left out where none is.",
        row.evidence_seconds,
    )
    yield GaugeMetricFamily(
        "disputes_evidence_due_soon", "Disputes whose evidence is due within 48 hours.", value=row.evidence_due
    )
    yield GaugeMetricFamily(
        "disputes_evidence_overdue",
        "Disputes whose deadline for evidence is over, and that wait for it by our books.",
        value=row.evidence_overdue,
    )


def _requests(row: Any) -> Iterator[Metric]:
    captures = GaugeMetricFamily("captures_outstanding", "Captures asked for that have not ended.", labels=["status"])
    captures.add_metric(["requested"], row.captures_requested)
    captures.add_metric(["processing"], row.captures_processing)
    yield captures
    yield GaugeMetricFamily(
        "captures_oldest_outstanding_age_seconds",
        "Age of the oldest capture that its provider has not taken yet.",
        value=row.oldest_capture_seconds,
    )
    yield GaugeMetricFamily(
        "captures_in_doubt",
        "Captures of which a person must find out whether they were made.",
        value=row.captures_in_doubt,
    )
    voids = GaugeMetricFamily("voids_outstanding", "Voids asked for that have not ended.", labels=["status"])
    voids.add_metric(["requested"], row.voids_requested)
    voids.add_metric(["processing"], row.voids_processing)
    yield voids
    yield GaugeMetricFamily(
        "voids_oldest_outstanding_age_seconds",
        "Age of the oldest void that its provider has not taken yet.",
        value=row.oldest_void_seconds,
    )


def _authorizations(row: Any) -> Iterator[Metric]:
    yield _seconds(
        "authorizations_nearest_end_seconds",
        "Until the nearest end of an authorisation that is ahead; left out where none is.",
        row.authorization_seconds,
    )
    yield GaugeMetricFamily(
        "authorizations_ending_soon", "Open authorisations that end within 24 hours.", value=row.authorizations_ending
    )
    yield GaugeMetricFamily(
        "authorizations_past_end",
        "Open authorisations whose end is over: neither captured nor voided, by our books.",
        value=row.authorizations_past_end,
    )


def _seconds(name: str, documentation: str, value: float | None) -> GaugeMetricFamily:
    """A gauge without a sample where there is nothing to count down to: 0 would be an alarm."""
    gauge = GaugeMetricFamily(name, documentation)
    if value is not None:
        gauge.add_metric([], value)
    return gauge
