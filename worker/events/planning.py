"""What a sender looks for in one round, and what it finds: for all of its endpoints with few statements."""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic
from typing import Final
from uuid import UUID

from checkout_service.events.posted import PostedEvent
from worker.events.bodies import Bodies
from worker.events.marks import Mark
from worker.events.reading import (
    SCANNED,
    NewEvent,
    Numbers,
    OpenReplay,
    ReplayedEvent,
    Waiting,
    read_due,
    read_new,
    read_numbers,
    read_oldest,
    read_replayed,
    read_replays,
)

REPLAYED: Final = 128
"""Events of a replay that are read at once."""

PROBED: Final = 32
"""New events among which one is looked for that a suspended endpoint is tried with."""


REPLAYS_WITHIN: Final = 0.1
"""Seconds in which one look reads replays: all else waits for it. Those that it does not come to are the next one's."""


class Found:
    """What one look at the database brought."""

    def __init__(self, numbers: Numbers) -> None:
        self.numbers = numbers
        self.new: dict[UUID, tuple[list[NewEvent], int]] = {}
        self.due: dict[UUID, list[Waiting]] = {}
        self.replays: list[tuple[OpenReplay, list[ReplayedEvent], int]] = []
        """Each with its next events, and up to which number was looked."""
        self.probes: dict[UUID, tuple[Waiting | None, list[NewEvent]]] = {}
        self.bodies: dict[UUID, PostedEvent] = {}


class Plan:
    """What is to be looked for: (endpoint, place, most) of new events, (endpoint, most) of what is due, and so on."""

    def __init__(self, mark: Mark) -> None:
        self.mark = mark
        """How far the log was when it was looked at last."""
        self.new: list[tuple[UUID, int, int]] = []
        self.due: list[tuple[UUID, int]] = []
        self.replays_of: list[UUID] = []
        self.replays: list[OpenReplay] = []
        self.probes: list[tuple[UUID, int]] = []


def find(plan: Plan, bodies: Bodies) -> Found:
    """All that is planned, with the bodies; nothing, if the log is another one. Raises DatabaseUnavailableError."""
    found = Found(read_numbers(plan.mark))
    numbers = found.numbers
    if not numbers.go_on:
        return found
    needed: dict[UUID, str | None] = {}
    after = [(key, max(place, numbers.dropped), most) for key, place, most in plan.new if place < numbers.last]
    if after:
        rows = read_new(after, last=numbers.last)
        found.new = {key: ([], min(place + SCANNED, numbers.last)) for key, place, _ in after}
        for row in rows:
            found.new[row.endpoint_id][0].append(row)
        for key, _, most in after:
            events = found.new[key][0]
            if len(events) == most:
                found.new[key] = (events, events[-1].seq)
        needed |= {row.event_id: row.order_number for row in rows if not row.waits}
    if plan.due:
        for waiting in read_due(plan.due):
            found.due.setdefault(waiting.endpoint_id, []).append(waiting)
            needed[waiting.event_id] = waiting.order_number
    for replay, replayed, looked in _find_replayed(plan):
        found.replays.append((replay, replayed, looked))
        needed |= {event.event_id: event.order_number for event in replayed}
    for key, place in plan.probes:
        oldest = read_oldest(key)
        events = read_new([(key, max(place, numbers.dropped), PROBED)], last=numbers.last)
        found.probes[key] = (oldest, events)
        needed |= {event.event_id: event.order_number for event in events}
        if oldest is not None:
            needed[oldest.event_id] = oldest.order_number
    found.bodies = bodies.load(needed)
    return found


def _find_replayed(plan: Plan) -> Iterator[tuple[OpenReplay, list[ReplayedEvent], int]]:
    """Each replay with its next events, and up to which number was looked; who waited longest for a look is first."""
    began = monotonic()
    known = {replay.id: replay for replay in plan.replays}
    for written in read_replays(plan.replays_of) if plan.replays_of else ():
        # How far it is, is known here; whether it is to stop, there.
        own = known.get(written.id)
        known[written.id] = written if own is None else own._replace(stopped=written.stopped)
    for replay in sorted(known.values(), key=lambda each: each.looked_at):
        now = monotonic()
        if replay.stopped or now - began > REPLAYS_WITHIN:
            yield replay, [], replay.place
        else:
            yield replay._replace(looked_at=now), *read_replayed(replay, most=REPLAYED)
