"""Pages that cost something to make, and large answers that nobody reads."""

from __future__ import annotations

import json
import re
import resource
import socket
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final
from uuid import uuid4

import httpx
import psutil

from checkout_service.local.purchase import customer_token
from tests.attack.attacks import Found, Values, attack
from tests.attack.neighbours import asking, customer, measured, provider, strangers
from tests.faults.stack import House, await_that
from tests.faults.wire import Threads, Wire

CONNECTIONS: Final = 30
WEBHOOKS_WITHIN: Final = 500.0
CARTS_WITHIN: Final = 1000.0
"""Milliseconds, at p99."""

LISTINGS: Final = 30_000
NAMED: Final = 1200
READERS: Final = 400
"""Of each of two large answers."""

BUYERS: Final = 20
"""Customers with full carts, of whom each reads many times at once."""

MOST_MEMORY: Final = 300.0
"""MiB that two children may take for readers: 16 each of answers, their threads, and some 170 KiB a connection in the
kernel."""


@attack("thirty connections search the shop for what is not there", quick=True, timed=True)
def searches(house: House) -> Found:
    house.sql(
        """INSERT INTO listings (vendor_id, title, unit_price, currency, active)
        SELECT vendor_id, 'Something that nobody searches for ' || number, 1, 'USD', true
        FROM (SELECT * FROM listings LIMIT 1) AS one, generate_series(1, %(number)s) AS number""",
        number=LISTINGS,
    )
    neighbours = [provider(house, payments=20), customer(house)]
    try:
        control = measured(house, neighbours, seconds=1.5)
        with strangers(asking(house, "GET", "/?q=nothing+of+the+kind"), CONNECTIONS):
            attacked = measured(house, neighbours, seconds=3)
    finally:
        house.sql("DELETE FROM listings WHERE title LIKE 'Something that nobody searches for %%'")
    return Found(control=control, attacked=attacked, held=_others_fared_well(attacked))


@attack("thirty connections look at a payment that 1,200 webhooks name")
def named_payment(house: House) -> Found:
    with httpx.Client(base_url=house.base_url, timeout=20) as browser:
        payment = _checked_out(browser)
        cookie = {"Cookie": "; ".join(f"{name}={value}" for name, value in browser.cookies.items())}
        reference = house.sql("SELECT provider_ref FROM payments WHERE id = %(id)s", id=payment.rpartition("/")[2])
        neighbours = [provider(house), customer(house)]
        control = measured(house, neighbours, seconds=10) | _one_look(browser, payment)
        body = json.dumps({"provider_ref": reference[0][0], "status": "paid", "raw_data": {}, "signature": "x"})
        _send_many(house, body.encode(), NAMED)
        pending = "SELECT count(*) FROM webhook_deliveries WHERE state = 'received'"
        await_that(lambda: house.sql(pending)[0][0] == 0, "they are rejected")
        looked = _one_look(browser, payment)
        with strangers(asking(house, "GET", payment, headers=cookie), CONNECTIONS):
            attacked = measured(house, neighbours, seconds=20) | looked
    short = float(str(looked["page_kib"])) < 64
    return Found(control=control, attacked=attacked, held=short and _others_fared_well(attacked))


@attack("eight hundred readers of large carts and documents read nothing")
def slow_readers(house: House) -> Found:
    house.sql(
        """INSERT INTO listings (vendor_id, title, unit_price, currency, active)
        SELECT vendor_id, repeat('A long title ', 30) || number, 1, 'USD', false
        FROM (SELECT * FROM listings LIMIT 1) AS one, generate_series(1, 500) AS number"""
    )
    callers = [str(uuid4()) for _ in range(BUYERS)]
    for caller in callers:
        house.sql(
            """WITH owner AS (INSERT INTO users (id) VALUES (%(id)s) RETURNING id),
            cart AS (INSERT INTO carts (user_id) SELECT id FROM owner RETURNING id)
            INSERT INTO cart_items (cart_id, listing_id, qty)
            SELECT cart.id, listing.id, 1 FROM cart,
                (SELECT id FROM listings WHERE title LIKE 'A long title %%' ORDER BY id LIMIT 500) AS listing""",
            id=caller,
        )
    neighbours = [provider(house), customer(house)]
    control = measured(house, neighbours, seconds=10)
    before = _memory(house)
    tokens = [customer_token(caller, house.environment) for caller in callers]
    with ExitStack() as stack:
        for number in range(READERS):
            stack.enter_context(_reader(house, "/api/cart", tokens[number % BUYERS]))
            stack.enter_context(_reader(house, "/api/docs/swagger-ui-bundle.js", tokens[number % BUYERS]))
        time.sleep(5)
        grown = round(_memory(house) - before, 1)
        attacked = measured(house, neighbours, seconds=20) | {"grown_mib": grown}
    return Found(control=control, attacked=attacked, held=grown < MOST_MEMORY and _others_fared_well(attacked))


def _others_fared_well(found: Values) -> bool:
    webhooks, carts = found["webhooks_p99_ms"], found["carts_p99_ms"]
    return (
        found["webhooks_other"] == 0
        and found["carts_other"] == 0
        and isinstance(webhooks, float)
        and isinstance(carts, float)
        and webhooks < WEBHOOKS_WITHIN
        and carts < CARTS_WITHIN
    )


def _one_look(browser: httpx.Client, payment: str) -> Values:
    started = time.monotonic()
    content = browser.get(payment).content
    return {"page_kib": round(len(content) / 1024, 1), "page_ms": round(1000 * (time.monotonic() - started), 1)}


def _checked_out(browser: httpx.Client) -> str:
    """Fill a cart and open a session as the shop's forms do; the path of the payment's page."""
    fields = re.findall(r'name="(csrf|listing)" value="([^"]+)"', browser.get("/").text)
    browser.post("/cart/items", data=dict(fields[:2]) | {"qty": "1"})
    form = browser.get("/cart").text.split('action="/checkout"')[1]
    onward = browser.post("/checkout", data=dict(re.findall(r'name="(csrf|key|cart|total)" value="([^"]+)"', form)[:4]))
    return onward.headers["location"].removesuffix("/leave")


def _send_many(house: House, body: bytes, number: int) -> None:
    def send(count: int) -> None:
        wire = Wire(house.address)
        for _ in range(count):
            wire.ask("POST", "/api/payments/webhook", body)
        wire.close()

    threads = Threads()
    for _ in range(8):
        threads.start(send, number // 8, name="sender")
    threads.join(within=60)


def _reader(house: House, path: str, token: str) -> socket.socket:
    """Somebody who asks and reads nothing of the answer."""
    reader = socket.socket()
    reader.settimeout(10)
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    reader.connect(house.address)
    reader.sendall(f"GET {path} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
    return reader


def _memory(house: House) -> float:
    """MiB that the web's children hold, and the kernel for all connections of this machine."""
    kernel = re.search(r"^TCP:.* mem (\d+)", Path("/proc/net/sockstat").read_text(), re.M)
    assert kernel
    children = sum(psutil.Process(child).memory_info().rss for child in house.children("web"))
    return (children + int(kernel[1]) * resource.getpagesize()) / 2**20
