"""From a webhook's post to a GET that shows paid, as a polling customer sees it: idle, and at half of the maximum."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import jwt
import psycopg

from benchmarks import load, seeds
from benchmarks.pace import Connection, format_request
from benchmarks.report import Report, load_average, milliseconds, per_second, percentile
from benchmarks.stand import Stand
from benchmarks.usage import watched

_PENDING = "SELECT EXISTS (SELECT FROM webhook_deliveries WHERE state IN ('received', 'parked'))"
_APPLIED = "SELECT count(*) FROM webhook_deliveries WHERE state = 'applied'"
_PAYMENTS = """
    SELECT id, user_id, provider_ref FROM payments
    WHERE provider_ref IN (SELECT 'mock_pi_' || md5('payment ' || n) FROM generate_series(%s::bigint, %s::bigint) AS n)
"""

GIVE_UP = 30.0


def run(stand: Stand, *, quick: bool) -> Report:
    purchases, webhooks, seconds = (20, 400, 1) if quick else (300, 60_000, 20)
    report = Report(title="End to end: a webhook is posted, a polling customer sees it paid")
    report.remark(load_average())
    with stand.connect() as connection:
        seeds.add_payments(connection, first=0, count=webhooks + 2 * purchases)
        base = stand.serve()
        stand.work()
        stand.start("beat")
        Watcher(stand, base, connection, first=webhooks, count=4).times(pause=0.0003)  # warms up
        with watched(stand) as usage:
            idle = Watcher(stand, base, connection, first=webhooks + 4, count=purchases - 4).times(pause=0.0003)
        tell_times(report, "idle", idle, target="p50 < 6, p99 < 15 ms")
        report.remark(f"processors while it was idle: {usage}")
        sustained = sustain(stand, base, connection, webhooks=webhooks // 2, seconds=seconds // 2 or 1)
        report.add("sustained: posted and applied", per_second(sustained))
        rate = sustained / 2
        requests = prepare(stand, connection, "half", first=webhooks // 2, count=webhooks // 2)
        background = load.paced(base, requests, rate=rate, seconds=min(seconds, webhooks / 2 / rate))
        with watched(stand) as usage:
            watcher = Watcher(stand, base, connection, first=webhooks + purchases, count=purchases)
            busy = watcher.times(pause=0.002, while_running=background)
        load.finished(background)
    tell_times(report, f"at half of that ({rate:,.0f} /s)", busy, target="p99 < 250 ms")
    report.remark(f"processors at half: {usage}")
    return report


def sustain(stand: Stand, base: str, connection: psycopg.Connection[Any], *, webhooks: int, seconds: float) -> float:
    """Webhooks a second, posted as fast as they are taken and applied until none is pending."""
    requests = prepare(stand, connection, "sustained", first=0, count=webhooks)
    before = _number(connection, _APPLIED)
    began = time.perf_counter()
    load.full_speed(base, requests, seconds=seconds)
    while _number(connection, _PENDING):
        time.sleep(0.005)
    return (_number(connection, _APPLIED) - before) / (time.perf_counter() - began)


def prepare(stand: Stand, connection: psycopg.Connection[Any], name: str, *, first: int, count: int) -> Any:
    references = list(seeds.reference(connection, first=first, count=count))
    webhooks = seeds.webhooks(iter(references), stand.environment["MOCK_WEBHOOK_SECRETS"])
    return load.prepare(stand, name, map(load.webhook, webhooks))


def tell_times(report: Report, figure: str, times: list[float], *, target: str) -> None:
    shown = " · ".join(milliseconds(percentile(times, share)) for share in (0.5, 0.99))
    report.add(f"{figure}: p50 · p99 of {len(times)}", shown, target=target)


class Watcher:
    """A customer, or rather one a payment, who posts the provider's webhook and polls until the payment is paid."""

    def __init__(self, stand: Stand, base: str, connection: psycopg.Connection[Any], *, first: int, count: int) -> None:
        target = urlsplit(base)
        host = f"{target.hostname}:{target.port}"
        self._connection = Connection(target.hostname or "", target.port or 80)
        rows = connection.execute(_PAYMENTS, (first, first + count - 1)).fetchall()
        webhooks = seeds.webhooks((row[2] for row in rows), stand.environment["MOCK_WEBHOOK_SECRETS"])
        secret = stand.environment["JWT_SECRET"]
        self._purchases = [
            (raw(load.webhook(body), host), raw(reading(row[0], row[1], secret), host))
            for row, body in zip(rows, webhooks, strict=True)
        ]

    def times(self, *, pause: float, while_running: Any = None) -> list[float]:
        """Seconds from each post to the first answer that says paid."""
        found = []
        for webhook, poll in self._purchases:
            if while_running is not None and while_running.poll() is not None:
                break
            began = time.perf_counter()
            self._ask(webhook)
            while json.loads(self._ask(poll))["status"] != "paid":
                if time.perf_counter() - began > GIVE_UP:
                    raise TimeoutError("a payment was not paid")
                time.sleep(pause)
            found.append(time.perf_counter() - began)
        return found

    def _ask(self, request: bytes) -> bytes:
        self._connection.send(request, 0.0)
        while (status := self._connection.answered()) is None:
            pass
        if status >= 400:
            raise load.LoadError(self._connection.read.decode(errors="replace"))
        return self._connection.read.partition(b"\r\n\r\n")[2]


def reading(payment_id: UUID, user_id: UUID, secret: str) -> load.Request:
    token = jwt.encode({"sub": str(user_id), "exp": datetime.now(UTC) + timedelta(days=1)}, secret, "HS256")
    return load.Request(method="GET", path=f"/api/payments/{payment_id}", headers={"Authorization": f"Bearer {token}"})


def raw(request: load.Request, host: str) -> bytes:
    return format_request(request.line().rstrip(b"\n"), host)


def _number(connection: psycopg.Connection[Any], query: str) -> int:
    row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0
