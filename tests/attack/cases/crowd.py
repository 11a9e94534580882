"""Thousands who want one scarce thing in the same seconds: its pieces are sold once, and others buy as ever."""

from __future__ import annotations

import heapq
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID, uuid4

from checkout_service.local.purchase import customer_token
from tests.attack.attacks import Found, Values, attack
from tests.attack.neighbours import ANSWERED_WITHIN, measured, shopper
from tests.faults.stack import House
from tests.faults.wire import NO_ANSWER, Answer, Threads, Wire

CLIENTS: Final = 256
"""Connections that the crowd comes over at most, as through a balancer: more than the service lets wait."""

SHOPPERS: Final = 4
"""Who buy other things beside it, each 20 times a second if they can."""

BESIDE: Final = 3
"""So many times as long as the crowd takes to come: it is answered later where it comes faster than it is served."""

ALL_WITHIN: Final = 120.0
ORDINARY_LISTINGS: Final = 50
PLENTY: Final = 1_000_000

P99_OF_CONTROL: Final = 1.25
"""What others may wait beside the crowd, as a part of what they wait beside one that wants all kinds of things."""

_LISTINGS = """
    INSERT INTO listings (vendor_id, school_id, spec_id, title, unit_price, currency, stock)
    SELECT one.vendor_id, one.school_id, one.spec_id, 'Scarce, number ' || n, 20, 'USD', %(stock)s
    FROM (SELECT * FROM listings ORDER BY id LIMIT 1) AS one, generate_series(1, %(count)s) AS n
    RETURNING id
"""

_CUSTOMERS = """
    WITH customer AS (INSERT INTO users SELECT FROM generate_series(1, %(count)s) RETURNING id),
        cart AS (INSERT INTO carts (user_id) SELECT id FROM customer RETURNING id, user_id),
        item AS (
            INSERT INTO cart_items (cart_id, listing_id, qty)
            SELECT id, (CAST(%(listings)s AS uuid[]))[1 + row_number() OVER () %% %(kinds)s], 1 FROM cart
        )
    SELECT id::text, user_id FROM cart
"""

_TAKEN = """
    SELECT counter.stock, counter.reserved, coalesce(sum(hold.reserved), 0), count(session.id)
    FROM stock_counters AS counter
    LEFT JOIN holds AS hold USING (listing_id)
    LEFT JOIN checkout_sessions AS session ON session.payment_id = hold.payment_id
    WHERE counter.listing_id = %(listing)s GROUP BY counter.id
"""


@dataclass(kw_only=True)
class Crowd:
    """Customers who each ask once, and again whenever they are answered 503 or not at all."""

    customers: Sequence[tuple[bytes, dict[str, str]]]
    """The body and the headers of each one's request."""

    answers: list[Answer] = field(default_factory=list)
    repeated: int = 0

    def come(self, house: House, *, within: float) -> float:
        """All of them within so many seconds; how long it took until each had an answer."""
        began = time.monotonic()
        due = [(began + random.random() * within, number) for number in range(len(self.customers))]
        heapq.heapify(due)
        lock, left = threading.Lock(), [len(due)]

        def take() -> tuple[float, int] | None:
            with lock:
                return heapq.heappop(due) if due and due[0][0] <= time.monotonic() else None

        def work() -> None:
            wire = Wire(house.address, timeout=ANSWERED_WITHIN)
            while left[0] and time.monotonic() < began + ALL_WITHIN:
                if (next_one := take()) is None:
                    time.sleep(0.005)
                    continue
                answer = wire.ask("POST", "/api/checkout/session", *self.customers[next_one[1]])
                with lock:
                    if answer.status in {NO_ANSWER, 503}:
                        self.repeated += 1
                        pause = float(answer.headers.get("retry-after", 1)) * random.uniform(1, 1.5)
                        heapq.heappush(due, (time.monotonic() + pause, next_one[1]))
                    else:
                        self.answers.append(answer)
                        left[0] -= 1
            wire.close()

        threads = Threads()
        for number in range(min(CLIENTS, 1 + len(self.customers) // 5)):
            threads.start(work, name=f"client {number}")
        threads.join(within=ALL_WITHIN + 2 * ANSWERED_WITHIN)
        return time.monotonic() - began

    def values(self, listing: UUID | None = None) -> dict[str, str | float | int | bool | None]:
        """How often each answer was given; a clean 409 names the one line that is short, and that nothing is left."""
        short = [{"listing": str(listing), "wanted": 1, "available": 0}]
        statuses = Counter(answer.status for answer in self.answers)
        return {
            "opened": statuses.pop(201, 0),
            "sold_out": sum(
                answer.json()["type"].endswith("/out-of-stock") and answer.json()["lines"] == short
                for answer in self.answers
                if answer.status == 409
            ),
            "conflicts": statuses.pop(409, 0),
            "other_statuses": " ".join(f"{count} times {status}" for status, count in sorted(statuses.items())),
            "repeated": self.repeated,
        }


@attack("5,000 customers within 5 s want 100 pieces")
def many_want_one_thing(house: House) -> Found:
    kinds = _listings(house, ORDINARY_LISTINGS, PLENTY)
    usual = measured(house, [shopper(house)] * SHOPPERS, seconds=5)
    control = {"alone_p99_ms": usual["sessions_p99_ms"]} | _rushed(house, _crowd(house, kinds, 5000), within=5)
    (listing,) = _listings(house, 1, 100)
    attacked = _rushed(house, _crowd(house, [listing], 5000), within=5, listing=listing)
    usually, now = control["sessions_p99_ms"], attacked["sessions_p99_ms"]
    held = isinstance(usually, float) and isinstance(now, float) and now <= P99_OF_CONTROL * usually
    return Found(control=control, attacked=attacked, held=held and _sold_once(house, attacked, listing, 100, 5000))


@attack("300 customers at once want 10 pieces", quick=True)
def some_want_one_thing(house: House) -> Found:
    (listing,) = _listings(house, 1, 10)
    control = measured(house, [shopper(house)] * SHOPPERS, seconds=1)
    attacked = _rushed(house, _crowd(house, [listing], 300), within=1, listing=listing)
    return Found(control=control, attacked=attacked, held=_sold_once(house, attacked, listing, 10, 300))


def _rushed(
    house: House, crowd: Crowd, *, within: float, listing: UUID | None = None
) -> dict[str, str | float | int | bool | None]:
    """What the crowd got, and what a shopper of other things got while it came."""
    took: list[float] = []
    threads = Threads()
    threads.start(lambda: took.append(crowd.come(house, within=within)), name="crowd")
    beside = measured(house, [shopper(house)] * SHOPPERS, seconds=BESIDE * within)
    threads.join(within=ALL_WITHIN + 4 * ANSWERED_WITHIN)
    return crowd.values(listing) | {"seconds": round(took[0], 1)} | dict(beside)


def _sold_once(house: House, found: Values, listing: UUID, pieces: int, customers: int) -> bool:
    """Exactly so many opened a session, and each other one was told that nothing is left; the tables say the same."""
    taken = house.sql(_TAKEN, listing=listing)
    return (
        (found["opened"], found["sold_out"], found["conflicts"]) == (pieces, customers - pieces, customers - pieces)
        and found["other_statuses"] == ""
        and bool(found["sessions_good"])
        and taken == [(pieces, pieces, pieces, pieces)]
    )


def _listings(house: House, count: int, stock: int) -> list[UUID]:
    return [listing for (listing,) in house.sql(_LISTINGS, count=count, stock=stock)]


def _crowd(house: House, listings: Sequence[UUID], count: int) -> Crowd:
    """So many customers, each at an address of their own, with one piece of one of the listings in the cart."""
    made = house.sql(_CUSTOMERS, count=count, listings=list(listings), kinds=len(listings))
    return Crowd(
        customers=[
            (
                json.dumps({"cart_id": cart}).encode(),
                {
                    "Authorization": f"Bearer {customer_token(customer, house.environment)}",
                    "Idempotency-Key": str(uuid4()),
                    "X-Forwarded-For": f"198.18.{number // 250}.{number % 250 + 1}",
                },
            )
            for number, (cart, customer) in enumerate(made)
        ]
    )
