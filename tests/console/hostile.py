"""An app whose operators sign in at a provider that does whatever a test tells it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from checkout_service.app import create_app
from checkout_service.identity import jwks
from checkout_service.settings.values import WebSettings
from tests.apps import close_app
from tests.console.conftest import console_settings
from tests.console.openid import HostileProvider, oidc_settings


@pytest.fixture
def hostile() -> Iterator[HostileProvider]:
    provider = HostileProvider()
    yield provider
    provider.go_away()


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is no slow provider."""
    monkeypatch.setattr(jwks, "ANSWER_WITHIN", 30.0)


@pytest.fixture
def app(hostile: HostileProvider, settings: WebSettings) -> Iterator[Flask]:
    app = create_app(console_settings(settings, console_oidc=oidc_settings(hostile.issuer)))
    yield app
    close_app(app)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()
