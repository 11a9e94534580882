"""The lanes of one endpoint in the memory: queues of which only the first event is in flight."""

from __future__ import annotations

from collections import deque
from uuid import UUID

from checkout_service.events.posted import PostedEvent


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
    ) -> None:
        self.seq = seq
        self.event_id = event_id
        self.type = event_type
        self.lane = lane
        self.order_number = order_number
        self.replay_id = replay_id
        self.attempts = attempts
        self.first_at = first_at
        self.stored = stored
        # A replay is a lane of its own.
        self.queue = replay_id or lane
        self.event = event


class Lanes:
    """Queues by lane; the lanes of which nothing is in flight take turns."""

    def __init__(self) -> None:
        self.queued = 0
        """How many items are in the queues and not in flight."""
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
        return self._queues[self._ready.popleft()][0]

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
