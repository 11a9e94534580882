"""Stripe's API of payouts and balances for tests, on a port of this machine."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.providers.stripe_reports import movements

KEY = "rk_test_51NOTAREALKEY"
NOW = datetime(2026, 11, 28, 6, 0, tzinfo=UTC)
MADE = datetime(2026, 11, 26, 0, 0, tzinfo=UTC)

Answer = tuple[int, Any]


def payout(ref: str = "po_made1", **fields: Any) -> dict[str, Any]:
    """A payout as the API shows it, with more fields than we have a use for."""
    return {
        "id": ref,
        "object": "payout",
        "amount": 4970,
        "arrival_date": 1795737600,
        "automatic": True,
        "balance_transaction": "txn_made6",
        "created": int(MADE.timestamp()),
        "currency": "eur",
        "description": "STRIPE PAYOUT",
        "destination": "ba_made1",
        "failure_balance_transaction": None,
        "failure_code": None,
        "livemode": False,
        "metadata": {},
        "method": "standard",
        "original_payout": None,
        "reconciliation_status": "completed",
        "source_type": "card",
        "statement_descriptor": "TULIP SHOP",
        "status": "in_transit",
        "trace_id": {"status": "pending", "value": None},
        "type": "bank_account",
    } | fields


def movement(ref: str, amount: int, created: int, *, fee: int = 0, **fields: Any) -> dict[str, Any]:
    """A movement of the balance as the API shows it, in smallest units: a charge in EUR, unless ``fields`` say more."""
    return {
        "id": ref,
        "object": "balance_transaction",
        "amount": amount,
        "available_on": created,
        "balance_type": "payments",
        "created": created,
        "currency": "eur",
        "description": None,
        "fee": fee,
        "net": amount - fee,
        "source": None,
        "status": "available",
        "type": "charge",
    } | fields


class Stripe(ThreadingHTTPServer):
    """Stripe's two lists and its balance on a port of this machine: by pages, and by a key that may read them.

    ``answers`` are by the number of a request, from 0: what is answered in place of the page. ``balance`` are movements
    that are listed by their time alone, the newest first. The balance is what they and ``opening`` add up to, in
    smallest units; ``moving`` are added one by one, each before the balance is read.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.payouts: list[dict[str, Any]] = [payout()]
        self.movements: dict[str, list[dict[str, Any]]] = {"po_made1": movements()}
        self.opening: dict[str, int] = {}
        self.balance: list[dict[str, Any]] = []
        self.moving: list[dict[str, Any]] = []
        self.answers: dict[int, Callable[[dict[str, Any]], Answer]] = {}
        self.queries: list[tuple[str, dict[str, str]]] = []
        self.largest_page = 100

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def answer(self, path: str, query: dict[str, str], authorization: str | None) -> Answer:
        number = len(self.queries)
        self.queries.append((path, query))
        if authorization != f"Bearer {KEY}":
            return 401, {"error": {"type": "invalid_request_error"}}
        if path == "/v1/payouts":
            since = int(query["created[gte]"])
            page = self._page([one for one in self.payouts if one["created"] >= since], query)
        elif path == "/v1/balance":
            page = self._balance()
        elif path == "/v1/balance_transactions" and "payout" not in query:
            since, until = int(query["created[gte]"]), int(query.get("created[lt]", 1 << 40))
            page = self._page([one for one in self.balance if since <= one["created"] < until], query)
        elif path == "/v1/balance_transactions":
            page = self._page(self.movements[query["payout"]], query)
        else:
            return 404, {"error": {"type": "invalid_request_error", "code": "resource_missing"}}
        return self.answers[number](page) if number in self.answers else (200, page)

    def _balance(self) -> dict[str, Any]:
        """A part of it pending, and other balances beside it. A currency of which there is nothing is not there."""
        if self.moving:
            self.balance.insert(0, self.moving.pop(0))
        totals = dict(self.opening)
        for one in self.balance:
            if one.get("balance_type") in (None, "payments"):
                totals[one["currency"]] = totals.get(one["currency"], 0) + one["net"]
        totals = {currency: total for currency, total in totals.items() if total}
        pending = [{"amount": 700, "currency": currency, "source_types": {"card": 700}} for currency in totals]
        available = [{"amount": total - 700, "currency": currency} for currency, total in totals.items()]
        others = {"instant_available": available, "issuing": {"available": pending}, "connect_reserved": pending}
        return {"object": "balance", "livemode": False, "available": available, "pending": pending} | others

    def _page(self, objects: list[dict[str, Any]], query: dict[str, str]) -> dict[str, Any]:
        limit, after = min(int(query["limit"]), self.largest_page), query.get("starting_after")
        start = [one["id"] for one in objects].index(after) + 1 if after else 0
        return {
            "object": "list",
            "data": objects[start : start + limit],
            "has_more": start + limit < len(objects),
            "url": "/v1/list",
        }


class _Handler(BaseHTTPRequestHandler):
    server: Stripe

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        status, body = self.server.answer(parts.path, query, self.headers["Authorization"])
        content = json.dumps(body).encode()
        self.send_response(status)
        for name, value in (("Content-Type", "application/json"), ("Content-Length", str(len(content)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the name of the method that this is)
        """A green run prints nothing."""


@contextmanager
def serving() -> Iterator[Stripe]:
    """Until the end of the block."""
    server = Stripe()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
