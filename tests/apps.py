"""Apps of a test's own: the same servers with other settings, or other servers with the same."""

from __future__ import annotations

import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from celery import Celery
from flask import Flask
from sqlalchemy import event
from sqlalchemy.pool import ConnectionPoolEntry

from checkout_service.app import create_app
from checkout_service.cache import cache
from checkout_service.database.engine import db
from checkout_service.health import readiness
from checkout_service.local.guard import Guard
from checkout_service.local.launch import Server
from checkout_service.local.servers import Postgres, start_postgres
from checkout_service.providers.adapters.mock.provider import MockProvider
from checkout_service.settings.values import WebSettings
from tests.contract import hold_to_document
from tests.halted import until_stopped

FROZEN_FOR = 20.0
"""Seconds after which a frozen server goes on by itself."""

MakeApp = Callable[..., Flask]


@pytest.fixture
def make_app(settings: WebSettings, request: pytest.FixtureRequest) -> Iterator[MakeApp]:
    """An app with settings changed: ``make_app(redis_url=…)``."""
    if "own_valkey" in request.fixturenames:
        request.getfixturevalue("own_valkey")  # set up first, so that it ends after the apps that use it
    made: list[Flask] = []

    def make(**changes: Any) -> Flask:
        made.append(create_app(replace(settings, **changes)))
        hold_to_document(made[-1])
        return made[-1]

    yield make
    for app in made:
        close_app(app)


@contextmanager
def open_app(settings: WebSettings) -> Iterator[Flask]:
    """An app for many tests."""
    app = create_app(settings)
    app.testing = True
    # A test wants to see the 500 that a caller would see.
    app.config["PROPAGATE_EXCEPTIONS"] = False
    hold_to_document(app)
    yield app
    close_app(app)


def close_app(app: Flask) -> None:
    """Close what an app of web or worker has open: a process ends with its connections open, a test run must not."""
    if publisher := app.extensions.get("background_publisher"):
        publisher._waiting.clear()  # its thread goes on as long as something waits, beside tests that come later
    _leave_pools(app.extensions["queue"]._celery)
    mock = app.extensions["providers"].get("mock")
    if isinstance(mock, MockProvider) and mock._api and mock._api._client:
        mock._api._client.close()
    if gauge := app.extensions.get("backpressure"):
        # Its thread goes on as well; it would log, beside tests that come later, that this app's server is gone.
        vars(gauge)["measure"] = lambda _: 3600.0
    with app.app_context():
        event.listen(db.engine, "checkin", _close_what_comes_back)
        db.engine.dispose()
        # What it would remember a moment later is nothing to the next test, whose webhooks may be the same bytes.
        cache()._later.clear()
        cache()._redis.close()


def _close_what_comes_back(_: object, record: ConnectionPoolEntry) -> None:
    """What a thread gives back after the end, such as that of /readyz, whose answer nobody waited for.

    It would stay open in a pool that nobody has, until the garbage collector finds it: in another test, which fails.
    """
    record.invalidate()


def _leave_pools(celery: Celery) -> None:
    """Let go of kombu's pools, which a test may close: a message that a thread still sends finds no closed one."""
    celery.close()
    vars(celery).pop("amqp", None)


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is no server that is away: checks are waited for as long as they take."""
    monkeypatch.setattr(readiness, "ANSWER_WITHIN", 60.0)


@contextmanager
def frozen(server: Server) -> Iterator[None]:
    """Stop a server in its tracks, children included: it takes connections, and says nothing until the block ends."""
    assert server.process is not None
    main = psutil.Process(server.process.pid)
    stopped = [main]
    main.send_signal(signal.SIGSTOP)
    # PostgreSQL's children lead sessions of their own, so they are found one by one.
    stopped += main.children(recursive=True)
    for process in stopped:
        process.send_signal(signal.SIGSTOP)
    until_stopped(process.pid for process in stopped)

    def thaw() -> None:
        for process in stopped:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGCONT)

    # A client that waits without end must fail its test, not hang it.
    timer = threading.Timer(FROZEN_FOR, thaw)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        thaw()


@contextmanager
def another_postgres() -> Iterator[Postgres]:
    """A PostgreSQL beside that of the run, to be stopped and frozen."""
    # Not below pytest's own folder, which every session of pytest closes to other accounts again.
    with tempfile.TemporaryDirectory(prefix="checkout-tests-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o711)  # PostgreSQL has another account than root, and has to pass
        with closing(Guard()) as guard:
            guard.remove_at_end(folder)
            postgres = start_postgres(folder / "postgres", guard=guard, durable=False)
            with postgres.server:
                yield postgres
