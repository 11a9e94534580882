"""The lanes of one endpoint in the memory: queues of which only the first event is in flight."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from time import monotonic
from typing import Self
from uuid import UUID

from checkout_service.events.posted import PostedEvent
from worker.events.reading import NewEvent, OpenReplay, ReplayedEvent, Waiting

Bodies = Mapping[UUID, PostedEvent]


class Item:
    """An event delivery that is to be made; ``stored`` if it has a row among what waits. ``first_at`` is monotonic."""

    __slots__ = (
        "attempts",
        "event",
        "event_id",
        "first_at",
        "lane",
        "order_number",
        "queue",
        "replay_id",
        "seq",
        "stored",
        "type",
    )

    def __init__(
        self,
        seq: int | None,
        event_id: UUID,
        event_type: str,
        lane: UUID,
        order_number: str | None,
        *,
        event: PostedEvent | None,
        replay_id: UUID | None = None,
        attempts: int = 0,
        first_at: float | None = None,
        stored: bool = False,
        ordered: bool = True,
    ) -> None:
        """``ordered``: behind what comes before it in its lane. A replay is a lane of its own."""
        self.seq = seq
        self.event_id = event_id
        self.type = event_type
        self.lane = lane
        self.order_number = order_number
        self.replay_id = replay_id
        self.attempts = attempts
        self.first_at = first_at
        self.stored = stored
        self.queue = replay_id or (lane if ordered else event_id)
        self.event = event

    @classmethod
    def of_new(cls, event: NewEvent, bodies: Bodies, *, ordered: bool) -> Self:
        """One that is begun for the first time."""
        key = (event.seq, event.event_id, event.type, event.lane, event.order_number)
        return cls(*key, event=bodies.get(event.event_id), ordered=ordered)

    @classmethod
    def of_waiting(cls, row: Waiting, bodies: Bodies, *, ordered: bool) -> Self:
        """One that has a row."""
        return cls(
            row.seq,
            row.event_id,
            row.type,
            row.lane,
            row.order_number,
            event=bodies.get(row.event_id),
            replay_id=row.replay_id,
            attempts=row.attempts,
            first_at=row.first_at,
            stored=True,
            ordered=ordered,
        )

    @classmethod
    def of_replay(cls, event: ReplayedEvent, replay: OpenReplay, bodies: Bodies) -> Self:
        """One of a replay, which is its lane too."""
        key = (event.seq, event.event_id, event.type, replay.id, event.order_number)
        return cls(*key, event=bodies.get(event.event_id), replay_id=replay.id)


class Lanes:
    """Queues by lane; the lanes of which nothing is in flight take turns."""

    def __init__(self) -> None:
        self.queued = 0
        """How many items are in the queues and not in flight."""
        self._begun: dict[Item, float] = {}
        """What is in flight, and since when, the oldest first."""
        self._queues: dict[UUID, deque[Item]] = {}
        self._ready: deque[UUID] = deque()

    def __contains__(self, queue: UUID) -> bool:
        return queue in self._queues

    @property
    def is_ready(self) -> bool:
        """Whether there is one to begin with."""
        return bool(self._ready)

    def put(self, item: Item) -> None:
        """Queue it at the end of its lane."""
        queue = self._queues.get(item.queue)
        if queue is None:
            self._queues[item.queue] = deque([item])
            self._ready.append(item.queue)
        else:
            queue.append(item)
        self.queued += 1

    def begin(self) -> Item:
        """The first of a lane of which nothing is in flight; it stays the first of its lane until it is done."""
        self.queued -= 1
        item = self._queues[self._ready.popleft()][0]
        self._begun[item] = monotonic()
        return item

    def ended(self, item: Item) -> None:
        """It is in flight no more."""
        self._begun.pop(item, None)

    def in_flight_for(self) -> float:
        """Since how many seconds the oldest is in flight."""
        return monotonic() - next(iter(self._begun.values())) if self._begun else 0.0

    def held_up(self, seconds: float) -> list[tuple[Item, float]]:
        """What is in flight for longer than so many seconds with something behind it, the most of that first."""
        if self.in_flight_for() <= seconds:
            return []
        now = monotonic()
        found = [(item, now - began) for item, began in self._begun.items() if now - began > seconds]
        return sorted(
            (each for each in found if self.behind(each[0].queue)),
            key=lambda each: self.behind(each[0].queue),
            reverse=True,
        )

    def go_on(self, item: Item) -> None:
        """It is done: the next one of its lane may begin."""
        queue = self._queues.get(item.queue)
        if queue is None or queue[0] is not item:
            return
        queue.popleft()
        if queue:
            self._ready.append(item.queue)
        else:
            del self._queues[item.queue]

    def end(self, item: Item) -> list[Item]:
        """Take its lane away; what was behind it."""
        queue = self._queues.get(item.queue)
        if queue is None or queue[0] is not item:
            return []
        del self._queues[item.queue]
        self.queued -= len(queue) - 1
        return list(queue)[1:]

    def behind(self, queue: UUID) -> int:
        """How many are behind the first of this lane."""
        return max(0, len(self._queues.get(queue, ())) - 1)

    def cut(self, item: Item) -> list[Item]:
        """Take away what is behind the one that is in flight; what that was."""
        queue = self._queues.get(item.queue)
        if queue is None or queue[0] is not item:
            return []
        self._queues[item.queue] = deque([item])
        self.queued -= len(queue) - 1
        return list(queue)[1:]

    def forget(self, only: UUID | None = None) -> list[Item]:
        """Take away all that is not in flight, or that of one lane; what that was."""
        forgotten: list[Item] = []
        for name in list(self._queues) if only is None else [only] if only in self._queues else []:
            queue = self._queues[name]
            in_flight = int(name not in self._ready)
            forgotten += list(queue)[in_flight:]
            if in_flight:
                self._queues[name] = deque([queue[0]])
            else:
                self._ready.remove(name)
                del self._queues[name]
        self.queued -= len(forgotten)
        return forgotten

    def in_flight(self) -> list[Item]:
        """The first ones of the lanes that nothing else of may begin."""
        ready = set(self._ready)
        return [queue[0] for name, queue in self._queues.items() if name not in ready]
