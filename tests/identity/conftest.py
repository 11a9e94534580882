"""The apps of their own that these tests begin with, and patience with the issuer: they look at who is served."""

import pytest

from checkout_service.identity import jwks, jwks_fetch
from tests.own_apps import frozen_port, make_app, own_client

__all__ = ["frozen_port", "make_app", "own_client"]

ANSWER_WITHIN, WITHIN = jwks.ANSWER_WITHIN, jwks_fetch.WITHIN
PATIENCE = 30.0
"""Seconds for a fetch, and for who waits for one."""


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jwks, "ANSWER_WITHIN", PATIENCE)
    monkeypatch.setattr(jwks_fetch, "WITHIN", PATIENCE)


@pytest.fixture
def usual_bounds(patience: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """For a test that looks at the bounds themselves."""
    monkeypatch.setattr(jwks, "ANSWER_WITHIN", ANSWER_WITHIN)
    monkeypatch.setattr(jwks_fetch, "WITHIN", WITHIN)
