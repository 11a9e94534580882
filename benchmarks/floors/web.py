"""The web floor: bare Flask views over plain psycopg, one connection a thread, the same statements as the service.

What they leave out is what the service is: checks of every input, problems, request ids, metrics, logs, breakers.
"""

from __future__ import annotations

import os
import threading
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid5

import jwt
import orjson
import psycopg
import redis
from flask import Flask, Response, request
from psycopg.rows import namedtuple_row

from benchmarks.floors import send
from checkout_service.api.responses import show_time
from checkout_service.carts import operations as cart_operations
from checkout_service.carts import queries as cart_queries
from checkout_service.carts.lines import show_line
from checkout_service.checkout import beginning, inserting
from checkout_service.money import LARGEST

app = Flask(__name__)

_DATABASE = os.environ["DATABASE_URL"].replace("postgresql+psycopg://", "postgresql://", 1)
_SECRET = os.environ["JWT_SECRET"]
_NAMESPACE = UUID(os.environ["PAYMENT_NAMESPACE"])
_DAY = timedelta(days=1)

_redis = redis.Redis.from_url(os.environ["REDIS_URL"])
_own = threading.local()


_FILE = "INSERT INTO webhook_deliveries (provider, headers, body) VALUES ('mock', '{}', %s) RETURNING id"
_CART = cart_queries._SHOWN_CART.sql
_CART_CONSTANTS = cart_queries._SHOWN_CART.constants
_PUT = cart_operations._PUT_ITEM
_BEGIN = beginning._begin.sql
_OPEN = inserting._insert_first.sql
_OPEN_AGAIN = inserting._insert.sql
_BOUND = {"sessions_of_caller": 20, "sessions_of_address": 100, "address": None}


@app.get("/livez")
def live() -> Response:
    return _answer({"status": "alive"})


@app.post("/api/payments/webhook")
def insert_webhook() -> Response:
    row = _connection().execute(_FILE, (request.get_data(cache=False),)).fetchone()
    delivery_id = str(row[0])  # type: ignore[index]  # RETURNING gives a row
    _redis.lpush("floor", delivery_id)
    return _answer({"delivery_id": delivery_id}, 202)


@app.get("/api/cart")
def get_cart() -> Response:
    rows = _connection().execute(_CART, {**_CART_CONSTANTS, "user": _user()}).fetchall()
    items = [show_line(row[4:]) for row in rows]
    currency = items[0]["listing"]["currency"]
    return _answer({"id": rows[0][0], "items": items, "total_amount": rows[0][1], "currency": currency})


@app.post("/api/cart/items")
def put_item() -> Response:
    user, body = _user(), orjson.loads(request.get_data(cache=False))
    values = {"user": user, "listing": UUID(body["listing"]), "qty": body["qty"]}
    row = send(_connection(), _PUT, values).fetchone()
    return _answer(show_line(row[4:]), 201 if row[3] else 200)  # type: ignore[index]  # the listing is there


@app.post("/api/checkout/session")
def open_session() -> Response:
    user, body = _user(), orjson.loads(request.get_data(cache=False))
    key, cart_id, connection = request.headers["Idempotency-Key"], UUID(body["cart_id"]), _connection()
    payment_id = uuid5(_NAMESPACE, f"{user}:{key}")
    reference = f"mock_pi_{payment_id.hex}"
    begin = {
        "user_id": user,
        "idempotency_key": key,
        "cart_id": cart_id,
        "payment_id": payment_id,
        "may_hold": True,
        "expected_total": None,
        "largest": LARGEST,
        "most_of_owner": 1000,
        "most_of_address": 1000,
        **_BOUND,
    }
    with connection.cursor(row_factory=namedtuple_row) as cursor:
        lines: list[Any] = cursor.execute(_BEGIN, begin).fetchall()
    values = {
        "payment_id": payment_id,
        "user_id": user,
        "provider": "mock",
        "provider_ref": reference,
        "amount": sum(line.line_total for line in lines),
        "currency": lines[0].line_currency,
        "cart_id": cart_id,
        "generation": lines[0].generation,
        "merges": lines[0].merges,
        "idempotency_key": key,
        "request_hash": b"floor",
        "payment_token": reference,
        "lines": orjson.dumps([_sealed(line) for line in lines]).decode(),
        "ttl": _DAY,
        "held_for": _DAY,
        "buyer": None,
        "delivery_address": None,
        "trace_context": None,
        **_BOUND,
    }
    row: Any = connection.execute(_OPEN_AGAIN if lines[0].has_sessions else _OPEN, values).fetchone()
    shown = {"payment_id": str(row[0]), "payment_token": row[1], "amount": str(row[2]), "currency": row[3]}
    return _answer({**shown, "status": "pending", "provider": "mock", "expires_at": show_time(row[4])}, 201)


def _sealed(line: Any) -> dict[str, Any]:
    """As the service seals it: by the names that the database knows."""
    texts = {"unit_price": str(line.unit_price), "line_total": str(line.line_total), "qty": line.qty}
    texts |= {"currency": line.line_currency}
    names = ("listing_id", "title", "vendor_id", "vendor", "school", "spec")
    return texts | {name: getattr(line, name) for name in names}


def _user() -> UUID:
    token = request.headers["Authorization"].removeprefix("Bearer ")
    return UUID(jwt.decode(token, _SECRET, ["HS256"])["sub"])


def _connection() -> psycopg.Connection[Any]:
    if not hasattr(_own, "connection"):
        _own.connection = psycopg.connect(_DATABASE, autocommit=True)
    found: psycopg.Connection[Any] = _own.connection
    return found


def _answer(payload: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(payload), status=status, content_type="application/json")
