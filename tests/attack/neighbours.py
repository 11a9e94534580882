"""Those whom an attack must cost nothing: a provider that reports, and customers who look at carts and buy."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final
from uuid import uuid4

from checkout_service.local.purchase import customer_token
from tests.attack.attacks import Values
from tests.faults.flood import insert_payments, verified
from tests.faults.stack import House
from tests.faults.wire import NO_ANSWER, Answer, Headers, Threads, Wire

A_SECOND: Final = 20.0
"""So often each neighbour asks."""

ANSWERED_WITHIN: Final = 20.0


@dataclass(kw_only=True)
class Neighbour:
    """One who asks the same again and again, and how that went: seconds by status, in the order of asking."""

    name: str
    good: int
    ask: Callable[[Wire], Answer]
    answers: list[tuple[int, float]] = field(default_factory=list)

    def values(self) -> Values:
        """For a line of JSON. Milliseconds are those of good answers."""
        good = sorted(seconds for status, seconds in self.answers if status == self.good)
        worst = sorted({status for status, _ in self.answers if status != self.good})
        return {
            f"{self.name}_good": len(good),
            f"{self.name}_other": len(self.answers) - len(good),
            f"{self.name}_statuses": " ".join("none" if status == NO_ANSWER else str(status) for status in worst),
            f"{self.name}_p50_ms": _percentile(good, 0.5),
            f"{self.name}_p99_ms": _percentile(good, 0.99),
        }


def provider(house: House, *, payments: int = 200) -> Neighbour:
    """The mock provider, which reports verified payments; a webhook each."""
    tokens = itertools.cycle(insert_payments(house, payments))
    return Neighbour(
        name="webhooks",
        good=202,
        ask=lambda wire: wire.ask("POST", "/api/payments/webhook", verified(house, next(tokens))),
    )


def customer(house: House) -> Neighbour:
    """A customer who looks at their cart."""
    caller = {"Authorization": f"Bearer {customer_token(uuid4(), house.environment)}"}
    return Neighbour(name="carts", good=200, ask=lambda wire: wire.ask("GET", "/api/cart", headers=caller))


def shopper(house: House) -> Neighbour:
    """Somebody who opens a checkout session, each time as another customer."""
    listing = house.listing()

    def buy(wire: Wire) -> Answer:
        caller = {"Authorization": f"Bearer {customer_token(uuid4(), house.environment)}"}
        item = json.dumps({"listing": listing, "qty": 1}).encode()
        added = wire.ask("POST", "/api/cart/items", item, caller)
        if added.status != 201:
            return added
        seen = wire.ask("GET", "/api/cart", headers=caller)
        if seen.status != 200:
            return seen
        cart = json.dumps({"cart_id": seen.json()["id"]}).encode()
        return wire.ask("POST", "/api/checkout/session", cart, caller | {"Idempotency-Key": str(uuid4())})

    return Neighbour(name="sessions", good=201, ask=buy)


def measured(house: House, neighbours: Sequence[Neighbour], *, seconds: float) -> Values:
    """What these neighbours get in so many seconds."""
    over = time.monotonic() + seconds
    threads = Threads()
    for neighbour in neighbours:
        neighbour.answers.clear()
        threads.start(_ask_until, house, neighbour, over, name=neighbour.name)
    threads.join(within=seconds + 2 * ANSWERED_WITHIN)
    found: dict[str, str | float | int | bool | None] = {}
    for neighbour in neighbours:
        found |= neighbour.values()
    return found


@contextmanager
def strangers(work: Callable[[threading.Event, int], None], count: int) -> Iterator[None]:
    """So many threads that attack until the block ends; each is given the event of that, and its number."""
    over = threading.Event()
    threads = Threads()
    for number in range(count):
        threads.start(work, over, number, name=f"stranger {number}")
    try:
        yield
    finally:
        over.set()
        threads.join(within=60)


def asking(
    house: House, method: str, path: str, *, body: bytes | None = None, headers: Headers | None = None
) -> Callable[[threading.Event, int], None]:
    """Strangers' work: ask this again and again over one connection."""

    def work(over: threading.Event, _number: int) -> None:
        wire = Wire(house.address, timeout=ANSWERED_WITHIN)
        while not over.is_set():
            if wire.ask(method, path, body, headers).status == NO_ANSWER:
                over.wait(0.05)
        wire.close()

    return work


def _ask_until(house: House, neighbour: Neighbour, over: float) -> None:
    wire = Wire(house.address, timeout=ANSWERED_WITHIN)
    following = time.monotonic()
    while time.monotonic() < over:
        answer = neighbour.ask(wire)
        neighbour.answers.append((answer.status, answer.seconds))
        following = max(following + 1 / A_SECOND, time.monotonic() - 1)
        time.sleep(max(0.0, following - time.monotonic()))
    wire.close()


def _percentile(ordered: Sequence[float], part: float) -> float | None:
    return round(1000 * ordered[min(len(ordered) - 1, int(len(ordered) * part))], 1) if ordered else None
