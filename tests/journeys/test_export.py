"""The orders' file from a real web process: whole, while others are served; and broken where it is not whole."""

from __future__ import annotations

import csv
import io
import os
import signal
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import jwt
import pytest

from tests.journeys.conftest import Town, eventually
from tests.journeys.test_web_process import Web

ORDERS = 6_000
PATH = "/api/admin/orders.csv"


@pytest.fixture
def web(town: Town) -> Iterator[Web]:
    web = Web(dict(town.environment))
    try:
        eventually(web.is_alive)
        yield web
    finally:
        if web.process.poll() is None:
            os.killpg(web.process.pid, signal.SIGKILL)
        web.process.communicate()


@pytest.fixture
def staff(town: Town) -> dict[str, str]:
    claims = {"sub": str(uuid4()), "scope": "refunds", "exp": datetime.now(UTC) + timedelta(hours=1)}
    for claim, name in (("aud", "JWT_AUDIENCE"), ("iss", "JWT_ISSUER")):
        if town.environment.get(name):
            claims[claim] = town.environment[name]
    return {"Authorization": f"Bearer {jwt.encode(claims, town.environment['JWT_SECRET'], 'HS256')}"}


@pytest.fixture
def customer_of_many(town: Town) -> Iterator[str]:
    """Somebody with so many orders of one long line each; they are gone afterwards."""
    user = str(uuid4())
    off, on = "SET session_replication_role = replica;", "; RESET session_replication_role"
    for statement in (
        f"""INSERT INTO payments (id, user_id, provider, provider_ref, amount, currency, status, amount_captured)
        SELECT md5('{user}' || n)::uuid, '{user}', 'mock', '{user}' || n, 30, 'USD', 'paid', 30
        FROM generate_series(1, {ORDERS}) AS n""",
        f"""INSERT INTO orders (session_id, payment_id, cart_id, generation, user_id, amount, currency, number)
        SELECT uuidv7(), id, uuidv7(), 1, user_id, 30, 'USD', 9000000 + row_number() OVER ()
        FROM payments WHERE user_id = '{user}'""",
        f"""INSERT INTO order_lines (order_id, place, listing_id, title, qty, unit_price, line_total)
        SELECT id, 1, uuidv7(), repeat('A long title. ', 80), 1, 30, 30 FROM orders WHERE user_id = '{user}'""",
    ):
        town.sql(off + statement + on)
    yield user
    for statement in (
        f"DELETE FROM order_lines WHERE order_id IN (SELECT id FROM orders WHERE user_id = '{user}')",
        f"DELETE FROM orders WHERE user_id = '{user}'",
        f"DELETE FROM payments WHERE user_id = '{user}'",
    ):
        town.sql(off + statement + on)


def test_a_file_beyond_every_buffer_arrives_whole(web: Web, staff: dict[str, str], customer_of_many: str) -> None:
    answer = httpx.get(
        f"http://127.0.0.1:{web.port}{PATH}", params={"customer": customer_of_many}, headers=staff, timeout=60
    )

    assert answer.status_code == 200
    assert len(answer.content) == int(answer.headers["Content-Length"]) > 6_000_000
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert len({row["order_id"] for row in rows}) == len(rows) == ORDERS


def test_a_file_that_its_process_does_not_end_is_broken_to_its_reader(
    web: Web, staff: dict[str, str], customer_of_many: str
) -> None:
    (child,) = web.children()
    with (
        httpx.Client(base_url=f"http://127.0.0.1:{web.port}", headers=staff, timeout=60) as client,
        client.stream("GET", PATH, params={"customer": customer_of_many}) as answer,
    ):
        assert answer.status_code == 200
        pieces = answer.iter_raw(1024)
        next(pieces)
        eventually(web.is_alive)  # others are served while it is read
        child.kill()
        with pytest.raises(httpx.TransportError):
            deque(pieces, maxlen=0)
