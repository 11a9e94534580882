"""The doctor asks the provider where operators sign in whether it is there, and whom it says it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask

from checkout_service.doctor.cli import CHECKS
from checkout_service.doctor.findings import Finding, Level
from checkout_service.doctor.sign_in import check_sign_in
from checkout_service.settings.values import WebSettings
from tests.console.openid import HostileProvider, oidc_settings


@pytest.fixture
def provider() -> Iterator[HostileProvider]:
    provider = HostileProvider()
    yield provider
    provider.go_away()


def found(settings: WebSettings, issuer: str | None, *, console: bool = True) -> list[Finding]:
    app = Flask("doctor")
    oidc = oidc_settings(issuer) if issuer else None
    app.extensions["settings"] = replace(settings, console=console, console_oidc=oidc)
    with app.app_context():
        return list(check_sign_in())


def test_one_that_answers_and_names_itself_alike_is_well(settings: WebSettings, provider: HostileProvider) -> None:
    (finding,) = found(settings, provider.issuer)
    assert finding.level is Level.OK
    assert "http://127.0.0.1:8000/ops/sign-in/callback" in finding.result
    assert check_sign_in in CHECKS


def test_one_that_names_itself_otherwise_or_is_away_is_wrong(settings: WebSettings, provider: HostileProvider) -> None:
    (finding,) = found(settings, f"{provider.issuer}/")
    assert finding.level is Level.WRONG
    assert "names itself otherwise" in finding.result
    (finding,) = found(settings, "http://127.0.0.1:1")
    assert finding.level is Level.WRONG
    assert "CONSOLE_OIDC_ISSUER" in finding.remedy


def test_without_one_there_is_little_to_say(settings: WebSettings, provider: HostileProvider) -> None:
    assert [finding.level for finding in found(settings, None)] == [Level.OK]
    assert found(settings, None, console=False) == []
    assert [finding.level for finding in found(settings, provider.issuer, console=False)] == [Level.OK, Level.ADVICE]
