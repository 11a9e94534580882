"""Events out: deliveries a second beside a bare client, how soon one comes, and what other endpoints cost."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from functools import partial
from typing import Any, Final
from uuid import UUID

import psycopg

from benchmarks import load, seeds
from benchmarks.end_to_end import raw
from benchmarks.endpoints import (
    Arrival,
    Receivers,
    add_endpoint,
    await_given_back,
    fill_log,
    start_sender,
    wake_sender,
    write_log,
)
from benchmarks.floors.events import GO
from benchmarks.pace import Connection
from benchmarks.report import Report, in_turns, load_average, milliseconds, per_second, percentile
from benchmarks.stand import Stand
from benchmarks.usage import Usage, watched
from checkout_service.local.servers import free_port

RECEIVERS: Final = 8
SEEN: Final = ("payment.paid", "order.placed")
"""The types of the events that a paid payment makes."""

OTHERS: Final = 992
_REWIND: Final = "UPDATE webhook_endpoints SET place = 0 WHERE id = ANY(%s)"
_SWITCH: Final = """
    UPDATE webhook_endpoints SET state = %s, failures = 0, failing_since = NULL, pace = NULL, next_due_at = NULL,
        place = coalesce((SELECT last_seq FROM event_series), 0), version = version + 1, lease_token = NULL,
        leased_until = NULL
    WHERE id = ANY(%s)
"""
_NUMBERED: Final = "SELECT event_id::text, extract(epoch FROM created_at)::float8 FROM event_numbers WHERE seq > %s"
_CREATED: Final = "SELECT id::text, extract(epoch FROM created_at)::float8 FROM events WHERE id = ANY(%s::uuid[])"


def run(stand: Stand, *, quick: bool) -> Report:
    report = Report(title="Events: posted to endpoints of this machine")
    report.remark(load_average())
    receivers = [Receivers(stand, f"receivers {number}", RECEIVERS // 2) for number in range(2)]
    with stand.connect() as connection:
        speed = Speed(stand, connection, receivers, purchases=50 if quick else 1000)
        speed.beside_the_floor(report, rounds=1 if quick else 3)
        speed.beside_others(report, rounds=1 if quick else 3, others=20 if quick else OTHERS)
        speed.end()
        stand.serve()
        stand.work()
        stand.start("beat")
        how_soon(stand, connection, receivers[0], report, quick=quick)
        beside_slow_ones(stand, connection, receivers, report, quick=quick)
    for name in list(stand.started):
        stand.stop(name)
    return report


class Speed:
    """A log that is sent to all receivers, as fast as it goes."""

    def __init__(
        self, stand: Stand, connection: psycopg.Connection[Any], receivers: Sequence[Receivers], *, purchases: int
    ) -> None:
        self._stand = stand
        self._connection = connection
        self._receivers = receivers
        self._usage: dict[str, Usage] = {}
        self._events = fill_log(connection, stand, purchases=purchases)
        path = stand.place.folder / "log.events"
        write_log(connection, path)
        self._endpoints: list[UUID] = []
        for number, some in enumerate(receivers):
            self._endpoints += [add_endpoint(connection, stand, url) for url in some.urls]
            stand.start(
                f"floor {number}",
                [sys.executable, "-m", "benchmarks.floors.events", str(number), str(path), *some.urls],
            )
        start_sender(stand)

    def beside_the_floor(self, report: Report, *, rounds: int) -> None:
        sides = {"floor": partial(self._measure, "floor"), "service": partial(self._measure, "service")}
        for side in sides.values():
            side()  # warms up: statements, imports
        found = in_turns(rounds, sides)
        report.add(
            f"deliveries to {RECEIVERS} receivers, of {self._events:,} events",
            per_second(found["service"]),
            floor=per_second(found["floor"]),
            ratio=found["service"] / found["floor"],
            target="≥ 2,000 /s and ≥ 0.5",
        )
        for name, usage in self._usage.items():
            report.remark(f"processors while the {name} sent: {usage}")

    def beside_others(self, report: Report, *, rounds: int, others: int) -> None:
        """With many endpoints that want none of it, beside the few alone."""
        self._connection.execute("UPDATE webhook_endpoints SET types = %s", (list(SEEN),))
        ids = [
            add_endpoint(self._connection, self._stand, f"http://127.0.0.1:{free_port()}/", ["dispute.lost"])
            for _ in range(others)
        ]

        def measure(state: str) -> float:
            self._connection.execute(_SWITCH, (state, ids))
            self._connection.execute("VACUUM ANALYZE webhook_endpoints")
            return self._measure(state)

        found = in_turns(rounds, {state: partial(measure, state) for state in ("disabled", "enabled")})
        report.add(
            f"the same beside {others} endpoints for other types",
            per_second(found["enabled"]),
            floor=per_second(found["disabled"]),
            ratio=found["enabled"] / found["disabled"],
            target="≥ 0.9",
        )
        self._connection.execute(_SWITCH, ("disabled", ids))

    def end(self) -> None:
        self._connection.execute(_SWITCH, ("disabled", self._endpoints))
        for name in ("floor 0", "floor 1"):
            self._stand.stop(name)

    def _measure(self, name: str) -> float:
        """Deliveries a second, until the last of them came."""
        await_given_back(self._connection)
        self._connection.execute("CHECKPOINT")
        with watched(self._stand) as self._usage[name]:
            began = time.time()
            if name == "floor":
                with self._stand.redis() as redis:
                    for number in range(len(self._receivers)):
                        redis.rpush(GO.format(number), 1)
            else:
                self._connection.execute(_REWIND, (self._endpoints,))
                wake_sender(self._stand)
            for some in self._receivers:
                some.until(self._events * len(some.ports))
        arrived = [each for some in self._receivers for each in some.take()]
        count = len({(each.port, each.event_id) for each in arrived})
        if count != self._events * RECEIVERS:
            raise RuntimeError(f"{count} of {self._events * RECEIVERS} came")
        return count / (max(each.at for each in arrived) - began)


def how_soon(
    stand: Stand, connection: psycopg.Connection[Any], receivers: Receivers, report: Report, *, quick: bool
) -> None:
    """From a webhook that says paid to the event about it at a receiver; one purchase at a time."""
    endpoint = add_endpoint(connection, stand, receivers.urls[0], ["payment.paid"])
    numbers = iter(range(1_000_000, 2_000_000, 1000))
    _purchases(stand, connection, receivers, first=next(numbers), count=5, pause=0.0)  # warms up
    for name, count, pause in (
        ("a sender looks already", 5 if quick else 200, 0.05),
        ("no sender runs", 1 if quick else 8, 2.0),
    ):
        found = _purchases(stand, connection, receivers, first=next(numbers), count=count, pause=pause)
        for since, times in found.items():
            report.add(
                f"paid → event received, {name}, since the {since}: p50 · p99 of {count}",
                " · ".join(milliseconds(percentile(times, share)) for share in (0.5, 0.99)),
                target="p50 < 40 ms",
            )
    connection.execute(_SWITCH, ("disabled", [endpoint]))


def _purchases(
    stand: Stand,
    connection: psycopg.Connection[Any],
    receivers: Receivers,
    *,
    first: int,
    count: int,
    pause: float,
) -> dict[str, list[float]]:
    seeds.add_payments(connection, first=first, count=count)
    references = seeds.reference(connection, first=first, count=count)
    port = int(stand.environment["PORT"])
    web = Connection("127.0.0.1", port)
    posted, answered = [], []
    receivers.take()
    for done, body in enumerate(seeds.webhooks(references, stand.environment["MOCK_WEBHOOK_SECRETS"]), start=1):
        time.sleep(pause * (1 + done % 7 / 7))  # at no fixed moment of the sender's round
        posted.append(time.time())
        web.send(raw(load.webhook(body), f"127.0.0.1:{port}"), 0.0)
        while web.answered() is None:
            pass
        answered.append(time.time())
        receivers.until(done)
    arrived = receivers.take()
    # The transaction that enters the money began then: it was committed later.
    created = _times(connection, _CREATED, [each.event_id for each in arrived])
    since = {
        "post": posted,
        "answer 202": answered,
        "begin of the payment's transaction": [created[each.event_id] for each in arrived],
    }
    return {
        name: [each.at - moment for each, moment in zip(arrived, times, strict=True)] for name, times in since.items()
    }


def beside_slow_ones(
    stand: Stand, connection: psycopg.Connection[Any], receivers: Sequence[Receivers], report: Report, *, quick: bool
) -> None:
    """The others' lag, with one endpoint that takes long to answer and one that is gone, beside the same without."""
    seconds, rate, rounds = (1.0, 10, 1) if quick else (6.0, 25, 3)
    good = [url for some in receivers for url in some.urls][: RECEIVERS - 2]
    for url in good:
        add_endpoint(connection, stand, url, SEEN)
    bad = [
        add_endpoint(connection, stand, url, SEEN)
        for url in (f"http://127.0.0.1:{receivers[1].ports[-1]}/slow", f"http://127.0.0.1:{free_port()}/")
    ]
    firsts = iter(range(3_000_000, 4_000_000, 10_000))

    def measure(state: str) -> float:
        connection.execute(_SWITCH, (state, bad))
        return _paced(stand, connection, receivers, next(firsts), rate=rate, seconds=seconds, endpoints=len(good))

    measure("disabled")  # warms up
    found = in_turns(rounds, {state: partial(measure, state) for state in ("disabled", "enabled")})
    report.add(
        f"p99 from number to receiver, {len(good)} endpoints, {rate * len(SEEN)} events a second, "
        "beside one that takes 14.5 s and one that is gone",
        milliseconds(found["enabled"]),
        floor=milliseconds(found["disabled"]),
        ratio=found["enabled"] / found["disabled"],
        target="≤ 1.1",
    )


def _paced(
    stand: Stand,
    connection: psycopg.Connection[Any],
    receivers: Sequence[Receivers],
    first: int,
    *,
    rate: int,
    seconds: float,
    endpoints: int,
) -> float:
    """The p99, in seconds, from an event's number to its arrival."""
    count = int(rate * seconds)
    seeds.add_payments(connection, first=first, count=count)
    references = seeds.reference(connection, first=first, count=count)
    webhooks = seeds.webhooks(references, stand.environment["MOCK_WEBHOOK_SECRETS"])
    file = load.prepare(stand, "paced", map(load.webhook, webhooks))
    row = connection.execute("SELECT last_seq FROM event_series").fetchone()
    for some in receivers:
        some.take()
    load.finished(load.paced(f"http://127.0.0.1:{stand.environment['PORT']}", file, rate=rate, seconds=seconds))
    due = count * len(SEEN) * endpoints
    deadline = time.monotonic() + 30
    arrived: list[Arrival] = []
    while len(arrived) < due:
        arrived += [each for some in receivers for each in some.take()]
        if time.monotonic() > deadline:
            raise TimeoutError(f"{len(arrived)} of {due} came")
        time.sleep(0.1)
    numbered = _times(connection, _NUMBERED, row[0] if row else 0)
    return percentile([each.at - numbered[each.event_id] for each in arrived], 0.99)


def _times(connection: psycopg.Connection[Any], query: str, value: Any) -> dict[str, float]:
    return dict(connection.execute(query, (value,)).fetchall())
