"""The drain's floor: a bare process that does what the worker does to letters, with psycopg and the same statements.

Claims sets until nothing waits, checks each HMAC, and records each set in one transaction. What it leaves out: Celery,
breakers, every hostile or late case, hints, memories, metrics, logs. Waits for a ``go`` in Redis before each run.
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

from worker.transitions import payment_statements
from worker.webhooks import claims
from worker.webhooks import statements as letter_statements

_CLAIM = letter_statements.CLAIM.sql
_CARTS = payment_statements.LOCK_CARTS.sql
_LOCK = payment_statements.LOCK_PAYMENTS.sql
_EVENTS = payment_statements.INSERT_EVENTS.sql
_MOVE = payment_statements.MOVE_PAYMENTS.sql
_SETTLE = letter_statements.SETTLE.sql


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


def opened(body: bytes, secret: bytes) -> dict[str, Any]:
    letter: dict[str, Any] = orjson.loads(body)
    claimed = letter.pop("signature")
    letter["signed"] = orjson.dumps(letter, option=orjson.OPT_SORT_KEYS)
    if not hmac.compare_digest(hmac.digest(secret, letter["signed"], "sha256").hex(), claimed):
        raise ValueError("a letter of the benchmark is forged")
    return letter


def record(connection: psycopg.Connection[Any], rows: list[Any], read: list[dict[str, Any]]) -> None:
    references = sorted(letter["provider_ref"] for letter in read)
    connection.execute(_CARTS, {"money": references})
    locked = connection.execute(_LOCK, {"references": references, "money": references}, binary=True).fetchall()
    payments = {row[2]: row[0] for row in locked}
    # In the order of their keys, as the ledger enters them: it is kinder to the indexes.
    events = sorted((letter["raw_data"]["event_id"], letter, row) for letter, row in zip(read, rows, strict=True))
    said = [letter["raw_data"] for _, letter, _ in events]
    connection.execute(
        _EVENTS,
        {
            "deliveries": [row[0] for _, _, row in events],
            "providers": ["mock"] * len(rows),
            "events": [event_id for event_id, _, _ in events],
            "payments": [payments[letter["provider_ref"]] for _, letter, _ in events],
            "statuses": ["paid"] * len(rows),
            "amounts": [Decimal(details["amount"]) for details in said],
            "currencies": [details["currency"] for details in said],
            "outcomes": ["applied"] * len(rows),
            "occurred": [datetime.fromisoformat(details["occurred_at"]) for details in said],
            "received": [row[3] for _, _, row in events],
        },
        binary=True,
    )
    bodies = {letter["provider_ref"]: letter["signed"] for letter in read}
    connection.execute(
        _MOVE,
        {
            "ids": list(payments.values()),
            "statuses": ["paid"] * len(rows),
            "raws": [bodies[reference] for reference in payments],
            "reasons": [None] * len(rows),
            "captures": [None] * len(rows),
        },
    )
    connection.execute(
        _SETTLE,
        {
            "ids": [row[0] for row in rows],
            "attempts": [row[4] for row in rows],
            "leases": [row[5] for row in rows],
            "states": ["applied"] * len(rows),
            "references": [letter["provider_ref"] for letter in read],
            "details": [None] * len(rows),
            "delays": [0.0] * len(rows),
            "returned": [0] * len(rows),
            "parked_for": claims.PARKED_FOR,
        },
        binary=True,
    )


if __name__ == "__main__":
    main()
