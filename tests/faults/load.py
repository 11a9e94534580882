"""A steady load: customers who buy, and the mock provider that reports on each payment several times.

Each payment's webhooks come in no order, some twice as the same bytes, some twice as other bytes about the same event,
failures after the money. Half of the customers want something scarce as well, which is sold out soon. Who got no
answer, or 503, asks again with the same bytes.
"""

from __future__ import annotations

import heapq
import itertools
import json
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import uuid4

from checkout_service.local.purchase import customer_token
from checkout_service.payments.status import PaymentStatus
from checkout_service.providers.adapters.mock.provider import sign
from tests.faults.journal import Journal, Key, Taken
from tests.faults.wire import Answer, Balancer, Threads, Wire

AGAIN_AFTER = 0.3
"""Seconds until a refused webhook is delivered again.

Providers wait longer, which would only make the rounds longer.
"""

SPREAD = 0.8
"""Seconds over which a payment's webhooks are spread, so that they meet those of others."""

SCARCE_PART = 0.5
"""Of the carts have some of each scarce listing."""

SENDERS = 8
BUYERS = 2

Webhook = tuple[float, int, float, str, str, PaymentStatus, bytes]
"""When it is due, its number, when it was first, and what it is."""


class Load:
    """Runs in threads of this process until it is told that it is enough; then delivers what is still pending."""

    def __init__(
        self,
        connect: Callable[[], Wire | Balancer],
        environment: Mapping[str, str],
        listing: str,
        *,
        payments_a_second: float,
        scarce: Sequence[str] = (),
        reads_may_be_old: bool = False,
    ) -> None:
        self.journal = Journal()
        self._connect = connect
        self._environment = environment
        self._listing = listing
        self._scarce = scarce
        self._reads_may_be_old = reads_may_be_old
        self._pause = BUYERS / payments_a_second
        self._enough = threading.Event()
        self._hopeless = threading.Event()
        self._buyers = Threads()
        self._senders = Threads()
        self._webhooks: list[Webhook] = []
        self._lock = threading.Lock()
        self._number = itertools.count()
        self._undelivered = 0
        self._buying = BUYERS

    def start(self) -> None:
        for number in range(BUYERS):
            self._buyers.start(self._buy, name=f"buyer {number}")
        for number in range(SENDERS):
            self._senders.start(self._deliver, name=f"sender {number}")

    def finish(self, *, within: float) -> Journal:
        """Buy no more, deliver all. Raises TimeoutError when something is still refused after that time."""
        self._enough.set()
        try:
            self._buyers.join(within=within)
            self._senders.join(within=within)
        finally:
            self._hopeless.set()
        return self.journal

    def deliver_again(self, again: Sequence[Taken]) -> None:
        """These webhooks come once more, as from a provider that is asked to send them."""
        now = time.monotonic()
        with self._lock:
            for one in again:
                self._put(now, now, one.token, one.event, one.status, one.body)
            self._undelivered += len(again)

    def _buy(self) -> None:
        wire = self._connect()
        following = time.monotonic()
        try:
            while not self._enough.is_set():
                self._buy_one(wire)
                following = max(following + self._pause, time.monotonic() - 1)
                self._enough.wait(max(0.0, following - time.monotonic()))
        finally:
            wire.close()
            with self._lock:
                self._buying -= 1

    def _buy_one(self, wire: Wire | Balancer) -> None:
        caller = {"Authorization": f"Bearer {customer_token(uuid4(), self._environment)}"}
        bought = [(self._listing, random.randint(1, 9))]
        bought += [(listing, random.randint(1, 3)) for listing in self._scarce if random.random() < SCARCE_PART]
        for listing, qty in bought:
            item = json.dumps({"listing": listing, "qty": qty}).encode()
            self._insist(wire, "POST", "/api/cart/items", item, caller, 201, 200)
        cart = self._insist(wire, "GET", "/api/cart", None, caller, 200).json()
        body = json.dumps({"cart_id": cart["id"]}).encode()
        headers = caller | {"Idempotency-Key": str(uuid4())}
        expected = (201, 409) if len(bought) > 1 else (201,)
        expected += (404, 422) if self._reads_may_be_old else ()
        answer = self._insist(wire, "POST", "/api/checkout/session", body, headers, *expected)
        if answer.status == 409:
            self.journal.refused(answer)
            return
        if answer.status in {
            404,
            422,
        }:  # the cart was read at a server that was left, or is lost: its customer begins anew
            self.journal.old_reads += 1
            return
        session = answer.json()
        self.journal.opened(
            session["payment_token"], Key(headers=headers, body=body, answer=session, moment=time.monotonic())
        )
        self._report(session)

    def _report(self, session: Mapping[str, Any]) -> None:
        """Plan the webhooks about a payment."""
        statuses = [PaymentStatus.PROCESSING, PaymentStatus.FAILED]
        money = ([PaymentStatus.PAID], [PaymentStatus.PAID, PaymentStatus.REVERSED], [])
        statuses += random.choices(money, (8, 1, 1))[0]
        planned = []
        for status in statuses:
            event = f"evt_{uuid4().hex}"
            webhooks = [self._webhook(session, status, event, delivery=1)]
            webhooks += random.choices([[], webhooks, [self._webhook(session, status, event, delivery=2)]], [4, 1, 1])[
                0
            ]
            planned += [(event, status, webhook) for webhook in webhooks]
        random.shuffle(planned)
        now = time.monotonic()
        with self._lock:
            for event, status, webhook in planned:
                due = now + random.random() * SPREAD
                self._put(due, due, session["payment_token"], event, status, webhook)
            self._undelivered += len(planned)

    def _webhook(self, session: Mapping[str, Any], status: PaymentStatus, event: str, *, delivery: int) -> bytes:
        details = {"event_id": event, "delivery": delivery}
        details |= {"amount": session["amount"], "currency": session["currency"]}
        secret = self._environment["MOCK_WEBHOOK_SECRETS"]
        unsigned = {"provider_ref": session["payment_token"], "status": status.value, "raw_data": details}
        return json.dumps(sign(unsigned, secret)).encode()

    def _deliver(self) -> None:
        wire = self._connect()
        try:
            while not self._hopeless.is_set():
                webhook = self._next()
                if webhook is None:
                    if self._all_delivered():
                        return
                    time.sleep(0.005)
                    continue
                _, _, first, token, event, status, body = webhook
                answer = wire.ask("POST", "/api/payments/webhook", body)
                self.journal.note("a webhook", answer, 202)
                if answer.status == 202:
                    self.journal.waited(time.monotonic() - first)
                    self.journal.promised(token, event, status, answer.json()["delivery_id"], body)
                with self._lock:
                    if answer.status == 202:
                        self._undelivered -= 1
                    else:
                        self._put(time.monotonic() + AGAIN_AFTER, first, token, event, status, body)
        finally:
            wire.close()

    def _insist(
        self, wire: Wire | Balancer, method: str, path: str, body: bytes | None, headers: dict[str, str], *expected: int
    ) -> Answer:
        """Ask until there is an answer; a customer's client repeats what may be repeated."""
        first = time.monotonic()
        while not self._hopeless.is_set():
            answer = wire.ask(method, path, body, headers)
            self.journal.note(f"{method} {path}", answer, *expected)
            if answer.status in expected:
                self.journal.waited(time.monotonic() - first)
                return answer
            time.sleep(AGAIN_AFTER)
        raise TimeoutError(f"{method} {path} was never answered with {expected}")

    def _put(self, due: float, first: float, token: str, event: str, status: PaymentStatus, body: bytes) -> None:
        heapq.heappush(self._webhooks, (due, next(self._number), first, token, event, status, body))

    def _next(self) -> Webhook | None:
        with self._lock:
            if self._webhooks and self._webhooks[0][0] <= time.monotonic():
                return heapq.heappop(self._webhooks)
        return None

    def _all_delivered(self) -> bool:
        with self._lock:
            return not self._buying and not self._undelivered
