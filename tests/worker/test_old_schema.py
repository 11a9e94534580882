"""A worker of a new release starts before its migrations have ended: it waits, says so once, and takes no message."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from flask import Flask
from sqlalchemy import make_url

from checkout_service.database.schema import HEAD
from checkout_service.publishing.publisher import TaskQueue
from checkout_service.settings.secret import Secret
from checkout_service.tasks import TaskName
from tests.conftest import Servers, Sql, with_psycopg
from tests.flower_pages import stack as station
from tests.flower_pages.stack import eventually
from tests.webhook_bodies import insert_payment, insert_webhook, state_of, status_of, webhook
from tests.worker.conftest import MakeWorker, Messages
from worker import consumer
from worker.consumer import wait_for_schema


@pytest.fixture
def old_schema(sql: Sql) -> Iterator[None]:
    sql("UPDATE alembic_version SET version_num = '0001'")
    yield
    sql("UPDATE alembic_version SET version_num = :head", head=HEAD)


@pytest.fixture
def inside(make_worker: MakeWorker, monkeypatch: pytest.MonkeyPatch) -> Flask:
    app = make_worker()
    monkeypatch.setattr(consumer, "context", lambda: app)
    monkeypatch.setattr(consumer, "PAUSE", 0.0)
    return app


class EndedError(Exception):
    """What ends the worker meanwhile."""


@pytest.mark.usefixtures("old_schema", "inside")
def test_it_waits_until_the_migrations_have_ended(sql: Sql) -> None:
    looks = []

    def go_on() -> None:
        looks.append(1)
        if len(looks) == 6:
            sql("UPDATE alembic_version SET version_num = :head", head=HEAD)

    with structlog.testing.capture_logs() as lines:
        wait_for_schema(go_on)
    assert len(looks) == 6
    assert [line["event"] for line in lines] == ["worker_waits_for_database", "worker_begins"]
    assert (lines[0]["migrations"], lines[0]["needed"]) == (f"at 0001, behind {HEAD}", HEAD)


@pytest.mark.usefixtures("old_schema", "inside")
def test_it_can_be_ended_meanwhile() -> None:
    def go_on() -> None:
        raise EndedError

    with pytest.raises(EndedError):
        wait_for_schema(go_on)


@pytest.mark.parametrize("revision", [HEAD, "9999"])
@pytest.mark.usefixtures("old_schema", "inside")
def test_it_begins_at_once_with_its_own_schema_and_with_a_newer_one(revision: str, sql: Sql) -> None:
    sql("UPDATE alembic_version SET version_num = :revision", revision=revision)
    with structlog.testing.capture_logs() as lines:
        wait_for_schema(lambda: pytest.fail("it waited"))
    assert lines == []


def test_a_database_that_is_away_or_empty_is_waited_for(
    make_worker: MakeWorker, monkeypatch: pytest.MonkeyPatch, servers: Servers
) -> None:
    places = {
        "unknown: it cannot be reached (OperationalError)": "postgresql+psycopg://checkout_worker@127.0.0.1:1/nowhere",
        "none applied": with_psycopg(make_url(servers.worker_url).set(database="postgres")),
    }

    def go_on() -> None:
        raise EndedError

    for missing, url in places.items():
        app = make_worker(database_url=Secret(url))
        monkeypatch.setattr(consumer, "context", lambda app=app: app)
        with structlog.testing.capture_logs() as lines, pytest.raises(EndedError):
            wait_for_schema(go_on)
        assert [line["migrations"] for line in lines] == [missing]


@pytest.mark.usefixtures("old_schema")
def test_a_worker_process_leaves_its_messages_to_others_until_then(
    servers: Servers, sql: Sql, tmp_path: Path, messages: Messages
) -> None:
    reference = insert_payment(sql)
    delivery = insert_webhook(sql, webhook(reference))
    TaskQueue(Secret(servers.redis_url)).enqueue(TaskName.PROCESS_WEBHOOK, str(delivery))
    with station.run(tmp_path, station.environment(servers), "worker"):
        log = tmp_path / "worker.log"
        eventually(lambda: "worker_waits_for_database" in log.read_text(), within=60)
        assert messages() == [(str(delivery),)]
        assert state_of(sql, delivery) == "received"
        sql("UPDATE alembic_version SET version_num = :head", head=HEAD)
        eventually(lambda: status_of(sql, reference) == "paid", within=60)
    assert log.read_text().count("worker_waits_for_database") == 1
    assert "Traceback" not in log.read_text()
