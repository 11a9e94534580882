"""What a scrape tells of payments that wait for their customers, of held pieces, and of the processes themselves."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress

import pytest
from prometheus_client import Gauge

from checkout_service.breaker import Breaker
from checkout_service.cache import cache
from checkout_service.database.engine import db
from checkout_service.health.process_gauges import show_process
from checkout_service.health.shop_gauges import SHOP
from checkout_service.publishing.publisher import QueueUnavailableError, task_queue
from checkout_service.settings.secret import Secret
from checkout_service.tasks import TaskName
from checkout_service.telemetry import process_memory
from checkout_service.telemetry.metrics import breakers_open, database_pool_connections
from checkout_service.telemetry.process_memory import ProcessMemory
from tests.conftest import MakeListing, Sql
from tests.money import attempt, fold
from tests.ordering import open_session
from tests.own_apps import MakeApp
from tests.refunding import open_payment
from tests.telemetry.test_metrics import value

PAST_END = "stock_oldest_hold_past_end_seconds"


def test_payments_open_and_under_way_are_counted(make_app: MakeApp, sql: Sql) -> None:
    for status in (None, None, "under_way", "failed", "authorized"):
        payment, _ = open_payment(sql)
        if status:
            attempt(sql, payment, status, ref=f"at_{status}")
            fold(sql, payment)
    client = make_app().test_client()

    assert value(client, "payments_open") == 2
    assert value(client, "payments_under_way") == 1


def test_a_hold_is_past_its_end_once_its_session_keeps_it_no_longer(
    make_app: MakeApp, sql: Sql, make_listing: MakeListing
) -> None:
    assert value(make_app().test_client(), PAST_END) == 0
    open_session(sql, (make_listing(stock=5), 2))
    sql("UPDATE holds SET until = now() - interval '1 hour'")
    client = make_app().test_client()
    assert (value(client, "stock_holds_held"), value(client, PAST_END)) == (1, 0)

    sql("UPDATE checkout_sessions SET held_until = now() - interval '200 seconds'")
    seconds = value(make_app().test_client(), PAST_END)
    assert seconds is not None
    assert 200 <= seconds < 260

    sql("UPDATE checkout_sessions SET held_until = NULL")
    assert (value(make_app().test_client(), PAST_END) or 0) >= 3600


def test_the_statement_of_the_shop_reads_no_table_whole(sql: Sql) -> None:
    sql("INSERT INTO users DEFAULT VALUES")
    sql("""INSERT INTO payments (user_id, provider, provider_ref, amount, currency)
        SELECT users.id, 'mock', 'ref_' || number, 1, 'USD' FROM users, generate_series(1, 4000) AS number""")
    sql("""INSERT INTO holds (payment_id, listing_id, qty, reserved, state, until)
        SELECT uuidv7(), uuidv7(), 1, 1, 'sold', NULL FROM generate_series(1, 4000)""")
    sql("ALTER TABLE payments DISABLE TRIGGER USER")
    try:
        sql("UPDATE payments SET status = 'paid' WHERE provider_ref <> 'ref_1'")
    finally:
        sql("ALTER TABLE payments ENABLE TRIGGER USER")
    sql("ANALYZE payments, holds")

    plan = "\n".join(row[0] for row in sql("EXPLAIN " + SHOP.text))

    assert "payments_open" in plan
    assert "payments_under_way" in plan
    assert "holds_until" in plan
    assert "Seq Scan on payments" not in plan
    assert "Seq Scan on holds" not in plan


def test_a_process_shows_its_pool_and_whom_it_does_not_ask(make_app: MakeApp) -> None:
    app = make_app()
    with app.app_context():
        show_process()
        limit = _shown(database_pool_connections.labels("limit"))
        assert _shown(database_pool_connections.labels("in_use")) == 0
        assert [_shown(breakers_open.labels(name)) for name in ("database", "commits", "broker", "cache")] == [0] * 4
        with db.engine.connect(), db.engine.connect():
            show_process()
            assert _shown(database_pool_connections.labels("in_use")) == 2 < limit

        breaker: Breaker = app.extensions["database_breaker"]
        with suppress(TimeoutError), breaker.guard(TimeoutError):
            raise TimeoutError
        show_process()
        assert [_shown(breakers_open.labels(name)) for name in ("database", "commits", "broker", "cache")] == [
            1,
            0,
            0,
            0,
        ]


def test_the_broker_and_the_cache_that_are_away_are_shown(make_app: MakeApp, frozen_port: int) -> None:
    url = Secret(f"redis://127.0.0.1:{frozen_port}/0")
    with make_app(redis_url=url, broker_url=url).app_context():
        cache().get("anything")
        show_process()
        assert [_shown(breakers_open.labels(name)) for name in ("database", "broker", "cache")] == [0, 0, 1]
        with pytest.raises(QueueUnavailableError):
            task_queue().enqueue(TaskName.SWEEP_WEBHOOKS)
        show_process()
        assert [_shown(breakers_open.labels(name)) for name in ("database", "broker", "cache")] == [0, 1, 1]


def test_the_memory_of_a_process_and_its_children_is_shown() -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", "import time; a = bytearray(80_000_000); print(1); time.sleep(60)"],
        stdout=subprocess.PIPE,
    )
    try:
        assert child.stdout is not None
        child.stdout.readline()
        found = {metric.name: metric.samples[0] for metric in ProcessMemory("worker", root=os.getpid).collect()}
    finally:
        child.kill()
        child.wait()
        assert child.stdout is not None
        child.stdout.close()
    assert {sample.labels["process"] for sample in found.values()} == {"worker"}
    assert found["checkout_processes"].value >= 2
    assert found["checkout_largest_process_memory_bytes"].value >= 80_000_000
    assert found["checkout_resident_memory_bytes"].value > found["checkout_largest_process_memory_bytes"].value
    ended = list(ProcessMemory("worker", root=lambda: child.pid).collect())
    assert [metric.samples for metric in ended] == [[], [], []], "a process that is gone has no memory, rather than 0"


def test_a_process_that_counts_for_itself_shows_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_memory.metrics, "FOLDER", None)
    assert process_memory.siblings() == os.getpid()
    monkeypatch.setattr(process_memory.metrics, "FOLDER", "/somewhere")
    assert process_memory.siblings() == os.getppid()


def _shown(gauge: Gauge) -> float:
    (metric,) = gauge.collect()
    (sample,) = metric.samples
    return sample.value
