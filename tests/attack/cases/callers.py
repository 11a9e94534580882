"""One caller who wants everything: all places at a provider, and sessions without end."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from uuid import uuid4

from checkout_service.local.mock_server import MockServer
from checkout_service.local.mock_state import Behaviour
from checkout_service.local.purchase import customer_token
from checkout_service.local.servers import free_port
from tests.attack.attacks import Found, Values, attack
from tests.attack.neighbours import ANSWERED_WITHIN, measured, shopper, strangers
from tests.faults.stack import House
from tests.faults.wire import NO_ANSWER, Threads, Wire

PROVIDER: Final = free_port()

PROVIDER_SECONDS: Final = 1.0
"""How long the provider takes for each answer."""

DEMANDING: Final = 140
"""Requests of one customer at once; the two web children have 128 places at providers."""

ADDRESS: Final = "198.51.100.1"
MOST_OF_CUSTOMER: Final = 20
MOST_OF_ADDRESS: Final = 100
AT_ONCE: Final = 4


@attack(
    "one customer opens 140 sessions at once at a slow provider",
    MOCK_API_BASE=f"http://127.0.0.1:{PROVIDER}",
    OPEN_SESSIONS_PER_CUSTOMER="1000000",
    SESSIONS_PER_CALLER_PER_MINUTE="0",
)
def places_at_a_provider(house: House) -> Found:
    neighbours = [shopper(house)]
    caller = {"Authorization": f"Bearer {customer_token(uuid4(), house.environment)}"}
    body = _cart(Wire(house.address), house.listing(), caller)

    def demand(over: threading.Event, _number: int) -> None:
        wire = Wire(house.address, timeout=ANSWERED_WITHIN)
        while not over.is_set():
            answer = wire.ask("POST", "/api/checkout/session", body, caller | {"Idempotency-Key": str(uuid4())})
            if answer.status in {NO_ANSWER, 429}:
                over.wait(0.5)
        wire.close()

    with _slow_provider():
        control = measured(house, neighbours, seconds=10)
        with strangers(demand, DEMANDING):
            attacked = measured(house, neighbours, seconds=20)
    held = attacked["sessions_other"] == 0 and bool(attacked["sessions_good"])
    return Found(control=control, attacked=attacked, held=held)


@attack("one customer, and many from one address, open sessions without end", quick=True)
def open_sessions(house: House) -> Found:
    listing = house.listing()
    control = {"neighbour": _buy(house, listing, _token(house), "203.0.113.1")}
    alone = _token(house)
    of_customer = _counted(house, listing, [alone] * (MOST_OF_CUSTOMER + 10), "203.0.113.2")
    # Each has the older ones of its cart canceled, and what is canceled is open no more.
    open_of_customer = _open_payments(house, alone)
    of_address = _counted(house, listing, [_token(house) for _ in range(MOST_OF_ADDRESS + 20)], ADDRESS)
    # What a caller writes into the header themselves makes nobody another.
    pretended = _buy(house, listing, _token(house), f"203.0.113.77, {ADDRESS}")
    neighbour = _buy(house, listing, _token(house), "203.0.113.3")
    attacked: Values = {
        "of_customer": of_customer,
        "open_of_customer": open_of_customer,
        "of_address": of_address,
        "pretended": pretended,
        "neighbour": neighbour,
    }
    held = (
        of_customer >= MOST_OF_CUSTOMER
        and open_of_customer < MOST_OF_CUSTOMER + AT_ONCE
        and MOST_OF_ADDRESS <= of_address < MOST_OF_ADDRESS + AT_ONCE
        and (pretended, neighbour) == (429, 201)
    )
    return Found(control=control, attacked=attacked, held=held)


def _token(house: House) -> str:
    return customer_token(uuid4(), house.environment)


def _counted(house: House, listing: str, tokens: list[str], address: str) -> int:
    """How many of these sessions were opened, some asked for at once."""
    opened: list[int] = []

    def work(number: int) -> None:
        opened.extend(_buy(house, listing, token, address) for token in tokens[number::AT_ONCE])

    threads = Threads()
    for number in range(AT_ONCE):
        threads.start(work, number, name=f"buyer {number}")
    threads.join(within=60)
    assert set(opened) <= {201, 429}, sorted(set(opened))
    return opened.count(201)


def _buy(house: House, listing: str, token: str, address: str) -> int:
    """The status of a session that this customer asked for from that address."""
    wire = Wire(house.address, timeout=ANSWERED_WITHIN)
    caller = {"Authorization": f"Bearer {token}", "X-Forwarded-For": address}
    body = _cart(wire, listing, caller)
    answer = wire.ask("POST", "/api/checkout/session", body, caller | {"Idempotency-Key": str(uuid4())})
    wire.close()
    return answer.status


def _open_payments(house: House, token: str) -> int:
    """How many of this customer's payments may still be paid."""
    wire = Wire(house.address, timeout=ANSWERED_WITHIN)
    answer = wire.ask("GET", "/api/payments?limit=100", headers={"Authorization": f"Bearer {token}"})
    wire.close()
    return sum(payment["status"] == "pending" for payment in answer.json()["data"])


def _cart(wire: Wire, listing: str, caller: dict[str, str]) -> bytes:
    """What asks for a session of the caller's cart, with something in it."""
    item = json.dumps({"listing": listing, "qty": 1}).encode()
    wire.ask("POST", "/api/cart/items", item, caller)
    return json.dumps({"cart_id": wire.ask("GET", "/api/cart", headers=caller).json()["id"]}).encode()


@contextmanager
def _slow_provider() -> Iterator[None]:
    """The mock provider's server, which the deployment is set up with."""
    with MockServer(PROVIDER) as server:
        server.bank.behave(Behaviour(seconds=PROVIDER_SECONDS))
        threading.Thread(target=server.serve_forever, args=(0.05,), name="provider", daemon=True).start()
        yield
        server.shutdown()
