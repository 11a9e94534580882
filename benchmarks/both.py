"""Webhooks posted at 1,500 a second for a minute while the worker keeps up on the same processors."""

from __future__ import annotations

import time

import psycopg

from benchmarks import load, seeds
from benchmarks.report import Report, load_average, milliseconds, per_second
from benchmarks.stand import Stand
from benchmarks.usage import watched

RATE = 1500

_PENDING = "SELECT count(*) FROM webhook_deliveries WHERE state IN ('received', 'parked')"

# From the webhook's row to its events; both are the database's clock at the start of a transaction.
_LAG = """
    SELECT percentile_cont(ARRAY[0.5, 0.99, 1]) WITHIN GROUP
        (ORDER BY extract(epoch FROM processed_at - received_at)::float8)
    FROM webhook_deliveries WHERE state = 'applied'
"""


def run(stand: Stand, *, quick: bool) -> Report:
    rate, seconds = (100, 2) if quick else (RATE, 60)
    report = Report(title=f"Both at once: {rate:,} webhooks a second for {seconds} s while the worker applies them")
    report.remark(load_average())
    with stand.connect() as connection:
        seeds.add_payments(connection, first=0, count=rate * seconds)
        references = list(seeds.reference(connection, first=0, count=rate * seconds))
        webhooks = seeds.webhooks(iter(references), stand.environment["MOCK_WEBHOOK_SECRETS"])
        requests = load.prepare(stand, "both", map(load.webhook, webhooks))
        base = stand.serve()
        stand.work()
        stand.start("beat")
        with watched(stand) as usage:
            posting = load.paced(base, requests, rate=rate, seconds=seconds)
            pending = []
            while posting.poll() is None:
                time.sleep(1)
                pending.append(_count(connection))
            answers = load.finished(posting)
        began = time.perf_counter()
        while _count(connection) and time.perf_counter() - began < 120:
            time.sleep(0.01)
        after = time.perf_counter() - began
        lag = (connection.execute(_LAG).fetchone() or [[0, 0, 0]])[0]
    report.add("webhooks answered", per_second(answers.rate), target=f"{rate:,} /s")
    report.add("answer p99", milliseconds(answers.p99))
    report.add("lag p50 · p99 · most", " · ".join(milliseconds(one) for one in lag), target="p99 < 1 s")
    report.add("pending, second by second: first third · last third", _thirds(pending), target="no growth")
    report.add("none pending after the last webhook", milliseconds(after))
    report.remark(f"processors: {usage}")
    return report


def _count(connection: psycopg.Connection[tuple[int]]) -> int:
    row = connection.execute(_PENDING).fetchone()
    return row[0] if row else 0


def _thirds(pending: list[int]) -> str:
    third = max(1, len(pending) // 3)
    first, last = pending[:third], pending[-third:]
    return f"{sum(first) / len(first):.0f} · {sum(last) / len(last):.0f}"
