"""The requests that a process has in flight, shared out among its endpoints: who is slow leaves room for the others."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from worker.events.endpoint import Endpoint
from worker.events.lanes import Item

MOST_IN_FLIGHT: Final = 512
SHARED: Final = MOST_IN_FLIGHT * 3 // 4
"""What the endpoints that are busy share evenly. The rest is for those that have something to send next."""

SLOW_ONES: Final = MOST_IN_FLIGHT // 2
"""What all slow endpoints have together."""


class Slots:
    """Counts what is in flight; used in the loop alone."""

    def __init__(self) -> None:
        self.in_flight = 0
        self._each = MOST_IN_FLIGHT
        self._of_slow_ones = 0
        self._turn = 0

    @property
    def are_full(self) -> bool:
        return self.in_flight >= MOST_IN_FLIGHT

    def share_out(self, endpoints: Collection[Endpoint]) -> list[Endpoint]:
        """Count anew who is busy and who is slow; those that have something to begin, each time another one first."""
        # All have room for one at least, whoever is slow.
        self._each = max(1, SHARED // max(1, sum(endpoint.is_busy for endpoint in endpoints)))
        self._of_slow_ones = sum(endpoint.in_flight for endpoint in endpoints if endpoint.is_slow)
        waiting = [endpoint for endpoint in endpoints if endpoint.queued]
        self._turn = (self._turn + 1) % max(1, len(waiting))
        return waiting[self._turn :] + waiting[: self._turn]

    def take(self, endpoint: Endpoint) -> Item | None:
        """The endpoint's next event delivery, if there is a slot for it; ``give_back`` ends it."""
        is_slow = endpoint.is_slow
        if self.are_full or (is_slow and self._of_slow_ones >= SLOW_ONES):
            return None
        item = endpoint.begin(self._each)
        if item is not None:
            self.in_flight += 1
            self._of_slow_ones += is_slow
        return item

    def give_back(self) -> None:
        """One has ended."""
        self.in_flight -= 1
