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
        ways = [(order, together) for order in orders or _orders(len(steps)) for together in (False, True)]
        copies = self._copies(len(ways), provider.name, reference, amount, currency)
        for copy in copies if before is not None else ():
            before(copy)
        webhooks: dict[int, list[SignedWebhook]] = {copy.number: [] for copy in copies}

        self._restart(provider)
        for place in range(len(steps)):
            if place == len(steps) // 2:
                self._restart(provider)
            came = []
            for copy, (order, together) in zip(copies, ways, strict=True):
                webhook = steps[order[place]](copy)
                if webhook is not None:
                    webhooks[copy.number].append(webhook)
                    came += [] if together else [webhook]
            self._deliver(provider.name, came, received_at)
        waited = [
            webhook
            for copy, (_, together) in zip(copies, ways, strict=True)
            for webhook in webhooks[copy.number]
            if together
        ]
        self._deliver(provider.name, waited, received_at)
        self._restart(provider)
        again = [webhook for copy in copies for webhook in reversed(webhooks[copy.number])]
        self._deliver(provider.name, again, received_at)
        endings: dict[Ending, list[Any]] = {}
        for ending, (order, together) in zip(self._endings(copies), ways, strict=True):
            endings.setdefault(ending, []).append((order, "together" if together else "apart"))
        assert len(endings) == 1, "the order decides:\n" + "\n".join(f"{end}\n  {how}" for end, how in endings.items())
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

    def _copies(
        self, count: int, provider: str, reference: Callable[[Copy], str], amount: str, currency: str
    ) -> list[Copy]:
        copies = [Copy(number=self._number + place, payment_id=uuid4()) for place in range(count)]
        self._number += count
        self._sql(
            """WITH payer AS (INSERT INTO users DEFAULT VALUES RETURNING id)
            INSERT INTO payments (id, user_id, provider, provider_ref, amount, currency)
            SELECT made.id, payer.id, :provider, made.reference, CAST(:amount AS numeric), :currency
            FROM payer, unnest(CAST(:ids AS uuid[]), CAST(:references AS text[])) AS made (id, reference)""",
            ids=[str(copy.payment_id) for copy in copies],
            references=[reference(copy) for copy in copies],
            provider=provider,
            amount=amount,
            currency=currency,
        )
        return copies

    def _deliver(self, provider: str, webhooks: Sequence[SignedWebhook], received_at: str) -> None:
        """File the webhooks as the receiver does and let the worker do what waits, once more what it could not do."""
        self._sql(
            f"""INSERT INTO webhook_deliveries (provider, headers, body, received_at)
            SELECT :provider, CAST(headers AS jsonb), body, {received_at}
            FROM unnest(CAST(:headers AS text[]), CAST(:bodies AS bytea[])) AS came (headers, body)""",
            provider=provider,
            headers=[json.dumps(webhook.headers) for webhook in webhooks],
            bodies=[webhook.body for webhook in webhooks],
        )
        for round_ in range(3):
            waiting = self._sql(
                """UPDATE webhook_deliveries SET next_attempt_at = now() WHERE state IN ('received', 'parked')
                RETURNING id"""
            )
            # One that is new stands for all that are; what was tried before is worked on by its own name.
            for row in waiting if round_ else waiting[:1]:
                process(str(row.id))

    def _endings(self, copies: Sequence[Copy]) -> list[Ending]:
        """How each payment ended; what webhooks came to is the same of all, since they came side by side."""
        ids = [str(copy.payment_id) for copy in copies]
        rows = self._sql(
            """SELECT id, status::text, review_reason AS reasons, amount_captured AS captured, amount_lost AS lost,
                amount_blocked AS blocked, amount_authorized AS authorized, amount_refunded AS refunded, under_way,
                greatest(amount_captured - amount_lost - amount_blocked - amount_refunded - amount_refunding, 0)
                    AS refundable
            FROM payments WHERE id = ANY(CAST(:ids AS uuid[]))""",
            ids=ids,
        )
        found = {row.id: dict(row._mapping) | dict.fromkeys(_ENTRIES, ()) for row in rows}
        for name, columns in _ENTRIES.items():
            for payment_id, *values in self._sql(
                f"""SELECT payment_id, {columns} FROM {name} WHERE payment_id = ANY(CAST(:ids AS uuid[]))
                ORDER BY {columns}""",
                ids=ids,
            ):
                found[payment_id][name] += (tuple(values),)
        states = self._sql(
            "SELECT state FROM webhook_deliveries WHERE state NOT IN ('applied', 'duplicate', 'ignored') ORDER BY state"
        )
        unsettled = tuple(row.state for row in states)
        endings = []
        for copy in copies:
            values = found[copy.payment_id]
            del values["id"]
            endings.append(Ending(**values, unsettled=unsettled))
        return endings


def disputes_in_events(sql: Sql) -> set[tuple[str, ...]]:
    """What the timelines tell of disputes: of each payment all statuses in its events, in the order of the alphabet."""
    rows = sql(
        """SELECT array_agg(DISTINCT entry->>'status' ORDER BY entry->>'status') AS statuses
        FROM payment_events AS event, jsonb_array_elements(event.entries) AS entry
        WHERE entry ? 'dispute' GROUP BY event.payment_id"""
    )
    return {tuple(row.statuses) for row in rows}


_ENTRIES: Final = {
    "captures": "amount, status::text",
    "refunds": "amount, status::text",
    "disputes": "stage::text, status::text, money_step",
}
"""By table, the columns of an Ending."""


def _orders(count: int) -> Sequence[Sequence[int]]:
    if count <= ALL_ORDERS_OF:
        return list(permutations(range(count)))
    shuffler = random.Random(count)
    given = list(range(count))
    return [given, given[::-1], *(shuffler.sample(given, count) for _ in range(SAMPLE - 2))]
