"""A worker's context in this process: everything within a test runs as a task would."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest
import redis
from flask import Flask

from checkout_service.settings.values import WorkerSettings
from tests.apps import close_app
from tests.conftest import Servers
from tests.worker.other_providers import wallets
from tests.worker.scripted import ScriptedProvider
from worker.context import make_context

__all__ = ["wallets"]  # fixtures

MakeWorker = Callable[..., Flask]
Messages = Callable[..., list[tuple[str, ...]]]


@pytest.fixture
def worker(worker_app: Flask) -> Iterator[Flask]:
    with worker_app.app_context():
        yield worker_app


@pytest.fixture
def make_worker(worker_app: Flask, worker_settings: WorkerSettings) -> Iterator[MakeWorker]:
    """Another worker: ``make_worker(rejected_max_rows=2)``; the overrides are fields of its settings.

    Those of a test are a deployment of their own: what another test's worker remembers a moment later, by a thread that
    had it in hand when its app was closed, is nothing to them.
    """
    made: list[Flask] = []
    deployment = uuid4()

    def make(**overrides: Any) -> Flask:
        made.append(make_context(replace(worker_settings, **{"payment_namespace": deployment} | overrides)))
        return made[-1]

    yield make
    for app in made:
        close_app(app)


@pytest.fixture
def scripted(make_worker: MakeWorker) -> Iterator[ScriptedProvider]:
    """A worker whose provider says what the test has told it to; the test runs inside its context."""
    app = make_worker()
    provider = ScriptedProvider()
    app.extensions["providers"] = {provider.name: provider}
    with app.app_context():
        yield provider


@pytest.fixture
def broker(servers: Servers) -> Iterator[redis.Redis]:
    client = redis.Redis.from_url(servers.redis_url)
    yield client
    client.close()


@pytest.fixture
def messages(broker: redis.Redis) -> Messages:
    """The arguments of the tasks that wait on a queue, the oldest first."""

    def waiting(queue: str = "webhooks") -> list[tuple[str, ...]]:
        found = [json.loads(message)["headers"] for message in broker.lrange(queue, 0, -1)]
        return [ast.literal_eval(headers["argsrepr"]) for headers in reversed(found)]

    return waiting


@pytest.fixture
def break_recording(sql: Callable[..., Any]) -> Iterator[Callable[[str], None]]:
    """Make PostgreSQL refuse events about one payment, until the test (or ``mend``) ends it."""

    def break_it(reference: str) -> None:
        sql(f"""
            CREATE OR REPLACE FUNCTION test_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF (SELECT provider_ref FROM payments WHERE id = NEW.payment_id) = '{reference}' THEN
                    RAISE EXCEPTION 'this payment is cursed';
                END IF;
                RETURN NEW;
            END $$""")
        sql("""
            CREATE OR REPLACE TRIGGER test_refuse BEFORE INSERT ON payment_events
            FOR EACH ROW EXECUTE FUNCTION test_refuse()""")

    yield break_it
    sql("DROP TRIGGER IF EXISTS test_refuse ON payment_events")
    sql("DROP FUNCTION IF EXISTS test_refuse()")


@pytest.fixture
def mend(sql: Callable[..., Any]) -> Callable[[], None]:
    """Undo ``break_recording`` within a test."""
    return lambda: (sql("DROP TRIGGER test_refuse ON payment_events"), None)[1]


def webhook_row(sql: Callable[..., Any], delivery_id: UUID) -> Any:
    """The webhook's row, with the seconds until its next attempt."""
    return sql(
        """SELECT *, extract(epoch FROM next_attempt_at - now())::float8 AS due_in
        FROM webhook_deliveries WHERE id = :id""",
        id=delivery_id,
    )[0]
