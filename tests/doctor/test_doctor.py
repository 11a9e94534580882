"""``checkout doctor``: finds what is wrong around the service, and says what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from flask import Flask
from kombu import Connection as BrokerConnection
from kombu import Queue
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import ProgrammingError

from checkout_service.doctor.clocks import _judge
from checkout_service.doctor.environment import check_flower, unusable
from checkout_service.doctor.findings import Finding, Level
from checkout_service.doctor.rights import WEB, WEB_FUNCTIONS
from checkout_service.doctor.roles import judge
from checkout_service.doctor.wire import queues_of_another_kind, worker_clocks
from checkout_service.settings.secret import Secret
from checkout_service.settings.values import SettingsError
from tests.brokers.rabbit import start_rabbit
from tests.conftest import ROOT, WEBHOOK_SECRETS_KEY, Servers, Sql
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


BOUNDS = (ROOT / "deploy" / "postgresql" / "bounds.sql").read_text(encoding="utf-8")

UNBOUND = """
    DO $$
    DECLARE
        known record;
        login text;
    BEGIN
        EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO PUBLIC', current_database());
        FOR known IN
            SELECT oid::regprocedure AS function FROM pg_proc
            WHERE pronamespace = 'pg_catalog'::regnamespace AND proname ~ '^(lo_|lowrite|pg_(try_)?advisory)'
                AND proname NOT IN ('lo_import', 'lo_export')
        LOOP
            EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO PUBLIC', known.function);
        END LOOP;
        FOREACH login IN ARRAY ARRAY['checkout_web', 'checkout_worker'] LOOP
            EXECUTE format('ALTER ROLE %I IN DATABASE %I RESET temp_file_limit', login, current_database());
            EXECUTE format('ALTER ROLE %I CONNECTION LIMIT -1', login);
        END LOOP;
    END
    $$
"""


@pytest.fixture
def bounded(superuser: Engine) -> Iterator[None]:
    """What a superuser sets once in a database; other tests go on without it."""
    with superuser.connect() as connection:
        connection.exec_driver_sql(BOUNDS, execution_options={"no_parameters": True})
        yield
        connection.exec_driver_sql(UNBOUND, execution_options={"no_parameters": True})


def test_a_healthy_house_with_its_workers(servers: Servers, durable: None, bounded: None, tmp_path: Path) -> None:
    settings = station.environment(servers, TRUSTED_PROXIES="none", WEBHOOK_SECRETS_KEY=WEBHOOK_SECRETS_KEY)
    with station.run(tmp_path, settings, "worker", "housekeeping", "sender"):
        status, report = _examine(settings)
    # The tests' PostgreSQL runs without fsync and without a standby: that alone is not well here, and rightly so.
    assert {about for about, what in report.items() if not what.startswith("ok ")} == {"durability", "power cuts"}
    assert "fsync" in report["power cuts"]
    assert report["durability"] == "advice on this server alone"
    assert status == 1
    named = {"database", "migrations", "web role", "worker role", "worker", "housekeeping", "sender", "invariants"}
    assert named <= set(report)
    assert any(about.startswith("clock of worker@") for about in report)


def test_each_thing_that_is_wrong_is_named(servers: Servers, durable: None, sql: Sql) -> None:
    redis.Redis.from_url(servers.redis_url).config_set("maxmemory-policy", "allkeys-lru")
    insert_payment(sql, status="paid")
    settings = station.environment(servers, DATABASE_URL=servers.superuser_url, WORKER_DATABASE_URL=servers.web_url)

    status, report = _examine(settings)

    assert status == 1
    assert "is a superuser" in report["web role"]
    # A role has one line for what it may do too much, and one for what it may not.
    assert report["worker role"].startswith("WRONG checkout_web may not DELETE believed_certificates, ")
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


UNBOUNDED = {
    "temporary tables": "CREATE TEMPORARY TABLE mine (a int)",
    "large objects": "SELECT lo_from_bytea(0, 'a')",
    "advisory locks": "SELECT pg_advisory_xact_lock(1)",
    "temporary files": "SET temp_file_limit = -1",
}


@pytest.mark.parametrize("role", ["web", "worker"])
def test_what_no_right_bounds_is_bounded_by_a_superuser_once(
    servers: Servers, role: str, request: pytest.FixtureRequest
) -> None:
    before = _bounds_of(servers, role)
    request.getfixturevalue("bounded")
    after = _bounds_of(servers, role)

    assert before == f"none on {', '.join([*UNBOUNDED, 'connections'])}"
    assert after is None
    engine = create_engine(servers.web_url if role == "web" else servers.worker_url)
    for statement in UNBOUNDED.values():
        with engine.connect() as connection, pytest.raises(ProgrammingError, match="permission denied"):
            connection.execute(text(statement))
    engine.dispose()


def test_large_objects_and_rights_of_nobody_s_are_named(servers: Servers, superuser: Engine) -> None:
    engine = create_engine(servers.web_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as web, superuser.connect() as operator:
        made = web.execute(text("SELECT lo_from_bytea(0, 'a')")).scalar_one()
        operator.execute(text("GRANT INSERT (state), DELETE ON webhook_deliveries TO PUBLIC"))
        operator.execute(text("GRANT EXECUTE ON FUNCTION payments_fold TO checkout_web"))
        operator.execute(text("REVOKE INSERT (qty) ON cart_items FROM checkout_web"))
        try:
            found = {finding.about: finding for finding in _judged(web)}
            both = [finding.result for finding in _judged(web) if finding.about == "web role"]
        finally:
            operator.execute(text(f"SELECT lo_unlink({made})"))
            operator.execute(text("REVOKE INSERT (state), DELETE ON webhook_deliveries FROM PUBLIC"))
            operator.execute(text("REVOKE EXECUTE ON FUNCTION payments_fold FROM checkout_web"))
            operator.execute(text("GRANT INSERT (qty) ON cart_items TO checkout_web"))
    engine.dispose()

    assert both == [
        "checkout_web may DELETE webhook_deliveries, INSERT webhook_deliveries (state), call payments_fold",
        "checkout_web may not INSERT cart_items (qty)",
    ]
    assert found["web role's objects"].level is Level.WRONG
    assert found["web role's objects"].result == "1 large objects"


def _judged(connection: Connection) -> list[Finding]:
    ask = lambda query: connection.execute(text(query)).all()  # noqa: E731 (one line is all there is to it)
    return list(judge("web role", ask, rights=WEB, functions=WEB_FUNCTIONS))


def _bounds_of(servers: Servers, role: str) -> str | None:
    """What the doctor says has no bound."""
    engine = create_engine(servers.web_url if role == "web" else servers.worker_url)
    with engine.connect() as connection:
        found = {finding.about: finding for finding in _judged(connection)}
    engine.dispose()
    bounds = found.get("web role's bounds")
    return bounds and bounds.result


@pytest.mark.parametrize(("ahead", "level"), [(0.5, Level.OK), (-3, Level.ADVICE), (31, Level.WRONG)])
def test_clocks_are_judged_by_what_goes_by_them(ahead: float, level: Level) -> None:
    assert _judge("clock", ahead).level is level


def test_rabbitmq_with_a_queue_of_another_kind(app: Flask) -> None:
    with start_rabbit() as rabbit:
        url = Secret(rabbit.url)
        assert queues_of_another_kind(url) == []
        with BrokerConnection(rabbit.url) as connection:
            connection.default_channel.queue_delete("payments")
            Queue("payments", durable=True)(connection.default_channel).declare()
        assert queues_of_another_kind(url) == ["payments"]
        assert worker_clocks(url, listen_for=0.5) == {}
