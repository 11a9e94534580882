"""``flask doctor``: finds what is wrong around the service, and says what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from flask import Flask
from kombu import Connection, Queue

from checkout_service.doctor.clocks import _judge
from checkout_service.doctor.environment import check_flower, unusable
from checkout_service.doctor.findings import Level
from checkout_service.doctor.wire import queues_of_another_kind, worker_clocks
from checkout_service.settings.secret import Secret
from checkout_service.settings.values import SettingsError
from tests.brokers.rabbit import start_rabbit
from tests.conftest import ROOT, Servers, Sql
from tests.flower_pages import stack as station
from tests.webhook_bodies import insert_payment


def _examine(settings: dict[str, str]) -> tuple[int, dict[str, str]]:
    """Its exit status, and what it report of each thing."""
    done = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "wsgi", "doctor"],
        cwd=ROOT,
        env={**settings, "PYTHONPATH": os.fspath(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    lines = [line for line in done.stdout.splitlines() if line and not line.startswith(" ")]
    return done.returncode, {line[9:32].strip(): f"{line[:8].strip()} {line[32:].strip()}" for line in lines}


@pytest.fixture
def durable(servers: Servers) -> Iterator[None]:
    """The tests' own broker is not durable, which the doctor would not like."""
    broker = redis.Redis.from_url(servers.redis_url)
    broker.config_set("appendonly", "yes")
    yield
    broker.config_set("appendonly", "no")
    broker.config_set("maxmemory-policy", "noeviction")


def test_a_healthy_house_with_its_workers(servers: Servers, durable: None, tmp_path: Path) -> None:
    settings = station.environment(servers, TRUSTED_PROXIES="none")
    with station.run(tmp_path, settings, "worker", "housekeeping"):
        status, report = _examine(settings)
    # The tests' PostgreSQL runs without fsync: that alone is wrong here, and rightly so.
    assert {about for about, what in report.items() if not what.startswith("ok ")} == {"durability"}
    assert "fsync" in report["durability"]
    assert status == 1
    assert {"database", "migrations", "web role", "worker role", "worker", "housekeeping", "invariants"} <= set(report)
    assert any(about.startswith("clock of worker@") for about in report)


def test_each_thing_that_is_wrong_is_named(servers: Servers, durable: None, sql: Sql) -> None:
    redis.Redis.from_url(servers.redis_url).config_set("maxmemory-policy", "allkeys-lru")
    insert_payment(sql, status="paid")
    settings = station.environment(servers, DATABASE_URL=servers.superuser_url, WORKER_DATABASE_URL=servers.web_url)

    status, report = _examine(settings)

    assert status == 1
    assert "is a superuser" in report["web role"]
    assert report["worker role"] == "WRONG checkout_web may not have payments computed, insert events, update payments"
    assert report["broker eviction"] == "WRONG maxmemory-policy allkeys-lru"
    assert report["money_without_event"] == "WRONG 1 rows break it"
    assert report["worker"] == "WRONG none answers"
    assert report["trusted proxies"] == "advice TRUSTED_PROXIES is unset: nothing is bounded by address"


def test_a_host_that_holds_no_worker_settings_says_so(servers: Servers) -> None:
    settings = station.environment(servers)
    del settings["MOCK_WEBHOOK_SECRETS"]
    _, report = _examine(settings)
    assert report["worker settings"].startswith("unknown MOCK_WEBHOOK_SECRETS")


def test_a_secret_that_cannot_work_is_named_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWER_BASIC_AUTH", "ops:a password, with a comma")
    (found,) = check_flower()
    assert (found.level, found.about) == (Level.WRONG, "flower settings")
    assert found.result.startswith("FLOWER_BASIC_AUTH: number 2 of 2 has no colon")
    assert "comma in it" not in found.result
    monkeypatch.delenv("FLOWER_BASIC_AUTH")
    (found,) = check_flower()
    assert found.level is Level.UNKNOWN
    monkeypatch.setenv("FLOWER_BASIC_AUTH", "ops:a password")
    (found,) = check_flower()
    assert (found.level, found.result) == (Level.OK, "1 may sign in")


def test_settings_of_a_worker_are_unknown_where_they_are_not_and_wrong_where_one_cannot_work() -> None:
    missing = "WORKER_DATABASE_URL: Environment variable not set."
    assert unusable("worker settings", SettingsError(missing), remedy="Elsewhere.").level is Level.UNKNOWN
    wrong = unusable(
        "worker settings",
        SettingsError(f"{missing}\nSTANDARD_WEBHOOK_SECRETS: is URL-safe base64"),
        remedy="Elsewhere.",
    )
    assert (wrong.level, wrong.result) == (Level.WRONG, "STANDARD_WEBHOOK_SECRETS: is URL-safe base64")


def test_servers_that_are_away_are_named_in_time(servers: Servers) -> None:
    away = station.environment(servers, REDIS_URL="redis://127.0.0.1:1/0", DATABASE_URL="postgresql://x@127.0.0.1:1/x")
    status, report = _examine(away)
    assert status == 1
    assert report["database"] == "WRONG away"
    assert report["server"].startswith("unknown")


def test_settings_that_cannot_be_used_are_all_named(servers: Servers) -> None:
    settings = station.environment(servers, REDIS_URL="nonsense", DATABASE_POOLER="session", CELERY_BROKER_URL="x")
    done = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "wsgi", "doctor"],
        cwd=ROOT,
        env=settings,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert all(name in done.stderr for name in ("REDIS_URL", "DATABASE_POOLER", "CELERY_BROKER_URL"))


@pytest.mark.parametrize(("ahead", "level"), [(0.5, Level.OK), (-3, Level.ADVICE), (31, Level.WRONG)])
def test_clocks_are_judged_by_what_goes_by_them(ahead: float, level: Level) -> None:
    assert _judge("clock", ahead).level is level


def test_rabbitmq_with_a_queue_of_another_kind(app: Flask) -> None:
    with start_rabbit() as rabbit:
        url = Secret(rabbit.url)
        assert queues_of_another_kind(url) == []
        with Connection(rabbit.url) as connection:
            connection.default_channel.queue_delete("payments")
            Queue("payments", durable=True)(connection.default_channel).declare()
        assert queues_of_another_kind(url) == ["payments"]
        assert worker_clocks(url, listen_for=0.5) == {}
