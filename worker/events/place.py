"""How far an endpoint is: the number up to which all that is for it was delivered, or stands in what waits."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable


class Place:
    """The numbers that were read, and which of them hold the place back."""

    def __init__(self, place: int, delivered: Iterable[int]) -> None:
        """``delivered`` are numbers above ``place`` that were delivered all the same."""
        self.cursor = place
        """How far was read."""
        self._value = place
        self._done = set(delivered)
        self._read: deque[int] = deque()
        self._open: set[int] = set()

    @property
    def value(self) -> int:
        """The place."""
        while self._read and self._read[0] not in self._open:
            self._value = self._read.popleft()
        return max(self._value, self._read[0] - 1 if self._read else self.cursor)

    @property
    def is_ahead(self) -> bool:
        """Whether something above the place was delivered."""
        place = self.value
        return any(seq not in self._open for seq in self._read) or any(seq > place for seq in self._done)

    def read(self, seq: int) -> bool:
        """It was read; whether it is to be seen to: it may have been delivered before, or be in flight still."""
        if seq <= self.cursor or seq in self._done:
            return False
        self._read.append(seq)
        return seq not in self._open

    def open(self, seq: int) -> None:
        """It holds the place back from now on."""
        self._open.add(seq)

    def close(self, seq: int | None) -> None:
        """It was delivered, or is filed with the next batch."""
        if seq is not None:
            self._open.discard(seq)
            if seq > self.cursor:
                self._done.add(seq)

    def forget(self, in_flight: Iterable[int | None]) -> None:
        """Read anew from the place on; these are in flight meanwhile."""
        self.cursor = self._value = self.value
        self._done.update(seq for seq in self._read if seq not in self._open)
        self._done = {seq for seq in self._done if seq > self.cursor}
        self._read.clear()
        self._open = {seq for seq in in_flight if seq is not None and seq > self.cursor}
