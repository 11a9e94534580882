"""What was promised: written down by the clients as answers arrive, held against the database afterwards."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from checkout_service.payments.status import PaymentStatus
from tests.faults.wire import Answer


@dataclass(frozen=True, kw_only=True)
class Key:
    """An Idempotency-Key that was answered 201, and how to ask with it again."""

    headers: dict[str, str]
    body: bytes
    answer: dict[str, Any]
    moment: float = 0.0
    """When it was answered, by the monotonic clock."""


class Taken(NamedTuple):
    """A webhook that was answered 202: when, by the monotonic clock, and what it says."""

    moment: float
    delivery: str
    token: str
    event: str
    status: PaymentStatus
    body: bytes


@dataclass(kw_only=True)
class Journal:
    """One round's promises. ``events`` holds, by payment token, each verified event and the status that it proves."""

    events: dict[str, dict[str, PaymentStatus]] = field(default_factory=dict)
    deliveries: set[str] = field(default_factory=set)
    keys: list[Key] = field(default_factory=list)
    sold_out: int = 0
    old_reads: int = 0
    """Sessions that were refused since a read before them came from a server that is cut off from the primary."""
    taken: list[Taken] = field(default_factory=list)
    refusals: frozenset[int] = frozenset({0, 503})
    """After which a client asks again."""
    answers: Counter[int] = field(default_factory=Counter)
    slowest: float = 0.0
    wrong: list[str] = field(default_factory=list)
    acknowledged: list[float] = field(default_factory=list)
    """When something was answered 201 or 202, by the monotonic clock."""
    waits: list[float] = field(default_factory=list)
    """Seconds from the first try to such an answer, a request."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, what: str, answer: Answer, *expected: int) -> None:
        """Count an answer. No answer and 503 with Retry-After are what a client expects of a house on fire."""
        with self.lock:
            self.answers[answer.status] += 1
            self.slowest = max(self.slowest, answer.seconds)
            if answer.status in expected and answer.status in {201, 202}:
                self.acknowledged.append(time.monotonic())
            if answer.status == 503 and "retry-after" not in answer.headers:
                self.wrong.append(f"{what} was answered 503 without Retry-After")
            if answer.status not in {*self.refusals, *expected}:
                self.wrong.append(f"{what} was answered {answer.status}: {answer.body[:300]!r}")

    def waited(self, seconds: float) -> None:
        """A request came through, so long after it was first sent."""
        with self.lock:
            self.waits.append(seconds)

    def opened(self, token: str, key: Key) -> None:
        with self.lock:
            self.events[token] = {}
            self.keys.append(key)

    def refused(self, answer: Answer) -> None:
        """A session that was refused with 409: because something was sold out, and for nothing else."""
        with self.lock:
            self.sold_out += 1
            if not answer.json().get("type", "").endswith("/out-of-stock"):
                self.wrong.append(f"a session was refused: {answer.body[:300]!r}")

    def promised(self, token: str, event_id: str, status: PaymentStatus, delivery_id: str, body: bytes = b"") -> None:
        with self.lock:
            self.events[token][event_id] = status
            self.deliveries.add(delivery_id)
            taken = Taken(time.monotonic(), delivery_id, token, event_id, status, body)
            self.taken.append(taken)

    def forget_lost(self, tokens: Collection[str], deliveries: Collection[str]) -> None:
        """Payments and deliveries that are lost, as is known: nothing is held against the database for them."""
        with self.lock:
            self.events = {token: events for token, events in self.events.items() if token not in tokens}
            self.keys = [key for key in self.keys if key.answer["payment_token"] not in tokens]
            self.deliveries.difference_update(deliveries, (one.delivery for one in self.taken if one.token in tokens))

    def status_of(self, token: str) -> PaymentStatus:
        """The greatest status of the payment's verified events."""
        return max(self.events[token].values(), default=PaymentStatus.PENDING)

    @property
    def redelivered(self) -> int:
        return self.answers[0] + self.answers[503]
