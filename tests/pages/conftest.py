"""The shop, in this process: one for all files, as it keeps nothing of a test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask

from checkout_service.app import create_app
from checkout_service.settings.values import WebSettings
from tests.apps import close_app


@pytest.fixture(scope="session")
def shop(settings: WebSettings) -> Iterator[Flask]:
    app = create_app(replace(settings, pages=True))
    yield app
    close_app(app)
