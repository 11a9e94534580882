"""The same figures with few and with many rows, what a row costs on disk, and what pruning costs the webhook receiver.

Few and many are two databases on servers of their own, which take turns. Webhooks are one table at first, and then in
parts. How many rows there are is what the disk has room for.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, NamedTuple
from uuid import uuid4

import jwt
import psycopg

from benchmarks import drain, end_to_end, history, history_in_parts, leaving, load, room, shop
from benchmarks.bystanders import watching
from benchmarks.pairs import judge
from benchmarks.receive import some_webhooks
from benchmarks.report import Report, load_average, per_second
from benchmarks.stand import Stand, stand
from benchmarks.usage import CORES, watched
from checkout_service.publishing.publisher import TaskQueue
from checkout_service.settings.secret import Secret
from checkout_service.tasks import TaskName

FEW = 10_000
MOST = int(os.environ.get("GROWTH_ROWS") or 50_000_000)
PAYMENTS = 2_000_000
"""At most so many payments that all of the webhooks and events are about."""

ONLY = tuple(name.strip() for name in (os.environ.get("GROWTH_FIGURES") or "").split(",") if name.strip())
"""Figures by name, and nothing else is measured; all where none is named."""

SERVER = dict(each.split("=", 1) for each in (os.environ.get("GROWTH_POSTGRES") or "").split())
"""Settings of both servers while they are measured, besides those that PostgreSQL comes with."""

OF_WEBHOOKS = {"webhooks applied", "webhooks taken"}
"""Figures that are measured once more with webhooks in parts."""

DRAINED = 10_000
GROUPS = ("web", "worker", "postgres")
TARGET = "≥ 0.9"

_TABLES = "'payments', 'checkout_sessions', 'payment_events', 'webhook_deliveries', 'events', 'event_numbers'"
_LEAVES = f"""
    SELECT root.relname AS name, leaf.oid, leaf.reltuples FROM pg_class AS root
    LEFT JOIN pg_inherits ON inhparent = root.oid JOIN pg_class AS leaf ON leaf.oid = coalesce(inhrelid, root.oid)
    WHERE root.relnamespace = 'public'::regnamespace AND root.relname IN ({_TABLES})
"""
_SIZES = f"""
    SELECT name, sum(pg_table_size(oid))::bigint, sum(pg_indexes_size(oid))::bigint,
        greatest(sum(greatest(reltuples, 0)), 1)::bigint
    FROM ({_LEAVES}) AS leaf GROUP BY name ORDER BY name
"""
_SCANS = f"""
    SELECT relid, coalesce(seq_scan, 0), leaf.reltuples > 20000
    FROM pg_stat_user_tables JOIN ({_LEAVES}) AS leaf ON relid = leaf.oid
"""
_BODIES = """
    SELECT avg(pg_column_size(webhook.body)), avg(pg_column_size(payment.raw_payload))
    FROM (
        SELECT body, provider_ref FROM webhook_deliveries WHERE state = 'applied' ORDER BY id DESC LIMIT 1000
    ) AS webhook
    JOIN payments AS payment USING (provider_ref) WHERE payment.raw_payload IS NOT NULL
"""
# Between two turns, so that open sessions do not pile up as they never do in life.
_DECIDE = """
    UPDATE payments SET status = 'paid' WHERE status = 'pending'
        AND id = ANY(ARRAY(SELECT payment_id FROM checkout_sessions WHERE id > %s))
"""
_OLD = "SELECT count(*) FROM webhook_deliveries WHERE id < (SELECT uuidv7(-interval '30 days'))"


class Figure(NamedTuple):
    """Each turn is prepared, which is not measured; the work says how many it did, in how many seconds."""

    prepare: Callable[[], Any]
    work: Callable[[Any], tuple[int, float]]


def run(large: Stand, *, quick: bool) -> Report:
    most, payments, few = (6_000, 4_000, 400) if quick else (MOST, PAYMENTS, FEW)
    rounds, seconds, drained = (1, 1, 400) if quick else (5, 2, DRAINED)
    found = room.on_disk(most=most, payments=payments, folder=str(large.place.folder))
    report = Report(title=f"Growth: the same figures with {few:,} and with {found.rows:,} webhooks and events")
    report.remark(load_average())
    report.remark(str(found))
    if SERVER:
        report.remark("PostgreSQL with " + ", ".join(f"{name} = {value}" for name, value in SERVER.items()))
    with stand() as small:
        sides = {"few": small, "many": large}
        past = history.past_of(found.rows, paid=found.payments)
        fill(small, history.past_of(few, paid=few))
        began = time.monotonic()
        fill(large, past)
        report.remark(f"to load and index them took {time.monotonic() - began:.0f} s")
        for one in sides.values():
            serve_with_settings(one)
        figures = {name: the_figures(one, seconds=seconds, drained=drained) for name, one in sides.items()}
        with large.connect() as connection:
            sizes(report, connection)
            scans = scans_of(connection)
            compare(report, sides, figures, rounds=rounds)
            report.remark(
                "here the floor is the service itself with few rows; 1.11 times worse would be a ratio of 0.9"
            )
            # A day that came to be large meanwhile counts with those since alone: its indexes were made by scans, too.
            scanned = sum(
                number - scans.get(each, (0, False))[0]
                for each, (number, is_large) in scans_of(connection).items()
                if is_large
            )
            if bodies := connection.execute(_BODIES).fetchone():
                report.remark(
                    "beside that each keeps its webhook's body twice, as bytes until the webhook is pruned and as "
                    f"jsonb: {' + '.join(f'{size or 0:.0f}' for size in bodies)} bytes for one of 1.6 KB"
                )
            report.add("tables read from end to end meanwhile", str(scanned), target="0")
            if not ONLY:
                prune(large, report, connection, seconds=1 if quick else 5)
        if not ONLY or OF_WEBHOOKS & {*ONLY}:
            in_parts(report, sides, figures, past, rounds=rounds, seconds=1 if quick else 6)
    return report


def fill(stand: Stand, past: history.Past) -> None:
    """Load what is of this time: webhooks as one table."""
    history.load(stand, past)
    events = history.past_of(past.count, paid=past.paid, days=history_in_parts.EVENT_DAYS)
    with history.in_haste(stand):
        history_in_parts.load_events(stand, events)


def serve_with_settings(stand: Stand) -> None:
    """Have the server take those settings, before anything works on it."""
    if SERVER:
        with stand.connect() as connection:
            for name, value in SERVER.items():
                connection.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        stand.postgres.server.restart()


def in_parts(
    report: Report,
    sides: Mapping[str, Stand],
    figures: Mapping[str, Mapping[str, Figure]],
    past: history.Past,
    *,
    rounds: int,
    seconds: float,
) -> None:
    """The same with webhooks in parts of a week: what differs from one table, and how a part leaves."""
    large = sides["many"]
    for name in ("web", "worker"):
        large.stop(name)
    began = time.monotonic()
    with history.in_haste(large):
        history_in_parts.load_webhooks(large, past)
    report.remark(f"to load the webhooks in parts took {time.monotonic() - began:.0f} s")
    serve_with_settings(large)
    base = large.serve()
    large.work()
    some = {
        side: {f"{name}, in parts": own[name] for name in own if name in OF_WEBHOOKS} for side, own in figures.items()
    }
    compare(report, sides, some, rounds=rounds)
    with large.connect() as connection:
        sizes(report, connection, ("webhook_deliveries",), more=", in parts")
    if ONLY:
        return
    large.stop("worker")
    leaving.leave(large, report, base, large.place.folder / "growth.requests", seconds=seconds)


def compare(
    report: Report, sides: Mapping[str, Stand], figures: Mapping[str, Mapping[str, Figure]], *, rounds: int
) -> None:
    """A line for each figure: pair by pair, by rates, or by processor time where those are noisy."""
    for name in figures["few"]:
        for side, one in sides.items():
            turn(one, figures[side][name])  # warms up: statements, connections, what is read from disk
        with watching() as bystanders:
            pairs = [{side: turn(one, figures[side][name]) for side, one in sides.items()} for _ in range(rounds)]
        judged = judge([(pair["many"], pair["few"]) for pair in pairs])
        rates = {side: per_second(statistics.median(pair[side]["rate"] for pair in pairs)) for side in sides}
        report.add(name, rates["many"], floor=rates["few"], ratio=judged.ratio, target=TARGET)
        report.remark(f"{name}: {judged}; {bystanders}")


def turn(stand: Stand, figure: Figure) -> dict[str, float]:
    """``rate``, so many a second; µs of processor time of one, by group; ``others``, the share of who else worked.

    A page that changes is logged whole once after each checkpoint. As PostgreSQL comes, one is due every few seconds of
    such a load, so there is one right before the work. A server that was given settings has it before what is prepared,
    which touches many of those pages first, as sessions do in life.
    """
    if SERVER:
        checkpoint(stand)
    prepared = figure.prepare()
    if not SERVER:
        checkpoint(stand)
    with watched(stand) as usage:
        done, seconds = figure.work(prepared)
    each = 1e6 * usage.seconds * CORES / done
    spent = {name: share * each for name, share in usage.shares.items() if name in GROUPS}
    return {"rate": done / seconds, "others": usage.shares["others"]} | spent


def checkpoint(stand: Stand) -> None:
    with stand.connect() as connection:
        connection.execute("CHECKPOINT")


def the_figures(stand: Stand, *, seconds: float, drained: int) -> dict[str, Figure]:
    """What is measured on both, by name; starts what serves it."""
    base = stand.serve()
    stand.work()
    files: dict[str, Any] = shop.prepare(stand)
    files["webhooks taken"] = load.prepare(stand, "growth", map(load.webhook, some_webhooks(stand, 2000)))
    secret = stand.environment["JWT_SECRET"]
    with stand.connect() as connection:
        some = connection.execute("SELECT id, user_id FROM payments LIMIT 200").fetchall()
        last = _number(connection, "SELECT last_seq FROM event_series")
        began = connection.execute("SELECT uuidv7()").fetchone()
    one = [end_to_end.reading(payment, user, secret) for payment, user in some]
    files["GET payment"] = load.prepare(stand, "payment", one)
    files["GET payments"] = load.prepare(stand, "payments", (replace(each, path="/api/payments") for each in one))
    pages = [f"after={last * place // 50}&limit=20" for place in range(50)]
    files["GET events"] = load.prepare(stand, "events", map(_staff(secret), pages))
    objects = [f"object=payment:{payment}&after=0" for payment, _ in some]
    files["GET events of a payment"] = load.prepare(stand, "events-of", map(_staff(secret), objects))
    firsts = count(100_000_000, drained)

    def file_some() -> str:
        with stand.connect() as connection:
            return drain.file_webhooks(connection, stand, first=next(firsts), count=drained)

    def drain_them(first: str) -> tuple[int, float]:
        with stand.connect() as connection:
            return drained, drain.drained(stand, connection, lambda: drain.wake(stand, first))

    def decide() -> None:
        with stand.connect() as connection:
            connection.execute(_DECIDE, began)

    def at_full_speed(name: str) -> Figure:
        def work(_: object) -> tuple[int, float]:
            answers = load.full_speed(base, files[name], seconds=seconds)
            return answers.requests, answers.seconds

        return Figure(decide if name == "POST session" else lambda: None, work)

    routes = ("GET payment", "GET payments", "GET cart of 10", "POST item", "POST session")
    read = ("GET events", "GET events of a payment")
    figures = {"webhooks applied": Figure(file_some, drain_them)} | {
        name: at_full_speed(name) for name in (*routes, *read, "webhooks taken")
    }
    return {name: figures[name] for name in ONLY or figures}


def _staff(secret: str) -> Callable[[str], load.Request]:
    """Requests for pages of the log, by their query."""
    claims = {"sub": str(uuid4()), "scope": "events:read", "exp": datetime.now(UTC) + timedelta(days=1)}
    bearer = {"Authorization": f"Bearer {jwt.encode(claims, secret, 'HS256')}"}
    return lambda query: load.Request(method="GET", path=f"/api/admin/events?{query}", headers=bearer)


def sizes(report: Report, connection: psycopg.Connection[Any], tables: tuple[str, ...] = (), *, more: str = "") -> None:
    for name, table, indexes, rows in connection.execute(_SIZES):
        if not tables or name in tables:
            shown = f"{table / rows:.0f} + {indexes / rows:.0f}"
            report.add(f"{name}{more}: bytes a row, table + indexes, of {rows:,}", shown)


def scans_of(connection: psycopg.Connection[Any]) -> dict[int, tuple[int, bool]]:
    """How often each table was read from end to end so far, and whether it is large."""
    return {table: (scans, large) for table, scans, large in connection.execute(_SCANS)}


def prune(stand: Stand, report: Report, connection: psycopg.Connection[Any], *, seconds: float) -> None:
    """What the webhook receiver takes while old webhooks are pruned, beside what it takes when they are not."""
    base = f"http://127.0.0.1:{stand.environment['PORT']}"
    requests = stand.place.folder / "growth.requests"
    rates: dict[str, list[float]] = {"alone": [], "beside": []}

    def measure(side: str) -> None:
        rates[side].append(load.full_speed(base, requests, seconds=seconds).rate)

    with housekeeping(stand):
        measure("alone")
        old, began = _number(connection, _OLD), time.monotonic()
        TaskQueue(Secret(stand.environment["REDIS_URL"])).enqueue(TaskName.PRUNE_WEBHOOKS)
        measure("beside")
        measure("beside")
        pruned, meanwhile = old - _number(connection, _OLD), time.monotonic() - began
    measure("alone")
    alone, beside = (statistics.median(rates[side]) for side in ("alone", "beside"))
    report.add(
        "webhooks taken while old ones are pruned",
        per_second(beside),
        floor=per_second(alone),
        ratio=beside / alone,
        target=TARGET,
    )
    report.remark(f"{pruned:,} of {old:,} old webhooks were pruned in those {meanwhile:.0f} s")


@contextmanager
def housekeeping(stand: Stand) -> Iterator[None]:
    """With the process that does so; it ends its task before the block is left."""
    stand.start("housekeeping")
    port = stand.environment["HOUSEKEEPING_METRICS_PORT"]
    stand.await_http(f"http://127.0.0.1:{port}", "/metrics", "housekeeping")
    yield
    stand.stop("housekeeping")


def _number(connection: psycopg.Connection[Any], query: str) -> int:
    row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0
