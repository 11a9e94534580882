"""The fault campaign: round after round under load, one fault each, and the invariant held against every one."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from tests.faults.arrivals import EventCheck
from tests.faults.faults import Fault
from tests.faults.invariant import check
from tests.faults.load import Load
from tests.faults.receivers import Receivers, open_receivers
from tests.faults.stack import House
from tests.faults.wire import Wire

WARM_UP = 1.5
AFTERWARDS = 2.0
"""Seconds of load before and after the fault."""

SCARCE_SECONDS = 0.6
"""So much of the round's load wants as many pieces as there are of each of two scarce listings."""

DELIVERED_WITHIN = 60.0
SHARED = ("web", "worker", "housekeeping", "sender")


@dataclass(frozen=True, kw_only=True)
class Round:
    """A row of the table."""

    number: int
    fault: str
    busy: bool
    deliveries: int
    keys: int
    sold_out: int
    unanswered: int
    refused: int
    slowest: float
    whole_after: float
    final_after: float
    events: int
    arrived: int
    again: int
    arrived_after: float
    load_average: float
    wrong: Sequence[str]


class Campaign:
    """Rounds in one house."""

    def __init__(self, house: House, receivers: Receivers, *, payments_a_second: float) -> None:
        self._house = house
        self._receivers = receivers
        self._events = EventCheck(house.sql, receivers)
        self._rate = payments_a_second
        self._listing = house.listing()
        self._children = {name: len(house.children(name)) for name in SHARED}
        self.rounds: list[Round] = []

    def strike(self, fault: Fault, *, busy: bool) -> Round:
        """One round. An idle one is struck while nothing happens, and asked for work afterwards."""
        load = Load(
            lambda: Wire(self._house.address),
            self._house.environment,
            self._listing,
            payments_a_second=self._rate,
            scarce=[self._house.scarce_listing(round(self._rate * SCARCE_SECONDS)) for _ in range(2)],
        )
        self._receivers.lie(lies=True)
        if busy:
            load.start()
            time.sleep(WARM_UP)
        struck = time.monotonic()
        fault.strike(self._house)
        wrong: list[str] = []
        try:
            self._house.await_whole()
        except TimeoutError as error:
            wrong.append(str(error))
        whole = time.monotonic()
        if not busy:
            load.start()
        time.sleep(AFTERWARDS)
        try:
            load.finish(within=DELIVERED_WITHIN)
        except TimeoutError as error:
            wrong.append(str(error))
        self._receivers.lie(lies=False)
        journal = load.journal
        _, found = check(self._house, journal, children=self._children)
        final = time.monotonic()
        outgoing = self._events.check(journal)
        done = Round(
            number=len(self.rounds) + 1,
            fault=fault.name,
            busy=busy,
            deliveries=len(journal.deliveries),
            keys=len(journal.keys),
            sold_out=journal.sold_out,
            unanswered=journal.answers[0],
            refused=journal.answers[503],
            slowest=journal.slowest,
            whole_after=whole - struck,
            final_after=final - whole,
            events=outgoing.events,
            arrived=outgoing.arrived,
            again=outgoing.again,
            arrived_after=outgoing.seconds,
            load_average=os.getloadavg()[0],
            wrong=[*wrong, *found, *outgoing.wrong],
        )
        self.rounds.append(done)
        return done


@contextmanager
def open_campaign(house: House, *, payments_a_second: float) -> Iterator[Campaign]:
    """Rounds in this house, whose events go to receivers that lie."""
    with open_receivers(house.address, house.environment) as receivers:
        yield Campaign(house, receivers, payments_a_second=payments_a_second)
