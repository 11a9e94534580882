"""The drain's floor: a bare process that does what the worker does to webhooks, with psycopg and the same statements.

Claims sets until nothing waits, checks each HMAC, and records each set in one transaction. What it leaves out: Celery,
breakers, every hostile or late case, thin events, memories, metrics, logs. Waits for a ``go`` in Redis before each run.
"""

from __future__ import annotations

import hmac
import os
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson
import psycopg
import redis
from psycopg.types.array import ListBinaryDumper

from benchmarks.floors import send
from worker.events import sequencer
from worker.transitions import entry_statements
from worker.transitions import statements as transition_statements
from worker.webhooks import claims
from worker.webhooks import statements as webhook_statements

_CLAIM = webhook_statements.CLAIM.sql
_CARTS = transition_statements.LOCK_CARTS.sql
_LOCK = transition_statements.LOCK_PAYMENTS.sql
_KNOWN = transition_statements.KNOWN_EVENTS.sql
_ATTEMPTS = entry_statements.JOIN_ATTEMPTS
_FOLD = transition_statements.FOLD.sql
_EVENTS = transition_statements.INSERT_EVENTS.sql
_SETTLE = webhook_statements.SETTLE.sql
_SEQUENCE = sequencer._SEQUENCE.sql


def main() -> None:
    database = os.environ["WORKER_DATABASE_URL"].replace("postgresql+psycopg://", "postgresql://", 1)
    secret = os.environ["MOCK_WEBHOOK_SECRETS"].encode()
    waiting = redis.Redis.from_url(os.environ["REDIS_URL"], socket_timeout=None)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.adapters.register_dumper(list, ListBinaryDumper)
        while waiting.blpop(["floor-go"]):
            drain(connection, secret)


def drain(connection: psycopg.Connection[Any], secret: bytes) -> None:
    values = {"id": None, "lease": timedelta(seconds=30)}
    while rows := connection.execute(_CLAIM, values, binary=True).fetchall():
        read = [opened(row[8], secret) for row in rows]
        with connection.transaction():
            record(connection, rows, read)
        connection.execute(_SEQUENCE, {"prefix": "", "most": sequencer.AT_ONCE}).fetchall()


def opened(body: bytes, secret: bytes) -> dict[str, Any]:
    webhook: dict[str, Any] = orjson.loads(body)
    claimed = webhook.pop("signature")
    webhook["signed"] = orjson.dumps(webhook, option=orjson.OPT_SORT_KEYS)
    if not hmac.compare_digest(hmac.digest(secret, webhook["signed"], "sha256").hex(), claimed):
        raise ValueError("a webhook of the benchmark is unverified")
    return webhook


def record(connection: psycopg.Connection[Any], rows: list[Any], read: list[dict[str, Any]]) -> None:
    references = sorted(webhook["provider_ref"] for webhook in read)
    of_money = {"money_providers": ["mock"] * len(references), "money": references}
    connection.execute(_CARTS, of_money)
    of_all = {"providers": of_money["money_providers"], "references": references, "ids": []}
    locked = connection.execute(_LOCK, of_all | of_money, binary=True).fetchall()
    payments = {row[2]: row[0] for row in locked}
    # In the order of their keys, as the worker enters them: it is kinder to the indexes.
    events = sorted((webhook["raw_data"]["event_id"], webhook, row) for webhook, row in zip(read, rows, strict=True))
    contents = [webhook["raw_data"] for _, webhook, _ in events]
    names = [event_id for event_id, _, _ in events]
    connection.execute(_KNOWN, {"events": names, "providers": ["mock"]}, binary=True).fetchall()
    enter(connection, read, payments)
    connection.execute(
        _EVENTS,
        {
            "deliveries": [row[0] for _, _, row in events],
            "providers": ["mock"] * len(rows),
            "events": names,
            "payments": [payments[webhook["provider_ref"]] for _, webhook, _ in events],
            "statuses": ["paid"] * len(rows),
            "amounts": [Decimal(details["amount"]) for details in contents],
            "currencies": [details["currency"] for details in contents],
            "outcomes": ["applied"] * len(rows),
            "entries": [],
            "occurred": [datetime.fromisoformat(details["occurred_at"]) for details in contents],
            "received": [row[3] for _, _, row in events],
        },
        binary=True,
    )
    connection.execute(
        _SETTLE,
        {
            "ids": [row[0] for row in rows],
            "attempts": [row[4] for row in rows],
            "leases": [row[5] for row in rows],
            "states": ["applied"] * len(rows),
            "references": [webhook["provider_ref"] for webhook in read],
            "details": [None] * len(rows),
            "delays": [0.0] * len(rows),
            "returned": [0] * len(rows),
            "mismatches": [False] * len(rows),
            "names": [],
            "progress": [],
            "parked_for": claims.PARKED_FOR,
        },
        binary=True,
    )


def enter(connection: psycopg.Connection[Any], read: list[dict[str, Any]], payments: dict[str, Any]) -> None:
    """Join an attempt with its presumed money for each payment, and fold all of them."""
    details = [(payments[webhook["provider_ref"]], webhook["raw_data"], webhook["signed"]) for webhook in read]
    sparse: list[Any] = []
    send(
        connection,
        _ATTEMPTS,
        {
            "payments": [payment for payment, _, _ in details],
            "providers": ["mock"] * len(read),
            "refs": [""] * len(read),
            "statuses": ["started"] * len(read),
            "reported": [datetime.fromisoformat(given["occurred_at"]) for _, given, _ in details],
            "currencies": [given["currency"] for _, given, _ in details],
            "presumed": [Decimal(given["amount"]) for _, given, _ in details],
            **dict.fromkeys(("authorized", "released", "expires", "times_out", "replaces", "declines"), sparse),
        },
        binary=True,
    ).fetchall()
    values = {"ids": [payment for payment, _, _ in details], "raws": [signed for _, _, signed in details]}
    connection.execute(_FOLD, values | {"closing": None, "looked_up": None}, binary=True).fetchall()


if __name__ == "__main__":
    main()
