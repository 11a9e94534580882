"""The invariant: whatever died, what was answered is true.

Every 202 ends in a final state within 60 s of everything running again; every payment's status is the greatest of its
verified events; the tables hold each event once, and no other; every key replays its answer; nothing hangs. What holds
of orders and pieces is in goods.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, Protocol
from uuid import UUID

from tests.faults.goods import await_numbers, check_goods
from tests.faults.journal import Journal
from tests.faults.stack import House, await_that
from tests.faults.wire import Wire

FINAL_WITHIN = 60.0
REPLACED_WITHIN = 10.0

_UNFINISHED = "SELECT count(*) FROM webhook_deliveries WHERE state IN ('received', 'parked')"
_STATES = """
    SELECT state, count(*), min(detail) FROM webhook_deliveries WHERE id = ANY(%(ids)s) GROUP BY state ORDER BY state
"""
_PAYMENTS = "SELECT provider_ref, status::text FROM payments WHERE provider_ref = ANY(%(tokens)s)"
_EVENTS = """
    SELECT payment.provider_ref, event.event_id, count(*)
    FROM payment_events AS event JOIN payments AS payment ON payment.id = event.payment_id
    WHERE payment.provider_ref = ANY(%(tokens)s) GROUP BY 1, 2
"""
_HANGING = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name LIKE 'checkout%%'
        AND xact_start < now() - interval '10 seconds'
"""


class Deployment(Protocol):
    """What runs: one machine's processes, or several hosts'."""

    @property
    def sql(self) -> Callable[..., list[Any]]: ...

    @property
    def address(self) -> tuple[str, int]: ...


@dataclass(frozen=True, kw_only=True)
class Broken:
    """A promise that was not kept, ``count`` times."""

    kind: Literal["lost", "doubled", "differing"]
    count: int = 1
    text: str

    def __str__(self) -> str:
        return self.text


def check(house: House, journal: Journal, *, children: dict[str, int]) -> tuple[float, list[str]]:
    """Seconds until all was final, and whatever is not as promised."""
    seconds, pending = await_final(house)
    wrong = list(journal.wrong)
    if pending:
        wrong.append(f"{pending} webhooks are not final {FINAL_WITHIN:.0f} s after everything ran again")
    wrong += map(str, broken_promises(house, journal))
    wrong += _hanging(house, children)
    await_numbers(house.sql)
    wrong += check_goods(house.sql, journal)
    return seconds, wrong


def broken_promises(house: Deployment, journal: Journal, *, newer: bool = False) -> Iterator[Broken]:
    """Whatever was answered to clients and is not so. A ``newer`` release's answers may have more members."""
    yield from _webhooks(house, journal)
    yield from _payments(house, journal)
    yield from _events(house, journal)
    yield from _keys(house, journal, newer=newer)


def await_final(house: Deployment) -> tuple[float, int]:
    """Wait until no webhook is pending; the seconds that took, and how many still are after the longest wait."""
    started = time.monotonic()
    while True:
        ((pending,),) = house.sql(_UNFINISHED)
        seconds = time.monotonic() - started
        if not pending or seconds > FINAL_WITHIN:
            return seconds, pending
        time.sleep(0.1)


def _webhooks(house: Deployment, journal: Journal) -> Iterator[Broken]:
    found = house.sql(_STATES, ids=[UUID(delivery) for delivery in journal.deliveries])
    gone = len(journal.deliveries) - sum(count for _, count, _ in found)
    if gone:
        yield Broken(kind="lost", count=gone, text=f"{gone} webhooks that were answered 202 are gone")
    for state, count, detail in found:
        if state not in {"applied", "duplicate"}:
            yield Broken(kind="lost", count=count, text=f"{count} verified webhooks are {state}: {detail}")


def _payments(house: Deployment, journal: Journal) -> Iterator[Broken]:
    found = dict(house.sql(_PAYMENTS, tokens=list(journal.events)))
    for token in journal.events:
        expected = journal.status_of(token).value
        if found.get(token) != expected:
            text = f"payment {token} is {found.get(token)}, and its events say {expected}"
            yield Broken(kind="differing" if token in found else "lost", text=text)


def _events(house: Deployment, journal: Journal) -> Iterator[Broken]:
    found = {(token, event): count for token, event, count in house.sql(_EVENTS, tokens=list(journal.events))}
    expected = {(token, event) for token, events in journal.events.items() for event in events}
    for token, event in sorted(expected - found.keys()):
        yield Broken(kind="lost", text=f"event {event} of payment {token} was never recorded")
    for token, event in sorted(found.keys() - expected):
        yield Broken(kind="doubled", text=f"event {event} of payment {token} was recorded, and nobody sent it")
    for (token, event), count in found.items():
        if count > 1:
            yield Broken(kind="doubled", text=f"event {event} of payment {token} was recorded {count} times")


def _keys(house: Deployment, journal: Journal, *, newer: bool) -> Iterator[Broken]:
    wire = Wire(house.address)
    for key in journal.keys:
        answer = wire.ask("POST", "/api/checkout/session", key.body, key.headers)
        replayed = answer.headers.get("idempotent-replayed") == "true"
        answered = answer.json() if answer.status == 201 else {}
        known = {name: value for name, value in answered.items() if name in key.answer} if newer else answered
        if known != key.answer or not replayed:
            text = f"a key that was answered {key.answer} replays {answer.status} {answer.body[:300]!r}"
            yield Broken(kind="differing", text=text)
    wire.close()


def _hanging(house: House, children: dict[str, int]) -> Iterator[str]:
    ((transactions,),) = house.sql(_HANGING)
    if transactions:
        yield f"{transactions} transactions are older than 10 s"
    for name, count in children.items():
        with suppress(TimeoutError):  # one that has just died is being replaced
            await_that(lambda name=name, count=count: len(house.children(name)) == count, name, within=REPLACED_WITHIN)
        if len(house.children(name)) != count:
            yield f"{name} has {len(house.children(name))} children, and began with {count}"
