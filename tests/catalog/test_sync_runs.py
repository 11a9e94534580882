"""A sync runs alone, goes on after one that was killed, and is run by beat where there is a source."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from click.testing import Result
from flask import Flask

from checkout_service.catalog import syncing
from checkout_service.catalog.models import SyncState
from checkout_service.catalog.sync_writing import SyncOverError, SyncRunningError, open_writer
from checkout_service.doctor.catalog import check_catalog
from checkout_service.doctor.findings import Level
from checkout_service.health.catalog_gauges import catalog_gauges
from checkout_service.settings.catalog_source import CatalogSettings, CatalogSource
from checkout_service.settings.errors import SettingsError
from checkout_service.settings.secret import Secret
from checkout_service.telemetry.metrics import catalog_syncs_total
from tests.catalog.shop import SELECT, MakeVariant, Sync, on_sale, shop, sync
from tests.conftest import ROOT, Servers, Sql
from tests.worker.conftest import MakeWorker, make_worker
from worker import catalog as task

__all__ = ["make_worker", "shop", "sync"]  # fixtures

OF_WRITER = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE application_name = 'catalog-sync' AND datname = current_database()"""


@pytest.fixture
def run(app: Flask, servers: Servers, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run ``checkout catalog sync`` with these arguments."""
    monkeypatch.setenv("WORKER_DATABASE_URL", servers.worker_url)
    monkeypatch.setenv("CATALOG_SOURCE", SELECT)
    monkeypatch.setenv("IMAGE_ORIGINS", "https://images.example")

    def run(*arguments: str) -> Result:
        return app.test_cli_runner().invoke(args=["catalog", "sync", *arguments])

    return run


def test_a_second_sync_does_nothing_while_one_is_at_work(
    shop: MakeVariant, sync: Sync, sql: Sql, servers: Servers
) -> None:
    shop()
    url = Secret(servers.worker_url)

    with open_writer(url, pooler="none", statement_seconds=1, writes=True) as first:
        with pytest.raises(SyncRunningError):
            sync()
        assert sql("SELECT FROM listings") == []
        first.end(SyncState.DONE, [0] * 6, "", allowed=False, moved={})

    assert sync().new.count == 1


def test_of_many_at_once_those_that_run_come_one_after_the_other(shop: MakeVariant, sync: Sync, sql: Sql) -> None:
    for _ in range(50):
        shop()

    def once(_: int) -> int | None:
        try:
            return sync().new.count
        except SyncRunningError:
            return None

    with ThreadPoolExecutor(6) as pool:
        counts = list(pool.map(once, range(6)))

    assert sorted(count for count in counts if count) == [50]
    assert sql("SELECT count(*) FROM listings")[0].count == 50


def test_one_whose_lease_is_over_writes_nothing_more(shop: MakeVariant, sync: Sync, sql: Sql, servers: Servers) -> None:
    shop()
    with open_writer(Secret(servers.worker_url), pooler="none", statement_seconds=1, writes=True) as slow:
        sql("UPDATE catalog_syncs SET lease_until = now() - interval '1 second'")
        assert sync().new.count == 1

        with pytest.raises(SyncOverError):
            slow.retire(["1"], allowed=False)

    assert len(on_sale(sql)) == 1
    assert {row.state for row in sql("SELECT state::text FROM catalog_syncs")} == {"abandoned", "done"}


def test_a_sync_that_is_killed_between_batches_is_gone_on_with(
    shop: MakeVariant, sync: Sync, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(syncing, "BATCH", 10)
    keys = [shop() for _ in range(30)]
    sync()
    sql("UPDATE shop.variants SET price_cents = 2000")
    sql("DELETE FROM shop.variants WHERE id = :id", id=keys[0])

    with pytest.raises(psycopg.OperationalError):
        sync(progress=lambda rows: sql(OF_WRITER) if rows == 20 else None)

    prices = [row[2] for row in on_sale(sql)]
    assert (prices.count("20.00"), prices.count("47.25")) == (20, 10), "whole batches, and nothing is gone yet"
    with pytest.raises(SyncRunningError):
        sync()

    sql("UPDATE catalog_syncs SET lease_until = now() WHERE state = 'running'")
    done = sync()

    assert (done.changed.count, done.gone.count) == (9, 1)
    assert {row[2] for row in on_sale(sql)} == {"20.00"}


def test_a_reader_that_is_lost_leaves_the_rest_to_the_next_sync(shop: MakeVariant, sync: Sync, sql: Sql) -> None:
    for _ in range(300):
        shop()

    with pytest.raises(psycopg.OperationalError):
        sync(f"SELECT s.* FROM ({SELECT}) AS s, (SELECT pg_terminate_backend(pg_backend_pid())) AS t")

    assert sql("SELECT FROM listings") == []
    assert sync().new.count == 300, "the run ended as failed, so nobody waits for its lease"


def test_the_whole_source_is_read_as_one_moment_had_it(
    shop: MakeVariant, sync: Sync, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(syncing, "BATCH", 100)
    for _ in range(300):
        shop()

    def change(_: int) -> None:
        sql("UPDATE shop.variants SET price_cents = 2000")
        sql("DELETE FROM shop.variants WHERE id % 10 = 0")

    sync(progress=change)

    assert {row[2] for row in on_sale(sql)} == {"47.25"}
    done = sync()
    assert (done.changed.count, done.gone.count) == (270, 30)


def test_a_sync_whose_time_is_over_leaves_the_rest_to_the_next_one(
    shop: MakeVariant, sync: Sync, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(syncing, "BATCH", 10)
    for _ in range(25):
        shop()

    states = [(done.state, done.new.count) for done in (sync(within=0.0), sync(within=0.0), sync())]

    assert states == [(SyncState.PARTIAL, 10), (SyncState.PARTIAL, 10), (SyncState.DONE, 5)]


def test_the_command_says_what_changed_and_ends_with_1_where_somebody_has_to_look(
    run: Any, shop: MakeVariant, sql: Sql
) -> None:
    key = shop()

    tried = run("--dry-run")
    assert tried.exit_code == 0
    assert "1 new" in tried.output
    assert "nothing was written" in tried.output
    assert sql("SELECT FROM listings") == []

    first = run()
    assert first.exit_code == 0, first.output
    assert first.stdout.startswith(f"new: {key}\nSynced in ")

    bad = shop(price_cents=-1)
    second = run()
    assert second.exit_code == 1
    assert f"unusable: {bad}: unit_price: an amount is digits" in second.stderr

    sql("DELETE FROM shop.variants")
    third = run()
    assert third.exit_code == 1
    assert third.stderr == "Error: Nothing changed: the source is empty.\n"

    assert run("--no-such").exit_code == 2


def test_the_grants_are_printed_and_are_what_is_needed(run: Any, shop: MakeVariant, sql: Sql) -> None:
    shop()
    sql("REVOKE ALL ON ALL TABLES IN SCHEMA shop FROM checkout_worker")
    sql("REVOKE USAGE ON SCHEMA shop FROM checkout_worker")
    refused = run()
    assert refused.exit_code == 1
    assert "permission denied for schema shop" in refused.stderr

    printed = run("--grants")

    assert printed.stdout.splitlines() == [
        "GRANT USAGE ON SCHEMA shop TO checkout_worker;",
        "GRANT SELECT ON shop.variants TO checkout_worker;",
        "GRANT SELECT ON shop.products TO checkout_worker;",
        "GRANT SELECT ON shop.brands TO checkout_worker;",
    ]
    for statement in printed.stdout.splitlines():
        sql(statement)
    assert run().exit_code == 0


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("CATALOG_SOURCE", "", "CATALOG_SOURCE: is not set"),
        ("CATALOG_SOURCE", "SELECT 1; DROP TABLE x", "CATALOG_SOURCE: is one SELECT, without ;"),
        ("CATALOG_SOURCE", "DELETE FROM shop.variants", "CATALOG_SOURCE: is no SELECT"),
        ("CATALOG_SOURCE", f"SELECT {' ' * 20_000} 1", "CATALOG_SOURCE: is longer than 20000 characters"),
        ("CATALOG_SYNC_MAX_GONE", "101", "CATALOG_SYNC_MAX_GONE: must be at most 100"),
        ("CATALOG_SYNC_MINUTES", "0", "CATALOG_SYNC_MINUTES: must be at least 1"),
        ("CATALOG_SYNC_MINUTES", "often", "CATALOG_SYNC_MINUTES: "),
    ],
)
def test_settings_that_cannot_be_are_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, fault: str
) -> None:
    monkeypatch.setenv("WORKER_DATABASE_URL", "postgresql://checkout_worker@127.0.0.1/shop")
    monkeypatch.setenv("CATALOG_SOURCE", "SELECT * FROM shop.listings")
    CatalogSettings.from_environment()
    monkeypatch.setenv(name, value)

    with pytest.raises(SettingsError) as refused:
        CatalogSettings.from_environment()

    assert fault in str(refused.value)


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, None),
        ({"CATALOG_SOURCE": " "}, None),
        ({"CATALOG_SOURCE": "SELECT 1"}, 900.0),
        ({"CATALOG_SOURCE": "shop.checkout_listings"}, 900.0),
        ({"CATALOG_SOURCE": "SELECT 1", "CATALOG_SYNC_MINUTES": "5"}, 300.0),
    ],
)
def test_beat_has_the_source_read_only_where_there_is_one(environment: dict[str, str], seconds: float | None) -> None:
    """In a process of its own: schedules are read as the settings of Celery are loaded."""
    script = "import celeryconfig; print(celeryconfig.beat_schedule.get('catalog.sync', {}).get('schedule'))"
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    found = subprocess.run(
        [sys.executable, "-c", script],
        env=kept | {"REDIS_URL": "redis://127.0.0.1:1"} | environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert found.stdout.strip() == str(seconds)


def test_the_task_syncs_counts_and_is_seen_by_doctor_and_metrics(
    make_worker: MakeWorker, app: Flask, shop: MakeVariant, sql: Sql
) -> None:
    shop()
    worker = make_worker(catalog_source=CatalogSource(select=SELECT))
    with app.app_context():
        assert list(check_catalog()) == []
        assert catalog_gauges() == []
    before = catalog_syncs_total.labels("done")._value.get()

    with worker.app_context():
        assert task.sync() == "1 rows: 1 new, 0 changed, 0 made inactive, 0 unusable, 0 short"

    assert catalog_syncs_total.labels("done")._value.get() == before + 1
    with app.app_context():
        assert [finding.level for finding in check_catalog()] == [Level.OK]
        gauges = {metric.name: metric.samples[0].value for metric in catalog_gauges()}
    assert gauges["catalog_source_rows"] == 1
    assert 0 <= gauges["catalog_sync_last_success_age_seconds"] < 600

    sql("DELETE FROM shop.variants")
    with worker.app_context():
        assert task.sync() == "nothing changed: the source is empty"
    with app.app_context():
        [finding] = check_catalog()
    assert finding.level is Level.WRONG
    assert "the source is empty" in finding.result


def test_a_worker_without_a_source_does_nothing(make_worker: MakeWorker, sql: Sql) -> None:
    with make_worker().app_context():
        assert task.sync() == "CATALOG_SOURCE is not set here"
    assert sql("SELECT FROM catalog_syncs") == []


def test_a_source_that_was_not_read_for_long_is_wrong(
    make_worker: MakeWorker, app: Flask, shop: MakeVariant, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CATALOG_SOURCE", SELECT)
    with app.app_context():
        assert [finding.level for finding in check_catalog()] == [Level.ADVICE]
    shop()
    with make_worker(catalog_source=CatalogSource(select=SELECT)).app_context():
        task.sync()
    sql("UPDATE catalog_syncs SET finished_at = now() - :ago", ago=timedelta(minutes=50))

    with app.app_context():
        [finding] = check_catalog()

    assert (finding.level, finding.result) == (Level.WRONG, "was last read 50 minutes ago")


def test_what_the_worker_cannot_do_is_a_word_and_no_traceback(make_worker: MakeWorker, shop: MakeVariant) -> None:
    shop()
    with make_worker(catalog_source=CatalogSource(select="SELECT * FROM shop.nothing")).app_context():
        assert task.sync().startswith('failed: CATALOG_SOURCE cannot be read: relation "shop.nothing"')
    away = Secret("postgresql://checkout_worker@127.0.0.1:1/nothing")
    worker = make_worker(catalog_source=CatalogSource(select=SELECT))
    worker.extensions["settings"] = replace(worker.extensions["settings"], database_url=away)
    with worker.app_context():
        assert task.sync().startswith("failed: ")
