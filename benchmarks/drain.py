"""How many waiting webhooks a second become orders until none is left, beside two bare processes with the same SQL."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from itertools import count
from typing import Any

import psycopg

from benchmarks import seeds
from benchmarks.pairs import judge
from benchmarks.report import Report, in_turns, load_average, per_second
from benchmarks.stand import Stand
from benchmarks.usage import CORES, Usage, watched
from checkout_service.publishing.publisher import TaskQueue
from checkout_service.settings.secret import Secret
from checkout_service.tasks import TaskName

WEBHOOKS = 20_000
GIVE_UP = 180.0
POLL = 0.02
"""Seconds; the question costs more the more webhooks are done, so it is seldom asked."""

_PENDING = """
    SELECT EXISTS (SELECT FROM webhook_deliveries
        WHERE state = 'received' AND next_attempt_at < now() + interval '1 minute')
"""
_UNNUMBERED = "SELECT EXISTS (SELECT FROM unnumbered_orders) OR EXISTS (SELECT FROM unsequenced_events)"
_LATE = "SELECT count(*) FROM webhook_deliveries WHERE state <> 'applied'"
_ORDERS = """
    SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM orders WHERE number IS NULL),
        (SELECT count(*) FROM holds WHERE state = 'held'), (SELECT count(*) FROM cart_items)
"""


def run(stand: Stand, *, quick: bool) -> Report:
    webhooks, rounds = (400, 1) if quick else (WEBHOOKS, 5)
    broker = "RabbitMQ" if stand.environment.get("CELERY_BROKER_URL", "").startswith("amqp") else "Redis"
    report = Report(title=f"Drain of {webhooks:,} waiting webhooks, {CORES} worker processes, broker {broker}")
    report.remark(load_average())
    stand.work()
    for number in range(CORES):
        stand.start(f"floor {number}", [sys.executable, "-m", "benchmarks.floors.drain"])
    usage: dict[str, Usage] = {}
    turns: dict[str, list[dict[str, float]]] = {"floor": [], "service": []}
    numbers = count(0, webhooks)
    with stand.connect() as connection:

        def measure(name: str) -> float:
            first = file_webhooks(connection, stand, first=next(numbers), count=webhooks)
            start = rouse_floor if name == "floor" else wake
            with watched(stand) as usage[name]:
                seconds = drained(stand, connection, lambda: start(stand, first))
            turns[name].append({"rate": webhooks / seconds} | spent_each(usage[name], webhooks))
            return webhooks / seconds

        for name in ("floor", "service"):
            measure(name)  # warms up: statements, connections
        found = in_turns(rounds, {name: lambda name=name: measure(name) for name in ("floor", "service")})  # type: ignore[misc]
        late = connection.execute(_LATE).fetchone()
        orders = connection.execute(_ORDERS).fetchone() or ()
    report.add(
        "webhooks applied",
        per_second(found["service"]),
        floor=per_second(found["floor"]),
        ratio=found["service"] / found["floor"],
        target="≥ 8,000 /s and ≥ 0.8",
    )
    # Without the first pair, which warmed up.
    judged = judge(list(zip(turns["service"][1:], turns["floor"][1:], strict=True)))
    report.add(
        "processor time of one",
        f"{middle(turns['service'][1:]):,.0f} µs",
        floor=f"{middle(turns['floor'][1:]):,.0f} µs",
        ratio=1 / judged.spent.median,
        target="≥ 0.85",
    )
    report.remark(f"the service beside the floor, pair by pair: rates {judged.rate}, processor time {judged.spent}")
    for name, found_turns in turns.items():
        report.remark(f"µs of one, {name}: {by_group(found_turns[1:])}")
    report.remark(f"webhooks that were not applied: {late[0] if late else '?'}")
    report.remark(
        "orders {}, of them without a number {}; holds that were not sold {}, lines left in carts {}".format(*orders)
    )
    for name, used in usage.items():
        report.remark(f"processors while the {name} drained: {used}")
    return report


def spent_each(usage: Usage, webhooks: int) -> dict[str, float]:
    """Microseconds of processor time of one webhook, by group of processes; without who loads and who is not ours.

    A broker that is no process of the stand is not in it.
    """
    each = 1e6 * usage.seconds * CORES / webhooks
    return {name: share * each for name, share in usage.shares.items() if name not in {"load", "others"}}


def middle(turns: list[dict[str, float]]) -> float:
    """The median of what a turn spent on one webhook."""
    return statistics.median(sum(turn.values()) - turn["rate"] for turn in turns)


def by_group(turns: list[dict[str, float]]) -> str:
    groups = [group for group in turns[0] if group != "rate"]
    medians = {group: statistics.median(turn[group] for turn in turns) for group in groups}
    return ", ".join(f"{group} {value:,.0f}" for group, value in medians.items() if value >= 0.5)


def file_webhooks(connection: psycopg.Connection[Any], stand: Stand, *, first: int, count: int) -> str:
    """So many payments, and a verified webhook about each; the id of the first webhook."""
    seeds.add_payments(connection, first=first, count=count)
    references = list(seeds.reference(connection, first=first, count=count))
    seeds.add_webhooks(connection, seeds.webhooks(iter(references), stand.environment["MOCK_WEBHOOK_SECRETS"]))
    connection.execute("ANALYZE webhook_deliveries, payments, checkout_sessions, cart_items, holds, stock_counters")
    row = connection.execute(
        "SELECT id FROM webhook_deliveries WHERE state = 'received' ORDER BY next_attempt_at LIMIT 1"
    ).fetchone()
    assert row is not None
    return str(row[0])


def drained(stand: Stand, connection: psycopg.Connection[Any], start: Callable[[], None]) -> float:
    """Seconds from the start until nothing waits, and each order has its number. Raises TimeoutError."""
    began = time.perf_counter()
    start()
    for question in (_PENDING, _UNNUMBERED):
        while (connection.execute(question).fetchone() or [True])[0]:
            stand.check()
            if time.perf_counter() - began > GIVE_UP:
                raise TimeoutError("webhooks were not processed")
            time.sleep(POLL)
    return time.perf_counter() - began


def wake(stand: Stand, delivery_id: str) -> None:
    """What the webhook receiver's notifier does."""
    environment = stand.environment
    broker = environment.get("CELERY_BROKER_URL") or environment["REDIS_URL"]
    TaskQueue(Secret(broker)).enqueue(TaskName.PROCESS_WEBHOOK, delivery_id)


def rouse_floor(stand: Stand, _delivery_id: str) -> None:
    with stand.redis() as redis:
        redis.rpush("floor-go", *range(CORES))
