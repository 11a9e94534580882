"""Floods.

Unverified webhooks at full speed with verified ones in between, and a backlog that grew while nobody worked.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from uuid import uuid4

from checkout_service.providers.adapters.mock.provider import sign
from tests.faults.invariant import await_final
from tests.faults.stack import House
from tests.faults.wire import Threads, Wire

STRANGERS = 4
VERIFIED_A_SECOND = 10.0
WEBHOOK_PATH = "/api/payments/webhook"

_INSERT_PAYMENTS = """
    WITH owner AS (INSERT INTO users DEFAULT VALUES RETURNING id)
    INSERT INTO payments (user_id, provider, provider_ref, amount, currency)
    SELECT owner.id, %(provider)s, token, 40, 'USD' FROM owner, unnest(%(tokens)s::text[]) AS token
"""
_LAGS = """
    SELECT extract(epoch FROM webhook.processed_at - webhook.received_at)::float8
    FROM webhook_deliveries AS webhook
    WHERE webhook.provider_ref = ANY(%(tokens)s) AND webhook.state = 'applied' ORDER BY 1
"""
_REJECTED = "SELECT count(*), coalesce(sum(octet_length(body)), 0) FROM webhook_deliveries WHERE state = 'rejected'"


@dataclass(kw_only=True)
class Figures:
    """What came of a flood."""

    unverified: int
    seconds: float
    verified: int
    lags: list[float]
    rejected_rows: int
    rejected_bytes: int
    dropped: int
    statuses: Mapping[int, int] = field(default_factory=dict)

    @property
    def p99(self) -> float:
        return self.lags[min(len(self.lags) - 1, int(len(self.lags) * 0.99))]

    def lines(self) -> Iterator[str]:
        rate = self.unverified / self.seconds
        yield f"- {self.unverified:,} unverified webhooks in {self.seconds:.0f} s ({rate:,.0f} a second):"
        yield f"  {self.rejected_rows:,} kept as rejected, {self.dropped:,} dropped and counted;"
        yield f"  {self.verified:,} verified ones in between were applied within {self.p99:.2f} s at p99,"
        yield f"  {self.lags[-1]:.2f} s at most."


def insert_payments(house: House, count: int, *, provider: str = "mock") -> list[str]:
    """Payments of nobody in particular; their tokens."""
    tokens = [f"{provider}_pi_{uuid4().hex}" for _ in range(count)]
    house.sql(_INSERT_PAYMENTS, provider=provider, tokens=tokens)
    return tokens


def verified(house: House, token: str) -> bytes:
    """A signed webhook that says the payment is paid."""
    secret = house.environment["MOCK_WEBHOOK_SECRETS"]
    details = {"event_id": f"evt_{uuid4().hex}", "amount": "40.00", "currency": "USD"}
    return json.dumps(sign({"provider_ref": token, "status": "paid", "raw_data": details}, secret)).encode()


def unverified(number: int) -> bytes:
    """A well-formed webhook, each another, about no payment, whose signature is a guess."""
    return (
        f'{{"provider_ref": "mock_pi_{number:032x}", "status": "paid", "signature": "{number:064x}", '
        f'"raw_data": {{"event_id": "evt_unverified_{number}", "amount": "40.00", "currency": "USD"}}}}'
    ).encode()


def dropped_so_far(house: House) -> float:
    """The metric that counts rejected webhooks that were not kept."""
    wire = Wire(("127.0.0.1", int(house.environment["WORKER_METRICS_PORT"])))
    lines = wire.ask("GET", "/metrics").body.decode().splitlines()
    wire.close()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("webhook_deliveries_dropped_total"))


class Flood:
    """So many unverified webhooks, as fast as they are taken."""

    def __init__(self, house: House, count: int) -> None:
        self._house = house
        self._count = count
        self._sent = 0
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._statuses: dict[int, int] = {}

    def run(self, *, within: float) -> Figures:
        """Send them all with verified webhooks in between, and return when the last verified one was answered."""
        before = dropped_so_far(self._house)
        strangers, provider = Threads(), Threads()
        started = time.monotonic()
        for number in range(STRANGERS):
            strangers.start(self._sign_wrongly, name=f"stranger {number}")
        paid: list[str] = []
        provider.start(self._pay, paid, name="provider")
        strangers.join(within=within)
        seconds = time.monotonic() - started
        self._over.set()
        provider.join(within=60)
        return self._figures(paid, seconds, before)

    def _figures(self, paid: list[str], seconds: float, before: float) -> Figures:
        _, pending = await_final(self._house)
        assert not pending
        lags = [lag for (lag,) in self._house.sql(_LAGS, tokens=paid)]
        ((rows, size),) = self._house.sql(_REJECTED)
        return Figures(
            unverified=self._count,
            seconds=seconds,
            verified=len(paid),
            lags=lags,
            rejected_rows=rows,
            rejected_bytes=size,
            dropped=int(dropped_so_far(self._house) - before),
            statuses=self._statuses,
        )

    def _sign_wrongly(self) -> None:
        wire = Wire(self._house.address)
        while True:
            with self._lock:
                if self._sent >= self._count:
                    break
                self._sent += 1
                number = self._sent
            status = wire.ask("POST", WEBHOOK_PATH, unverified(number)).status
            with self._lock:
                self._statuses[status] = self._statuses.get(status, 0) + 1
        wire.close()

    def _pay(self, paid: list[str]) -> None:
        wire = Wire(self._house.address)
        while not self._over.wait(1 / VERIFIED_A_SECOND):
            (token,) = insert_payments(self._house, 1)
            body = verified(self._house, token)
            while wire.ask("POST", WEBHOOK_PATH, body).status != 202:
                time.sleep(0.1)
            paid.append(token)
        wire.close()
