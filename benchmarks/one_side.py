"""One tree's half of ``benchmarks.beside``: a script that runs in that tree, with the modules of its commit.

Reads the names of figures, a line each, and answers each with a line of JSON: how many a second, and the processor time
of one, in microseconds, by group of processes. What commits before this one call otherwise is found by its name. Where
BESIDE_EVENTS is off, the owner takes back beforehand what writes events of payments, sessions and orders.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from inspect import isfunction, signature
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import drain, end_to_end, load, seeds, shop
from benchmarks.report import percentile
from benchmarks.stand import Stand, stand
from benchmarks.usage import CORES, watched

DELIVERIES = int(os.environ.get("BESIDE_DELIVERIES") or 10_000)
BUYERS = 8_000
"""More than open a session in one turn: each opens one, as most customers do."""

OF_OTHERS = 1_000_000_000
"""The first number of payments that are only there: those of the drain begin at 0."""

PURCHASES = 200
"""Webhooks of a turn that come one after the other, each once the payment of the one before is seen to be paid."""

OF_PURCHASES = OF_OTHERS + OF_OTHERS // 2
"""The first number of their payments."""

SECONDS = 3.0
GROUPS = ("web", "worker", "postgres", "sender", "receivers")
WEBHOOKS = 4000
LOG_FILES = 20
WITHOUT_EVENTS = os.environ.get("BESIDE_EVENTS") == "off"
_FIRSTS = count(0, DELIVERIES)
_FIRST_PURCHASES = count(OF_PURCHASES, PURCHASES)

# Nobody's open sessions and holds pile up as they never do in life, and each cart is filled anew.
_DECIDE = ["UPDATE payments SET status = 'paid' WHERE status = 'pending'"]
_FILL_ANEW = [
    "UPDATE carts SET generation = generation + 1 WHERE id IN (SELECT cart_id FROM checkout_sessions)",
    "DELETE FROM holds USING listings WHERE listings.id = holds.listing_id AND listings.title LIKE '%number%'",
    """UPDATE stock_counters SET reserved = coalesce(
        (SELECT sum(holds.reserved) FROM holds WHERE holds.listing_id = stock_counters.listing_id), 0)""",
]


# All that migration 0019 hung on tables.
_TRIGGERS_OF_EVENTS = """
    SELECT format('ALTER TABLE %s DISABLE TRIGGER %I', own.tgrelid::regclass, own.tgname)
    FROM pg_trigger AS own JOIN pg_proc AS called ON called.oid = own.tgfoid
    WHERE NOT own.tgisinternal AND own.tgparentid = 0 AND called.proname LIKE '%\\_tell'
"""


class Figure(NamedTuple):
    """Each turn is prepared, which is not measured; the work says how many it did, or how long each took in seconds."""

    prepare: Callable[[], Any]
    work: Callable[[Any], int | list[float]]


def main() -> None:
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    with stand() as servers:
        make_log_files(servers)
        if WITHOUT_EVENTS:
            write_no_events(servers)
        start = {
            "receive": receive,
            "receive-64": partial(receive, connections=64),
            "drain": drains,
            "delivered": delivered,
            "sessions": sessions,
            "untracked": untracked,
            "idle": idle,
        }
        figures: dict[str, Figure] = {}
        for line in sys.stdin:
            name = line.strip()
            if name not in figures:
                figures[name] = start[name](servers)
            answers.write(json.dumps(measure(servers, figures[name])) + "\n")
            answers.flush()


def make_log_files(servers: Stand) -> None:
    """Have so many files of the write-ahead log there as on a server that runs for long, which uses old ones again.

    To make one takes 16 MB of writes: whoever logs more would make more of them in his turn.
    """
    with servers.connect() as connection:
        connection.execute("ALTER SYSTEM SET min_wal_size = '1GB'")
        connection.execute("SELECT pg_reload_conf()")
        for _ in range(LOG_FILES):
            connection.execute("SELECT pg_logical_emit_message(false, 'benchmark', ''), pg_switch_wal()")
        connection.execute("CHECKPOINT")


def write_no_events(servers: Stand) -> None:
    """Have the hook of the fold empty again, as migration 0014 declares it, and the triggers of events off."""
    declared = Path("migrations/orders/orders.sql").read_text(encoding="utf-8")
    hook = re.search(r"^CREATE (FUNCTION events_follow\(.*?\n\$\$;)", declared, re.DOTALL | re.MULTILINE)
    assert hook is not None
    with servers.connect() as connection:
        connection.execute(f"CREATE OR REPLACE {hook[1]}".encode())
        triggers = connection.execute(_TRIGGERS_OF_EVENTS).fetchall()
        assert triggers
        for (disable,) in triggers:
            connection.execute(disable)


def measure(servers: Stand, figure: Figure) -> dict[str, float]:
    prepared = figure.prepare()
    with servers.connect() as connection:
        connection.execute("CHECKPOINT")
    with watched(servers) as usage:
        began = time.perf_counter()
        found = figure.work(prepared)
        seconds = time.perf_counter() - began
    times = found if isinstance(found, list) else []
    done = found if isinstance(found, int) else len(times)
    each = 1e6 * usage.seconds * CORES / done
    spent = {name: share * each for name, share in usage.shares.items() if name in GROUPS}
    waits = {f"p{share}": 1000 * percentile(times, share / 100) for share in (50, 99) if times}
    return {"rate": done / seconds, "others": usage.shares["others"]} | waits | spent


def receive(servers: Stand, connections: int = load.CONNECTIONS) -> Figure:
    """Webhooks that are taken, about payments of nobody: the receiver does not look. No worker runs meanwhile."""
    sign: Any = next(thing for thing in vars(seeds).values() if _takes(thing, "references", "secret"))
    references = (f"mock_pi_{number:032x}" for number in range(WEBHOOKS))
    headers = {"Content-Type": "application/json"}
    file = load.prepare(
        servers,
        "receive",
        (
            load.Request(method="POST", path="/api/payments/webhook", headers=headers, body=body)
            for body in sign(references, servers.environment["MOCK_WEBHOOK_SECRETS"])
        ),
    )
    port = servers.environment["PORT"]
    base = f"http://127.0.0.1:{port}" if "web" in servers.started else servers.serve()

    def prepare() -> None:
        if "worker" in servers.started:
            servers.stop("worker")
        with servers.connect() as connection:
            connection.execute("TRUNCATE webhook_deliveries CASCADE")
            connection.execute("VACUUM ANALYZE webhook_deliveries")

    def work(_: object) -> int:
        return int(load.full_speed(base, file, seconds=SECONDS, connections=connections).requests)

    return Figure(prepare, work)


def _takes(thing: object, *names: str) -> bool:
    return isfunction(thing) and tuple(signature(thing).parameters) == names


def drains(servers: Stand) -> Figure:
    """Deliveries that the worker applies: until none waits, and each order has its number."""
    if "worker" not in servers.started:
        servers.work()
    file: Any = next(thing for name, thing in vars(drain).items() if name.startswith("file_"))
    wake: Any = getattr(drain, "wake", None) or getattr(drain, "ring", None)

    def prepare() -> Any:
        with servers.connect() as connection:
            return file(connection, servers, first=next(_FIRSTS), count=DELIVERIES)

    def work(first: Any) -> int:
        with servers.connect() as connection:
            drain.drained(servers, connection, lambda: wake(servers, first))
        return DELIVERIES

    return Figure(prepare, work)


def delivered(servers: Stand) -> Figure:
    """The same while a sender posts what comes of it to one endpoint, in a tree that has events."""
    if WITHOUT_EVENTS:
        return drains(servers)
    with suppress(ModuleNotFoundError):
        endpoints = importlib.import_module("benchmarks.endpoints")
        receivers = endpoints.Receivers(servers, "receivers", 1)
        with servers.connect() as connection:
            endpoints.add_endpoint(connection, servers, receivers.urls[0])
        endpoints.start_sender(servers)
    return drains(servers)


def untracked(servers: Stand) -> Figure:
    """The same of listings whose pieces nobody counts, as before there was stock."""
    return sessions(servers, tracked=False)


def sessions(servers: Stand, *, tracked: bool = True) -> Figure:
    """Sessions over 16 connections, each of a customer whose cart has one ordinary listing."""
    secret = servers.environment["JWT_SECRET"]
    with servers.connect() as connection:
        listings = seeds.add_catalogue(connection)
        if not tracked:
            connection.execute("UPDATE listings SET stock = NULL WHERE id = ANY(%s)", (listings,))
        buyers = [
            seeds.add_customer(connection, [listings[number % len(listings)]], secret) for number in range(BUYERS)
        ]
        # Others bought before: a table without rows is read from end to end.
        seeds.add_payments(connection, first=OF_OTHERS if tracked else 2 * OF_OTHERS, count=BUYERS)
        holds = (connection.execute("SELECT to_regclass('holds') IS NOT NULL").fetchone() or [False])[0]
        connection.execute("VACUUM ANALYZE")
    requests = [
        load.Request(
            method="POST",
            path="/api/checkout/session",
            headers=shop.bearer(customer) | {"Content-Type": "application/json", "Idempotency-Key": "purchase-{n}"},
            body=json.dumps({"cart_id": str(customer.cart_id)}).encode(),
        )
        for customer in buyers
    ]
    file = load.prepare(servers, "tracked" if tracked else "untracked", requests)
    port = servers.environment["PORT"]
    base = f"http://127.0.0.1:{port}" if "web" in servers.started else servers.serve()

    def prepare() -> None:
        with servers.connect() as connection:
            connection.execute("VACUUM ANALYZE")
            # Which has each connection plan its statements anew.
            load.full_speed(base, file, seconds=1.0)
            for statement in _DECIDE + (_FILL_ANEW if holds else []):
                connection.execute(statement)

    def work(_: None) -> int:
        return int(load.full_speed(base, file, seconds=SECONDS).requests)

    return Figure(prepare, work)


def idle(servers: Stand) -> Figure:
    """Webhooks one after the other, each from its post until a customer who polls all the while sees it paid."""
    port = servers.environment["PORT"]
    base = f"http://127.0.0.1:{port}" if "web" in servers.started else servers.serve()
    if "worker" not in servers.started:
        servers.work()

    def prepare() -> Any:
        first = next(_FIRST_PURCHASES)
        with servers.connect() as connection:
            seeds.add_payments(connection, first=first, count=PURCHASES)
            connection.execute("VACUUM ANALYZE")
            return end_to_end.Watcher(servers, base, connection, first=first, count=PURCHASES)

    return Figure(prepare, lambda watcher: list(watcher.times(pause=0.0003)))


if __name__ == "__main__":
    # Ctrl-C reaches it as well as who started it, and the servers have ended by now.
    with suppress(KeyboardInterrupt):
        main()
