"""Health checks name what is missing, in bounded time, and only say 503 when nothing can be promised."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import psycopg
import pytest
from flask.testing import FlaskClient
from sqlalchemy import make_url

from checkout_service.app import create_app
from checkout_service.database.engine import db
from checkout_service.health import readiness
from checkout_service.health.readiness import Readiness
from checkout_service.settings.secret import Secret
from checkout_service.settings.values import WebSettings
from tests.apps import close_app
from tests.conftest import Servers, Sql
from tests.own_apps import MakeApp

pytestmark = pytest.mark.usefixtures("patience")

BOUND = readiness.ANSWER_WITHIN
GONE = "127.0.0.1:1"
IN_TIME = 4.0
"""Seconds; alone it takes one. Those who waited for each other would take eight."""


@pytest.fixture
def revision(sql: Sql) -> Iterator[str]:
    """The revision that the database is at; put back afterwards."""
    [row] = sql("SELECT version_num FROM alembic_version")
    yield row.version_num
    sql("DELETE FROM alembic_version")
    sql("INSERT INTO alembic_version VALUES (:version)", version=row.version_num)


def test_a_living_process_says_so_without_asking_anybody(make_app: MakeApp) -> None:
    gone = Secret(f"redis://{GONE}/0")
    app = make_app(database_url=Secret(f"postgresql+psycopg://x@{GONE}/x"), redis_url=gone, broker_url=gone)
    assert app.test_client().get("/livez").json == {"status": "alive"}


def test_with_everything_there_it_is_ready(client: FlaskClient) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json["missing"] == []
    assert answer.json["checks"] == {"database": "ok", "migrations": "ok", "broker": "ok", "cache": "ok"}


def test_without_the_database_it_is_not_ready(make_app: MakeApp) -> None:
    app = make_app(database_url=Secret(f"postgresql+psycopg://checkout_web:hunter2@{GONE}/shop"))
    answer = app.test_client().get("/readyz")
    assert answer.status_code == 503
    assert answer.content_type == "application/problem+json"
    assert answer.json["missing"] == ["database", "migrations"]
    assert answer.json["checks"]["broker"] == "ok"
    assert "hunter2" not in answer.text


def test_without_the_broker_it_is_ready_and_names_it(make_app: MakeApp) -> None:
    answer = make_app(broker_url=Secret(f"redis://:hunter2@{GONE}/0")).test_client().get("/readyz")
    assert answer.status_code == 200
    assert answer.json["missing"] == ["broker"]
    assert "hunter2" not in answer.text


def test_without_a_rabbitmq_broker_it_is_ready_and_names_it(make_app: MakeApp) -> None:
    started = time.monotonic()
    answer = make_app(broker_url=Secret(f"amqp://guest:guest@{GONE}//")).test_client().get("/readyz")
    assert time.monotonic() - started < IN_TIME
    assert answer.status_code == 200
    assert answer.json["missing"] == ["broker"]


def test_without_the_cache_it_is_ready_and_names_it(make_app: MakeApp) -> None:
    answer = make_app(redis_url=Secret(f"redis://{GONE}/0")).test_client().get("/readyz")
    assert answer.status_code == 200
    assert answer.json["missing"] == ["cache"]


@pytest.mark.parametrize("behind", ["0000", "", "nonsense"])
def test_with_migrations_behind_it_is_not_ready(client: FlaskClient, sql: Sql, revision: str, behind: str) -> None:
    sql("UPDATE alembic_version SET version_num = :behind", behind=behind)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json["missing"] == ["migrations"]
    assert revision in answer.json["checks"]["migrations"]


def test_with_no_migration_recorded_it_is_not_ready(client: FlaskClient, sql: Sql, revision: str) -> None:
    sql("DELETE FROM alembic_version")
    assert client.get("/readyz").json["missing"] == ["migrations"]


def test_an_empty_database_is_not_ready(make_app: MakeApp, servers: Servers) -> None:
    empty = make_url(servers.web_url).set(database="postgres").render_as_string(hide_password=False)
    answer = make_app(database_url=Secret(empty)).test_client().get("/readyz")
    assert answer.status_code == 503
    assert answer.json["checks"]["database"] == "ok"
    assert answer.json["missing"] == ["migrations"]


def test_a_newer_database_is_ready_since_a_release_migrates_first(client: FlaskClient, sql: Sql, revision: str) -> None:
    sql("UPDATE alembic_version SET version_num = '9999'")
    assert client.get("/readyz").json["missing"] == []


def test_frozen_servers_are_named_in_time_however_many_ask(
    make_app: MakeApp, frozen_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "ANSWER_WITHIN", BOUND)
    frozen = Secret(f"redis://127.0.0.1:{frozen_port}/0")
    app = make_app(
        database_url=Secret(f"postgresql+psycopg://x@127.0.0.1:{frozen_port}/x"), redis_url=frozen, broker_url=frozen
    )

    def ask(_: int) -> float:
        started = time.monotonic()
        answer = app.test_client().get("/readyz")
        assert answer.status_code == 503
        assert answer.json["missing"] == ["database", "migrations", "broker", "cache"]
        return time.monotonic() - started

    with ThreadPoolExecutor(8) as threads:
        assert max(threads.map(ask, range(8))) < IN_TIME
    assert ask(0) < IN_TIME


def test_it_recovers_by_itself(make_app: MakeApp, sql: Sql) -> None:
    app = make_app()
    assert app.test_client().get("/readyz").status_code == 200
    sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'checkout-web'")
    assert app.test_client().get("/readyz").status_code == 200


def test_a_check_that_outlives_its_app_leaves_no_connection_open(
    settings: WebSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = create_app(settings)
    begun, goes_on = threading.Event(), threading.Event()
    lent: list[psycopg.Connection[Any]] = []

    def slow() -> dict[str, str]:
        with db.engine.connect() as connection:
            lent.append(cast("Any", connection.connection.dbapi_connection))
            begun.set()
            assert goes_on.wait(30)
        return {"database": readiness.OK}

    looking: Readiness = app.extensions["readiness"]
    monkeypatch.setitem(looking._probes, "database", slow)
    monkeypatch.setattr(readiness, "ANSWER_WITHIN", 0.0)
    assert app.test_client().get("/readyz").json["checks"]["database"] == "no answer in time"
    assert begun.wait(30)
    close_app(app)
    assert not lent[0].closed
    goes_on.set()
    looking._threads.shutdown(wait=True)
    assert lent[0].closed
