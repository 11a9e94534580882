"""The same figures with few and with many rows, what a row costs on disk, and what pruning costs the webhook receiver.

Few and many are two databases on servers of their own, which take turns.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any

import psycopg

from benchmarks import drain, end_to_end, history, load, shop
from benchmarks.receive import some_webhooks
from benchmarks.report import Report, in_turns, load_average, per_second
from benchmarks.stand import Stand, stand
from checkout_service.publishing.publisher import TaskQueue
from checkout_service.settings.secret import Secret
from checkout_service.tasks import TaskName

FEW = 10_000
MANY = int(os.environ.get("GROWTH_ROWS") or 5_000_000)
OLD = 1_000_000
DRAINED = 10_000

_SIZES = """
    SELECT relname, pg_table_size(oid), pg_indexes_size(oid), GREATEST(reltuples, 1)
    FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
        AND relname IN ('payments', 'checkout_sessions', 'payment_events', 'webhook_deliveries')
    ORDER BY relname
"""
_INDEXES = """
    SELECT indexrelid::regclass::text, pg_relation_size(indexrelid) FROM pg_index
    WHERE indrelid = ANY(ARRAY['payments', 'checkout_sessions', 'payment_events', 'webhook_deliveries']::regclass[])
    ORDER BY 2 DESC
"""
_SCANS = """
    SELECT coalesce(sum(seq_scan), 0)::bigint FROM pg_stat_user_tables
    WHERE relname IN ('payments', 'checkout_sessions', 'payment_events', 'webhook_deliveries')
"""
_BODIES = """
    SELECT avg(pg_column_size(webhook.body)), avg(pg_column_size(payment.raw_payload))
    FROM (
        SELECT body, provider_ref FROM webhook_deliveries WHERE state = 'applied' ORDER BY id DESC LIMIT 1000
    ) AS webhook
    JOIN payments AS payment USING (provider_ref) WHERE payment.raw_payload IS NOT NULL
"""
_OLD = "SELECT count(*) FROM webhook_deliveries WHERE id < (SELECT uuidv7(-interval '30 days'))"


def run(large: Stand, *, quick: bool) -> Report:
    few, many, old = (400, 4_000, 2_000) if quick else (FEW, MANY, min(OLD, MANY // 2))
    rounds, seconds, drained = (1, 1, 400) if quick else (3, 2, DRAINED)
    report = Report(title=f"Growth: the same figures with {few:,} and with {many:,} rows in each table")
    report.remark(load_average())
    with stand() as small:
        sides = {"few": small, "many": large}
        for name, rows in {"few": few, "many": many}.items():
            began = time.monotonic()
            history.load(sides[name], count=rows, old=old if name == "many" else 0)
            report.remark(f"{rows:,} rows a table after {time.monotonic() - began:.0f} s of COPY and indexing")
        figures = {name: the_figures(one, seconds=seconds, drained=drained) for name, one in sides.items()}
        with large.connect() as connection:
            sizes(report, connection)
            scanned = _number(connection, _SCANS)
            for name in figures["few"]:
                found = in_turns(rounds, {side: figures[side][name] for side in sides})
                ratio = found["many"] / found["few"]
                shown = {side: per_second(rate) for side, rate in found.items()}
                report.add(name, shown["many"], floor=shown["few"], ratio=ratio, target="≥ 0.8")
            report.remark(
                "here the floor is the service itself with few rows; 1.25 times worse would be a ratio of 0.8"
            )
            scanned = _number(connection, _SCANS) - scanned
            report.remark(
                "beside that each keeps its webhook's body twice, as bytes until the webhook is pruned and as jsonb: "
                + " + ".join(f"{size:.0f}" for size in (connection.execute(_BODIES).fetchone() or ()))
                + " bytes for one of 1.6 KB"
            )
            report.add("tables read from end to end meanwhile", str(scanned), target="0")
            prune(large, report, connection, seconds=1 if quick else 5)
    return report


def the_figures(stand: Stand, *, seconds: float, drained: int) -> dict[str, Callable[[], float]]:
    """What is measured on both, by name; starts what serves it."""
    base = stand.serve()
    stand.work()
    files: dict[str, Any] = shop.prepare(stand)
    files["webhooks taken"] = load.prepare(stand, "growth", map(load.webhook, some_webhooks(stand, 2000)))
    with stand.connect() as connection:
        some = connection.execute("SELECT id, user_id FROM payments LIMIT 200").fetchall()
    one = [end_to_end.reading(payment, user, stand.environment["JWT_SECRET"]) for payment, user in some]
    files["GET payment"] = load.prepare(stand, "payment", one)
    files["GET payments"] = load.prepare(stand, "payments", (replace(each, path="/api/payments") for each in one))
    firsts = count(100_000_000, drained)

    def drain_once() -> float:
        with stand.connect() as connection:
            first = drain.file_webhooks(connection, stand, first=next(firsts), count=drained)
            return drained / drain.drained(stand, connection, lambda: drain.wake(stand, first))

    def at_full_speed(name: str) -> float:
        load.full_speed(base, files[name], seconds=1)
        return load.full_speed(base, files[name], seconds=seconds).rate

    routes = ("GET payment", "GET payments", "GET cart of 10", "POST item", "POST session")
    return {"webhooks applied": drain_once} | {
        name: lambda name=name: at_full_speed(name)  # type: ignore[misc]  # bound at once
        for name in (*routes, "webhooks taken")
    }


def sizes(report: Report, connection: psycopg.Connection[Any]) -> None:
    total = 0.0
    for name, table, indexes, rows in connection.execute(_SIZES):
        report.add(f"{name}: bytes a row, table + indexes", f"{table / rows:.0f} + {indexes / rows:.0f}")
        total += (table + indexes) / rows
    report.add("a payment with its session, event and webhook: bytes", f"{total:.0f}")
    largest = [f"{name} {size / 2**20:,.0f}" for name, size in connection.execute(_INDEXES)]
    report.remark(f"indexes, MiB: {', '.join(largest)}")


def prune(stand: Stand, report: Report, connection: psycopg.Connection[Any], *, seconds: float) -> None:
    """What the webhook receiver takes while old webhooks are pruned, beside what it takes when they are not."""
    base = f"http://127.0.0.1:{stand.environment['PORT']}"
    requests = stand.place.folder / "growth.requests"
    stand.start("housekeeping")
    port = stand.environment["HOUSEKEEPING_METRICS_PORT"]
    stand.await_http(f"http://127.0.0.1:{port}", "/metrics", "housekeeping")
    rates: dict[str, list[float]] = {"alone": [], "beside": []}

    def measure(side: str) -> None:
        rates[side].append(load.full_speed(base, requests, seconds=seconds).rate)

    measure("alone")
    old, began = _number(connection, _OLD), time.monotonic()
    TaskQueue(Secret(stand.environment["REDIS_URL"])).enqueue(TaskName.PRUNE_WEBHOOKS)
    measure("beside")
    measure("beside")
    pruned, meanwhile = old - _number(connection, _OLD), time.monotonic() - began
    stand.stop("housekeeping")  # which lets it end its task
    measure("alone")
    alone, beside = (statistics.median(rates[side]) for side in ("alone", "beside"))
    report.add(
        "webhooks taken while old ones are pruned",
        per_second(beside),
        floor=per_second(alone),
        ratio=beside / alone,
        target="≥ 0.8",
    )
    report.remark(f"{pruned:,} of {old:,} old webhooks were pruned in those {meanwhile:.0f} s")


def _number(connection: psycopg.Connection[Any], query: str) -> int:
    row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0
