"""The same figures with few and with many rows, what a row costs on disk, and what pruning costs the letterbox."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any

import psycopg

from benchmarks import drain, load, seeds, shop
from benchmarks.letterbox import some_letters
from benchmarks.report import Report, load_average, per_second
from benchmarks.stand import Stand
from checkout_service.queue import TaskName, TaskQueue
from checkout_service.settings import Secret

FEW = 10_000
MANY = int(os.environ.get("GROWTH_ROWS") or 5_000_000)
OLD = 1_000_000
DRAINED = 20_000

# What time has left behind each payment: it was paid, by one letter. The texts are short: it is the number of rows that
# makes indexes deep. Letters and events have keys of their time, as in life.
_HISTORY = {
    """payment_events (id, provider, event_id, payment_id, status, outcome, received_at)""": """
        SELECT uuidv7(-interval '1 hour'), 'mock', 'old ' || n, md5('payment ' || n)::uuid, 'paid', 'applied', now()
        FROM generate_series({first}, {last}) AS n""",
    """webhook_deliveries (id, provider, headers, body, received_at, state, attempts, next_attempt_at, provider_ref,
        processed_at)""": """
        SELECT uuidv7(-age), 'mock', '{{}}'::jsonb, repeat('{{"old": 1}}', 20)::bytea, now() - age, 'applied', 1, NULL,
            'mock_pi_' || md5('payment ' || n), now() - age
        FROM generate_series({first}, {last}) AS n,
            LATERAL (SELECT CASE WHEN n < {old} THEN interval '40 days' ELSE interval '1 hour' END AS age)""",
}

_SIZES = """
    SELECT relname, pg_table_size(oid), pg_indexes_size(oid), GREATEST(reltuples, 1)
    FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
        AND relname IN ('payments', 'checkout_sessions', 'payment_events', 'webhook_deliveries')
    ORDER BY relname
"""


def run(stand: Stand, *, quick: bool) -> Report:
    few, many, old = (400, 4_000, 2_000) if quick else (FEW, MANY, min(OLD, MANY // 2))
    report = Report(title=f"Growth: the same figures with {few:,} and with {many:,} rows in each table")
    report.remark(load_average())
    base = stand.serve()
    stand.work()
    with stand.connect() as connection:
        figures = the_figures(stand, base, connection, seconds=1 if quick else 5, drained=400 if quick else DRAINED)
        rows = 0
        found: list[dict[str, float]] = []
        for wanted in (few, many):
            began = time.monotonic()
            fill(connection, first=rows, count=wanted - rows, old=old if wanted == many else 0)
            report.remark(f"{wanted:,} rows a table after {time.monotonic() - began:.0f} s of COPY")
            rows = wanted
            found.append({name: measure() for name, measure in figures.items()})
        for name in figures:
            before, after = found[0][name], found[1][name]
            report.add(name, per_second(after), floor=per_second(before), ratio=after / before, target="≥ 0.8")
        report.remark("here the floor is the service itself with few rows; 1.25 times worse would be a ratio of 0.8")
        for name, table, indexes, count in connection.execute(_SIZES):
            report.add(f"{name}: bytes a row, table + indexes", f"{table / count:.0f} + {indexes / count:.0f}")
        prune(stand, report, base, connection, seconds=2 if quick else 15)
    return report


def the_figures(
    stand: Stand, base: str, connection: psycopg.Connection[Any], *, seconds: float, drained: int
) -> dict[str, Callable[[], float]]:
    """What is measured twice, by name."""
    files: dict[str, Any] = shop.prepare(stand)
    files["letters taken"] = load.prepare(stand, "growth", map(load.letter, some_letters(stand, 2000)))
    firsts = iter(range(100_000_000, 200_000_000, drained))

    def drain_once() -> float:
        connection.execute("DELETE FROM webhook_deliveries WHERE state IN ('received', 'parked')")
        first = drain.file_letters(connection, stand, first=next(firsts), count=drained)
        return drained / drain.drained(stand, connection, lambda: drain.ring(stand, first))

    def at_full_speed(name: str) -> float:
        load.full_speed(base, files[name], seconds=1)
        return load.full_speed(base, files[name], seconds=seconds).rate

    routes = ("GET cart of 10", "POST item", "POST session")
    return {"letters applied": drain_once} | {
        name: lambda name=name: at_full_speed(name)  # type: ignore[misc]  # bound at once
        for name in ("letters taken", *routes)
    }


def fill(connection: psycopg.Connection[Any], *, first: int, count: int, old: int) -> None:
    """So many more paid payments with all that belongs to them; the first ``old`` letters are past their retention."""
    step = 250_000
    # Rows that this makes refer to each other as they should; checking each would take longer than all the rest.
    connection.execute("SET session_replication_role = replica")
    for begin in range(first, first + count, step):
        size = min(step, first + count - begin)
        seeds.add_payments(connection, first=begin, count=size)
        for target, rows in _HISTORY.items():
            seeds.copy(connection, target, rows.format(first=begin, last=begin + size - 1, old=first + old))
        sys.stderr.write(f"\r  {begin + size:,} rows")
    connection.execute("SET session_replication_role = DEFAULT")
    connection.execute("VACUUM ANALYZE")
    sys.stderr.write("\r")


def prune(stand: Stand, report: Report, base: str, connection: psycopg.Connection[Any], *, seconds: float) -> None:
    """What the letterbox takes while old letters are pruned, beside what it takes when they are not."""
    requests = stand.place.folder / "growth.requests"
    before = load.full_speed(base, requests, seconds=seconds).rate
    stand.start("housekeeping")
    port = stand.environment["HOUSEKEEPING_METRICS_PORT"]
    stand.await_http(f"http://127.0.0.1:{port}", "/metrics", "housekeeping")
    rows = "SELECT count(*) FROM webhook_deliveries WHERE received_at < now() - interval '30 days'"
    old = (connection.execute(rows).fetchone() or [0])[0]
    TaskQueue(Secret(stand.environment["REDIS_URL"])).enqueue(TaskName.PRUNE_WEBHOOKS)
    during = load.full_speed(base, requests, seconds=seconds).rate
    left = (connection.execute(rows).fetchone() or [0])[0]
    report.add(
        "letters taken while old ones are pruned",
        per_second(during),
        floor=per_second(before),
        ratio=during / before,
        target="≥ 0.8",
    )
    report.remark(f"{old - left:,} of {old:,} old letters were pruned in those {seconds:.0f} s")
