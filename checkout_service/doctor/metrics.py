"""Checks who may read the metrics: in production nobody may without a token."""

from __future__ import annotations

from collections.abc import Iterator

from flask import current_app

from checkout_service.doctor.findings import Finding, advice, ok
from checkout_service.settings.values import WebSettings


def check_metrics() -> Iterator[Finding]:
    """Without the metrics there is no alarm."""
    settings: WebSettings = current_app.extensions["settings"]
    if settings.metrics_token is not None:
        yield ok("metrics", "/metrics takes METRICS_TOKEN")
    elif settings.production:
        yield advice(
            "metrics",
            "METRICS_TOKEN is unset: /metrics is 404 in production",
            "Set it for web and workers, 16 characters at least, and have Prometheus send it as a Bearer token.",
        )
    else:
        yield ok("metrics", "/metrics is open, as this is not production")
