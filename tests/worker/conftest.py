"""A worker's context in this process: everything within a test runs as a task would."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask

from checkout_service.database import db
from checkout_service.settings import WorkerSettings
from worker.context import make_context


@pytest.fixture(scope="session")
def worker_app(worker_settings: WorkerSettings) -> Iterator[Flask]:
    app = make_context(worker_settings)
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def worker(worker_app: Flask) -> Iterator[Flask]:
    with worker_app.app_context():
        yield worker_app
