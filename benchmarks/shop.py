"""Carts and sessions a second, beside bare views that send the same statements and check the token each time."""

from __future__ import annotations

import json

from benchmarks import load, seeds
from benchmarks.report import Report, in_turns, load_average, per_second
from benchmarks.stand import Stand
from benchmarks.usage import Usage, watched

TARGETS = {"GET cart of 1": 0.65, "GET cart of 10": 0.75, "GET cart of 100": 0.9, "POST item": 0.6, "POST session": 0.6}
CUSTOMERS = 64
"""Writers: customers who put one item each, so that rows are locked no more than in life."""

BUYERS = 1000
"""Customers who open sessions; more than some open at once none of them may have."""

_DECIDE = "UPDATE payments SET status = 'paid' WHERE status = 'pending'"
"""Between two measurements, so that nobody's open sessions pile up as they never do in life."""


def run(stand: Stand, *, quick: bool) -> Report:
    report = Report(title="Cart and checkout, 16 connections")
    report.remark(load_average())
    rounds, seconds = (1, 0.3) if quick else (3, 4.0)
    files = prepare(stand)
    bases = {"floor": stand.serve_floor(), "service": stand.serve()}
    usage: dict[str, Usage] = {}
    for route, target in TARGETS.items():

        def measure(name: str, lasting: float = seconds, route: str = route) -> float:
            with stand.connect() as connection:
                connection.execute(_DECIDE)
            with watched(stand) as usage[name]:
                return load.full_speed(bases[name], files[route], seconds=lasting).rate

        for name in bases:
            measure(name, min(1.0, seconds))
        found = in_turns(rounds, {name: lambda name=name: measure(name) for name in bases})  # type: ignore[misc]
        ratio = found["service"] / found["floor"]
        shown = {name: per_second(rate) for name, rate in found.items()}
        report.add(route, shown["service"], floor=shown["floor"], ratio=ratio, target=f"≥ {target}")
    for name in bases:
        report.remark(f"processors while the {name} opened sessions: {usage[name]}")
        stand.stop("web" if name == "service" else name)
    return report


def prepare(stand: Stand) -> dict[str, object]:
    """A file of requests by route, and the customers and listings behind it."""
    secret = stand.environment["JWT_SECRET"]
    with stand.connect() as connection:
        listings = seeds.add_catalogue(connection)
        readers = {lines: seeds.add_customer(connection, listings[:lines], secret) for lines in (1, 10, 100)}
        writers = [seeds.add_customer(connection, listings[:1], secret) for _ in range(CUSTOMERS)]
        # Each buys another listing than the one before: of a hot one FIGURES=stock tells.
        buyers = [
            seeds.add_customer(connection, [listings[number % len(listings)]], secret) for number in range(BUYERS)
        ]
    typed = {"Content-Type": "application/json"}
    requests = {
        f"GET cart of {lines}": [load.Request(method="GET", path="/api/cart", headers=bearer(customer))]
        for lines, customer in readers.items()
    }
    requests["POST item"] = [
        load.Request(
            method="POST",
            path="/api/cart/items",
            headers=bearer(customer) | typed,
            body=json.dumps({"listing": str(listings[0]), "qty": 2}).encode(),
        )
        for customer in writers
    ]
    requests["POST session"] = [
        load.Request(
            method="POST",
            path="/api/checkout/session",
            headers=bearer(customer) | typed | {"Idempotency-Key": "purchase-{n}"},
            body=json.dumps({"cart_id": str(customer.cart_id)}).encode(),
        )
        for customer in buyers
    ]
    return {route: load.prepare(stand, route.replace(" ", "-"), some) for route, some in requests.items()}


def bearer(customer: seeds.Customer) -> dict[str, str]:
    return {"Authorization": f"Bearer {customer.token}"}
