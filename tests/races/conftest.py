"""Races take as long as the machine needs: what is looked at is who won, and never whether it was quick.

The bounds of statements and locks have tests of their own (tests/webhooks/test_database_away.py).
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask

from checkout_service.database import engine
from checkout_service.database.connections import ANSWER_WITHIN, DeadlineConnection
from checkout_service.settings.values import WebSettings
from tests.apps import open_app

LOCK_WITHIN = engine.LOCK_WITHIN
PATIENCE = 30
"""Seconds for one statement and for one lock."""


@pytest.fixture(scope="module", autouse=True)
def patience() -> Iterator[None]:
    """Ends with each file: a folder that is no Python package has no end of its own but that of the whole run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DeadlineConnection, "answer_within", PATIENCE)
        patch.setattr(engine, "LOCK_WITHIN", PATIENCE * 1000)
        yield


@pytest.fixture(scope="module")
def app(settings: WebSettings, patience: None) -> Iterator[Flask]:
    """The app of these tests, made while there is patience: each of its connections has the bounds it began with."""
    with open_app(settings) as app:
        yield app


@pytest.fixture
def usual_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """For apps that a test makes itself, where the bound is what it looks at."""
    monkeypatch.setattr(DeadlineConnection, "answer_within", ANSWER_WITHIN)
    monkeypatch.setattr(engine, "LOCK_WITHIN", LOCK_WITHIN)
