"""Processor time of one call of each route, in one thread without an HTTP server, beside the floor's.

It hardly minds what else the machine does, so it is the figure to work with. Runs as a child with the stand's
environment and prints JSON: microseconds by route, for the service and for the floor.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from itertools import count
from typing import Any

import psycopg

from benchmarks import seeds

CHUNK = 100

OPEN_OF_A_BUYER = 15
"""Sessions that each buyer has open at the end: fewer than one may have."""

App = Callable[[dict[str, Any], Any], Any]
Environ = Callable[[], dict[str, Any]]


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--chunks", type=int, default=20)
    arguments.add_argument("--only", default="")
    given = arguments.parse_args()
    report = os.dup(1)
    complaints = os.dup(2)
    # Lines are written as in life, but not into the report.
    os.dup2(os.open(os.environ["TMPDIR"] + "/lines", os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
    from benchmarks.floors.web import app as floor
    from wsgi import app as service

    found = {}
    for name, environ in requests(chunks=given.chunks).items():
        if given.only in name:
            try:
                found[name] = compare({"floor": floor, "service": service}, environ, chunks=given.chunks)
            except AssertionError as error:
                os.write(complaints, f"{name}: {error}\n".encode())
                raise
    os.write(report, json.dumps(found).encode())


def requests(*, chunks: int) -> dict[str, Environ]:
    """By route, what makes the environment of its next request; each is measured in so many chunks."""
    url = os.environ["MIGRATION_DATABASE_URL"].replace("postgresql+psycopg://", "postgresql://")
    secret = os.environ["JWT_SECRET"]
    with psycopg.connect(url, autocommit=True) as connection:
        listings = seeds.add_catalogue(connection)
        customers = {lines: seeds.add_customer(connection, listings[:lines], secret) for lines in (1, 10, 100)}
        # Of floor and service, and once more to warm up; none of them may have more than some sessions open.
        buyers = [
            seeds.add_customer(connection, listings[:1], secret)
            for _ in range(2 * CHUNK * (chunks + 1) // OPEN_OF_A_BUYER)
        ]
    signing = os.environ["MOCK_WEBHOOK_SECRETS"]
    bodies = list(seeds.webhooks(iter([f"mock_pi_{number:032x}" for number in range(500)]), signing))
    at: Iterator[int] = count()
    buyer = {"HTTP_AUTHORIZATION": f"Bearer {customers[1].token}"}

    def session() -> dict[str, Any]:
        number = next(at)
        of = buyers[number % len(buyers)]
        body = json.dumps({"cart_id": str(of.cart_id)}).encode()
        named = {"HTTP_IDEMPOTENCY_KEY": f"calls-{number}", "HTTP_AUTHORIZATION": f"Bearer {of.token}"}
        return environ("POST", "/api/checkout/session", body, **named)

    def item() -> bytes:
        return json.dumps({"listing": str(listings[next(at) % LISTED]), "qty": 2}).encode()

    return {
        "POST webhook": lambda: environ("POST", "/api/payments/webhook", bodies[next(at) % 500]),
        **{
            f"GET cart of {lines}": lambda token=customer.token: environ(  # type: ignore[misc]  # bound at once
                "GET", "/api/cart", HTTP_AUTHORIZATION=f"Bearer {token}"
            )
            for lines, customer in customers.items()
        },
        "POST item": lambda: environ("POST", "/api/cart/items", item(), **buyer),
        "POST session": session,
    }


LISTED = 1
"""The item that is set again and again is in the cart already, so that carts do not grow while they are measured."""


def environ(method: str, path: str, body: bytes = b"", **more: str) -> dict[str, Any]:
    """A request as a server hands it to the application."""
    return {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "SCRIPT_NAME": "",
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "127.0.0.1:8000",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        **({"CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(body))} if body else {}),
        **more,
    }


def compare(apps: dict[str, App], environ: Environ, *, chunks: int) -> dict[str, float]:
    """Median microseconds of thread time a call, the applications taking turns."""
    for app in apps.values():
        chunk_of(app, environ)
    spent: dict[str, list[float]] = {name: [] for name in apps}
    for _ in range(chunks):
        for name, app in apps.items():
            spent[name].append(chunk_of(app, environ))
    return {name: round(statistics.median(times), 1) for name, times in spent.items()}


def chunk_of(app: App, environ: Environ) -> float:
    statuses = set()

    def start_response(status: str, _headers: Any, _error: Any = None) -> None:
        statuses.add(status[0])

    environs = [environ() for _ in range(CHUNK)]
    began = time.thread_time()
    for one in environs:
        answer = app(one, start_response)
        b"".join(answer)
        if hasattr(answer, "close"):
            answer.close()
    spent = time.thread_time() - began
    if statuses != {"2"}:
        raise AssertionError(f"answers began with {statuses}")
    return spent / CHUNK * 1e6


if __name__ == "__main__":
    main()
