"""The doctor lists whose pages may use the API, and names what has no place in production."""

from __future__ import annotations

from dataclasses import replace

import pytest
from flask import Flask

from checkout_service.doctor.cli import CHECKS
from checkout_service.doctor.findings import Level
from checkout_service.doctor.origins import check_origins
from checkout_service.settings.origins import read_origins
from checkout_service.settings.values import WebSettings


@pytest.mark.parametrize(
    ("environment", "listed", "level", "shown"),
    [
        ("production", "", Level.OK, "none"),
        ("production", "https://shop.example", Level.OK, "https://shop.example may"),
        ("production", "https://*.preview.example", Level.OK, "https://*.preview.example may"),
        ("production", "https://localhost.example", Level.OK, "https://localhost.example may"),
        ("production", "https://shop.example,http://localhost:5173", Level.ADVICE, "http://localhost:5173 may"),
        ("production", "https://127.0.0.1", Level.ADVICE, "https://127.0.0.1 may"),
        ("test", "http://localhost:5173", Level.OK, "http://localhost:5173 may"),
    ],
)
def test_who_is_let_in_is_listed(
    settings: WebSettings, environment: str, listed: str, level: Level, shown: str
) -> None:
    app = Flask("doctor")
    app.extensions["settings"] = replace(settings, environment=environment, cors_origins=read_origins(listed)[0])
    with app.app_context():
        (finding,) = check_origins()
    assert (finding.level, finding.about) == (level, "other origins")
    assert finding.result.startswith(shown)
    assert ("CORS_ORIGINS" in finding.remedy) == (level is Level.ADVICE)
    assert check_origins in CHECKS
