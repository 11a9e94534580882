"""The doctor says where nobody may read the metrics."""

from __future__ import annotations

from dataclasses import replace

import pytest
from flask import Flask

from checkout_service.doctor.findings import Level
from checkout_service.doctor.metrics import check_metrics
from checkout_service.settings.secret import Secret
from checkout_service.settings.values import WebSettings

TOKEN = "a-token-that-scrapers-know"


@pytest.mark.parametrize(
    ("environment", "token", "level"),
    [
        ("production", None, Level.ADVICE),
        ("production", TOKEN, Level.OK),
        ("test", None, Level.OK),
        ("test", TOKEN, Level.OK),
    ],
)
def test_metrics_that_nobody_may_read_are_named(
    settings: WebSettings, environment: str, token: str | None, level: Level
) -> None:
    app = Flask("doctor")
    app.extensions["settings"] = replace(
        settings, environment=environment, metrics_token=Secret(token) if token else None
    )
    with app.app_context():
        (finding,) = check_metrics()
    assert finding.level is level
    assert TOKEN not in finding.result + finding.remedy
    assert ("METRICS_TOKEN" in finding.remedy + finding.result) == (level is Level.ADVICE or token is not None)
