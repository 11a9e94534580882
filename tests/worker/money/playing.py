"""Plays what a provider reports of a payment in every order, each webhook twice, with a restart between.

Every order has a payment of its own, and all payments go through the worker side by side: half of them one webhook at a
time, half with all their webhooks in one set. However they went, they must end alike.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from decimal import Decimal
from itertools import permutations
from typing import Any, Final
from uuid import UUID, uuid4

from checkout_service.providers.base import Provider
from tests.conftest import Sql
from tests.providers.kits.kit import SignedWebhook
from tests.worker.conftest import MakeWorker
from worker.webhooks.task import process

ALL_ORDERS_OF: Final = 4
"""Webhooks; of more a sample of orders is played, always the same."""
SAMPLE: Final = 24


@dataclass(frozen=True, kw_only=True)
class Copy:
    """One payment of a scenario. ``copy("ch_1")`` is a name that no other payment's webhooks have."""

    number: int
    payment_id: UUID

    def __call__(self, name: str) -> str:
        return f"{name}{self.number:03}"


Step = Callable[[Copy], SignedWebhook | None]
"""Something that happens to a payment at its provider, and the webhook that reports it; None where none does."""


@dataclass(frozen=True, kw_only=True)
class Ending:
    """What a payment came to. Of captures amount and status, of refunds likewise, of disputes stage, status and step.

    ``refundable`` is what a request may still give back, ``unsettled`` the states of webhooks that are not done.
    """

    status: str
    reasons: str | None
    captured: Decimal
    lost: Decimal
    blocked: Decimal
    authorized: Decimal
    refunded: Decimal
    refundable: Decimal
    under_way: bool
    captures: tuple[tuple[Decimal, str], ...]
    refunds: tuple[tuple[Decimal, str], ...]
    disputes: tuple[tuple[str, str, int], ...]
    unsettled: tuple[str, ...]


class Player:
    """Plays scenarios with workers of its own; ``close`` it."""

    def __init__(self, sql: Sql, make_worker: MakeWorker) -> None:
        self._sql = sql
        self._make_worker = make_worker
        self._context = ExitStack()
        self._number = 0

    def play(
        self,
        provider: Provider,
        steps: Sequence[Step],
        *,
        reference: Callable[[Copy], str],
        orders: Sequence[Sequence[int]] | None = None,
        amount: str = "240.00",
        currency: str = "USD",
        received_at: str = "now()",
        before: Step | None = None,
    ) -> Ending:
        """How a payment ends, whatever the order; fails where two orders end differently.

        ``reference`` is what the provider calls the payment of a copy. ``orders`` are those that the provider can
        produce, unless all are. ``before`` happens once to each payment before anything else. ``received_at`` is SQL.
        """
        played: list[tuple[Copy, Sequence[int], bool]] = []
        for order in orders or _orders(len(steps)):
            for together in (False, True):
                copy = self._copy(provider.name, reference, amount, currency)
                if before is not None:
                    before(copy)
                played.append((copy, order, together))
        webhooks: dict[int, list[SignedWebhook]] = {copy.number: [] for copy, _, _ in played}

        def file(webhook: SignedWebhook) -> UUID:
            return self._file(provider.name, webhook, received_at)

        self._restart(provider)
        for place in range(len(steps)):
            if place == len(steps) // 2:
                self._restart(provider)
            for copy, order, together in played:
                webhook = steps[order[place]](copy)
                if webhook is not None:
                    webhooks[copy.number].append(webhook)
                    if not together:
                        file(webhook)
            self._process()
        for copy, _, together in played:
            if together:
                for webhook in webhooks[copy.number]:
                    file(webhook)
        self._process()
        self._restart(provider)
        for copy, _, _ in played:
            for webhook in reversed(webhooks[copy.number]):
                file(webhook)
        self._process()
        endings: dict[Ending, list[Any]] = {}
        for copy, order, together in played:
            endings.setdefault(self._ending(copy), []).append((order, "together" if together else "apart"))
        assert len(endings) == 1, "the order decides:\n" + "\n".join(
            f"{end}\n  {ways}" for end, ways in endings.items()
        )
        (ending,) = endings
        return ending

    def close(self) -> None:
        """The last worker ends."""
        self._context.close()

    def _restart(self, provider: Provider) -> None:
        """Another worker with connections of its own, which remembers nothing."""
        self._context.close()
        app = self._make_worker(payment_namespace=uuid4())
        app.extensions["providers"] = {provider.name: provider}
        self._context.enter_context(app.app_context())

    def _copy(self, provider: str, reference: Callable[[Copy], str], amount: str, currency: str) -> Copy:
        self._number += 1
        copy = Copy(number=self._number, payment_id=uuid4())
        user = self._sql("INSERT INTO users DEFAULT VALUES RETURNING id")[0].id
        self._sql(
            """INSERT INTO payments (id, user_id, provider, provider_ref, amount, currency)
            VALUES (:id, :user, :provider, :reference, :amount, :currency)""",
            id=copy.payment_id,
            user=user,
            provider=provider,
            reference=reference(copy),
            amount=amount,
            currency=currency,
        )
        return copy

    def _file(self, provider: str, webhook: SignedWebhook, received_at: str) -> UUID:
        found: UUID = self._sql(
            f"""INSERT INTO webhook_deliveries (provider, headers, body, received_at)
            VALUES (:provider, CAST(:headers AS jsonb), :body, {received_at}) RETURNING id""",
            provider=provider,
            headers=json.dumps(webhook.headers),
            body=webhook.body,
        )[0].id
        return found

    def _process(self) -> None:
        """Let the worker do what waits, and once more what could not be done at first."""
        for _ in range(3):
            waiting = self._sql(
                """UPDATE webhook_deliveries SET next_attempt_at = now() WHERE state IN ('received', 'parked')
                RETURNING id"""
            )
            if not waiting:
                return
            process(str(waiting[0].id))

    def _ending(self, copy: Copy) -> Ending:
        (row,) = self._sql(
            """SELECT status::text, review_reason AS reasons, amount_captured AS captured, amount_lost AS lost,
                amount_blocked AS blocked, amount_authorized AS authorized, amount_refunded AS refunded, under_way,
                greatest(amount_captured - amount_lost - amount_blocked - amount_refunded - amount_refunding, 0)
                    AS refundable,
                ARRAY(SELECT ROW(amount, status::text) FROM captures WHERE payment_id = payments.id
                    ORDER BY amount, capture_ref) AS captures,
                ARRAY(SELECT ROW(amount, status::text) FROM refunds WHERE payment_id = payments.id
                    ORDER BY amount, provider_ref) AS refunds,
                ARRAY(SELECT ROW(stage::text, status::text, money_step) FROM disputes WHERE payment_id = payments.id
                    ORDER BY dispute_ref) AS disputes
            FROM payments WHERE id = :id""",
            id=copy.payment_id,
        )
        states = self._sql(
            "SELECT state FROM webhook_deliveries WHERE state NOT IN ('applied', 'duplicate', 'ignored') ORDER BY state"
        )
        values = dict(row._mapping)
        entries = {name: tuple(map(tuple, values.pop(name))) for name in ("captures", "refunds", "disputes")}
        return Ending(**values, **entries, unsettled=tuple(each.state for each in states))


def _orders(count: int) -> Sequence[Sequence[int]]:
    if count <= ALL_ORDERS_OF:
        return list(permutations(range(count)))
    shuffler = random.Random(count)
    given = list(range(count))
    return [given, given[::-1], *(shuffler.sample(given, count) for _ in range(SAMPLE - 2))]
