"""The fault campaign: round after round under load, one fault each, and the invariant held against every one."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tests.faults.faults import Fault
from tests.faults.invariant import check
from tests.faults.load import Load
from tests.faults.stack import House
from tests.faults.wire import Wire

WARM_UP = 1.5
AFTERWARDS = 2.0
"""Seconds of load before and after the fault."""

DELIVERED_WITHIN = 60.0
SHARED = ("web", "worker", "housekeeping")


@dataclass(frozen=True, kw_only=True)
class Round:
    """A row of the table."""

    number: int
    fault: str
    busy: bool
    deliveries: int
    keys: int
    unanswered: int
    refused: int
    slowest: float
    whole_after: float
    final_after: float
    load_average: float
    wrong: Sequence[str]


class Campaign:
    """Rounds in one house."""

    def __init__(self, house: House, *, payments_a_second: float) -> None:
        self._house = house
        self._rate = payments_a_second
        self._listing = house.listing()
        self._children = {name: len(house.children(name)) for name in SHARED}
        self.rounds: list[Round] = []

    def strike(self, fault: Fault, *, busy: bool) -> Round:
        """One round. An idle one is struck while nothing happens, and asked for work afterwards."""
        load = Load(
            lambda: Wire(self._house.address), self._house.environment, self._listing, payments_a_second=self._rate
        )
        if busy:
            load.start()
            time.sleep(WARM_UP)
        struck = time.monotonic()
        fault.strike(self._house)
        self._house.await_whole()
        whole = time.monotonic()
        if not busy:
            load.start()
        time.sleep(AFTERWARDS)
        wrong: list[str] = []
        try:
            load.finish(within=DELIVERED_WITHIN)
        except TimeoutError as error:
            wrong.append(str(error))
        journal = load.journal
        _, found = check(self._house, journal, children=self._children)
        done = Round(
            number=len(self.rounds) + 1,
            fault=fault.name,
            busy=busy,
            deliveries=len(journal.deliveries),
            keys=len(journal.keys),
            unanswered=journal.answers[0],
            refused=journal.answers[503],
            slowest=journal.slowest,
            whole_after=whole - struck,
            final_after=time.monotonic() - whole,
            load_average=os.getloadavg()[0],
            wrong=wrong + found,
        )
        self.rounds.append(done)
        return done
