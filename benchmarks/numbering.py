"""When orders get their numbers: right after the commit of their set, or by the last statement before it.

Three writers make orders in sets, as the worker's children do, and number them in one of the two ways, in turns; on
this disk, and where commits take 5 ms, as with a synchronous standby. Sets of one are webhooks that come one by one.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from typing import Any, Final

import psycopg

from benchmarks import seeds
from benchmarks.report import Report, in_turns, load_average, per_second
from benchmarks.stand import Stand
from benchmarks.stock import slow_commits

WRITERS: Final = 3

# What a set does before its commit, but for the webhooks: entries, and the fold, which makes the orders.
_IDS: Final = "SELECT array_agg(md5('payment ' || n)::uuid) FROM generate_series(%s::int, %s::int) AS n"
_CARTS: Final = """
    SELECT carts_lock_for_payments(array_agg(provider), array_agg(provider_ref))::text FROM payments WHERE id = ANY(%s)
"""
_LOCK: Final = "SELECT id FROM payments WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE"
_ENTER: Final = """
    INSERT INTO payment_attempts (payment_id, provider, attempt_ref, status, reported_at, currency, amount_presumed)
    SELECT id, provider, '', 'started', now(), currency, amount FROM payments WHERE id = ANY(%s) ORDER BY id
"""
_FOLD: Final = "SELECT count(*) FROM payments_fold(%s)"
_NUMBER: Final = "SELECT orders_number('', 1000)"
_WRONG: Final = """
    SELECT count(*) FILTER (WHERE number IS NULL), count(*) - count(DISTINCT number), max(number) - count(*) FROM orders
"""


def run(stand: Stand, *, quick: bool) -> Report:
    rounds = 1 if quick else 3
    report = Report(title=f"Numbers of orders, {WRITERS} writers: after the commit, beside before it")
    report.remark(load_average())
    url = stand.environment["WORKER_DATABASE_URL"].replace("postgresql+psycopg://", "postgresql://", 1)
    starts = count(0)
    with stand.connect() as connection:
        for size in (1, 500):
            orders = WRITERS * (10 * size if quick else max(4 * size, 100))

            def measure(last: bool, size: int = size, orders: int = orders) -> float:
                first = next(starts) * 100_000
                seeds.add_payments(connection, first=first, count=orders)
                return orders / _written(url, first, orders, size, last=last)

            sides = {"after": partial(measure, False), "before": partial(measure, True)}
            for where in ("", ", commits 5 ms slow"):
                if where:
                    with slow_commits(connection):
                        found = in_turns(rounds, sides)
                else:
                    sides["after"]()
                    found = in_turns(rounds, sides)
                report.add(
                    f"orders in sets of {size}{where}",
                    per_second(found["after"]),
                    floor=per_second(found["before"]),
                    ratio=found["after"] / found["before"],
                    target="",
                )
        wrong = connection.execute(_WRONG).fetchone()
    report.remark("orders without a number {}, doubles {}, gaps {}".format(*wrong or ()))
    return report


def _written(url: str, first: int, orders: int, size: int, *, last: bool) -> float:
    """Seconds until the writers have made all orders and numbered them."""
    share = orders // WRITERS
    with ThreadPoolExecutor(WRITERS) as pool:
        began = time.perf_counter()
        jobs = [
            pool.submit(_write, url, range(first + place * share, first + (place + 1) * share, size), size, last)
            for place in range(WRITERS)
        ]
        for job in jobs:
            job.result()
    return time.perf_counter() - began


def _write(url: str, starts: range, size: int, last: bool) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for start in starts:
            (ids,) = connection.execute(_IDS, (start, start + size - 1)).fetchone() or (None,)
            with connection.transaction():
                _make_orders(connection, ids)
                if last:
                    connection.execute(_NUMBER)
            if not last:
                while (connection.execute(_NUMBER).fetchone() or (0,))[0]:
                    pass


def _make_orders(connection: psycopg.Connection[Any], ids: Any) -> None:
    for statement in (_CARTS, _LOCK, _ENTER, _FOLD):
        connection.execute(statement, (ids,))
