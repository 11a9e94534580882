"""How long customers wait while a file of a million settled lines is entered on the same two processors.

Carts are read and filled, sessions opened and webhooks posted at an even pace, first alone and then beside the file.
Each round's requests are timed from when they were due, so that whatever holds all of them up is not spared.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks import load, seeds, settlements
from benchmarks.load import Answers, Request
from benchmarks.report import Report, load_average, milliseconds
from benchmarks.shop import bearer
from benchmarks.stand import Stand
from benchmarks.usage import watched
from checkout_service.local.data_folder import ROOT

RATE: Final = 100
"""Requests a second; one of ten opens a session, two are webhooks. No shop that settles a million lines has more."""

ROUND: Final = 20.0
"""Seconds of load whose p99 is one measurement: of 2,000 requests."""

BUYERS: Final = 400

_DECIDE: Final = """
    UPDATE payments SET status = 'paid' FROM carts
    WHERE payments.user_id = carts.user_id AND carts.id = ANY(%s) AND status = 'pending'
"""
"""After each round: a buyer may have few sessions open."""


@dataclass(kw_only=True)
class Customers:
    """Those who send the requests, and webhooks about payments that wait."""

    buyers: list[seeds.Customer]
    listing: str
    webhooks: Iterator[bytes]
    rounds: int = 0

    def requests(self, count: int) -> Iterator[Request]:
        """So many requests, of which none came before."""
        self.rounds += 1
        typed = {"Content-Type": "application/json"}
        for number in range(count // 10):
            buyer = self.buyers[number % len(self.buyers)]
            read = Request(method="GET", path="/api/cart", headers=bearer(buyer))
            put = Request(
                method="POST",
                path="/api/cart/items",
                headers=bearer(buyer) | typed,
                body=json.dumps({"listing": self.listing, "qty": 2}).encode(),
            )
            bought = Request(
                method="POST",
                path="/api/checkout/session",
                headers=bearer(buyer) | typed | {"Idempotency-Key": f"round-{self.rounds}-{number}"},
                body=json.dumps({"cart_id": str(buyer.cart_id)}).encode(),
            )
            webhooks = [load.webhook(body) for body in islice(self.webhooks, 2)]
            yield from chain([read] * 5, [put] * 2, [bought], webhooks)


def run(stand: Stand, *, quick: bool) -> Report:
    lines = settlements.QUICK if quick else settlements.LINES
    seconds, alone = (2.0, 1) if quick else (ROUND, 3)
    report = Report(title=f"Customers while {lines:,} settled lines are entered: {RATE} requests a second")
    report.remark(load_average())
    with stand.connect() as connection:
        connection.execute("SET session_replication_role = replica")
        for statement in settlements.seeded(lines):
            connection.execute(statement)
        connection.execute("RESET session_replication_role")
        connection.execute("ANALYZE payments, captures")
        customers = _customers(stand, connection, webhooks=int(RATE * seconds * 30))
        base = stand.serve()
        stand.work()
        stand.start("beat")

        def measure() -> Answers:
            requests = load.prepare(stand, "customers", customers.requests(round(RATE * seconds)))
            answers = load.finished(load.paced(base, requests, rate=RATE, seconds=seconds))
            connection.execute(_DECIDE, ([buyer.cart_id for buyer in customers.buyers],))
            return answers

        measure()  # warms up
        before = [measure() for _ in range(alone)]
        with watched(stand) as usage:
            beside, found = _while_entering(stand, lines, measure)
        after = [measure() for _ in range(alone)]
    quiet = median(each.p99 for each in before + after)
    busy = median(each.p99 for each in beside)
    report.add(
        "customers' p99 beside the file",
        milliseconds(busy),
        floor=milliseconds(quiet),
        ratio=busy / quiet,
        target="≤ 1.5",
    )
    mid_busy, mid = (median(each.p50 for each in some) for some in (beside, before + after))
    report.add("customers' p50 beside the file", milliseconds(mid_busy), floor=milliseconds(mid), ratio=mid_busy / mid)
    report.add("p99 of the worst round", milliseconds(max(each.p99 for each in beside)))
    report.add("the file beside them", f"{found['seconds']:.1f} s", target="120 s" if not quick else "")
    report.add("most memory of the process", f"{found['memory']:.0f} MiB", target="300 MiB")
    report.remark(f"{len(beside)} rounds of {seconds:.0f} s beside the file, {2 * alone} without; processors: {usage}")
    return report


def _while_entering(stand: Stand, lines: int, measure: Any) -> tuple[list[Answers], dict[str, Any]]:
    """The rounds that began while the file was entered, and what entering it took."""
    url = stand.environment["MIGRATION_DATABASE_URL"].replace("postgresql+psycopg://", "postgresql://")
    first = next(iter(settlements.REPORTS))
    output: Path = stand.place.folder / "entered"
    with output.open("wb") as to:
        entering = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.settlements", url, str(lines), first], stdout=to, cwd=ROOT
        )
        try:
            rounds = []
            while not rounds or entering.poll() is None:
                rounds.append(measure())
            # The last one may have had some seconds to itself.
            rounds = rounds[:-1] or rounds
        finally:
            if entering.wait() != 0:
                raise load.LoadError("the file was not entered")
    return rounds, json.loads(output.read_bytes())


def _customers(stand: Stand, connection: Any, *, webhooks: int) -> Customers:
    listings = seeds.add_catalogue(connection)
    secret = stand.environment["JWT_SECRET"]
    buyers = [seeds.add_customer(connection, [listings[n % len(listings)]], secret) for n in range(BUYERS)]
    seeds.add_payments(connection, first=0, count=webhooks)
    references = list(seeds.reference(connection, first=0, count=webhooks))
    bodies = seeds.webhooks(iter(references), stand.environment["MOCK_WEBHOOK_SECRETS"])
    return Customers(buyers=buyers, listing=str(listings[0]), webhooks=bodies)
