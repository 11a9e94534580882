"""How one endpoint does: what it took and what it did not, and how much it is sent at once. Times are monotonic."""

from __future__ import annotations

from collections import OrderedDict
from time import monotonic
from typing import Final
from uuid import UUID

from worker.events.claims import Claimed
from worker.events.schedule import DISABLED_AFTER, is_failing, next_probe

SHARE: Final = 32
"""Requests in flight to one endpoint."""

SLOW_SHARE: Final = 8
"""The same of one that takes longer than SLOW seconds."""

FIRST_SHARE: Final = 16
"""The same of one that has not answered yet."""

SLOW: Final = 1.0

REMEMBERED: Final = 10_000
"""Endpoints of which this process knows whether they were slow."""

_was_slow: Final[OrderedDict[UUID, bool]] = OrderedDict()


class Health:
    """Counters since the last success, as they are written with each batch."""

    def __init__(self, claimed: Claimed) -> None:
        self.failures = claimed.failures
        self.probes = claimed.probes
        self.pace = claimed.pace
        """How many requests may be in flight after a suspension; None: the usual share."""
        self.took = False
        """Whether it took something since the last batch was closed."""
        self._id = claimed.id
        self._has_answered = False
        self._taken_at = claimed.taken_at
        self._failing_since = claimed.failing_since
        self._state_since = claimed.state_since

    @property
    def is_slow(self) -> bool:
        """Whether its last answer took long, be it to a sender before this one."""
        return _was_slow.get(self._id, False)

    @property
    def share(self) -> int:
        """How many requests may be in flight: one until an endpoint that was slow before has answered again."""
        is_slow = _was_slow.get(self._id)
        if is_slow and not self._has_answered:
            return 1
        usual = FIRST_SHARE if is_slow is None else SLOW_SHARE if is_slow else SHARE
        return usual if self.pace is None else min(usual, self.pace)

    @property
    def is_failing(self) -> bool:
        """Whether it is to be suspended."""
        now = monotonic()
        return is_failing(
            self.failures,
            taken_ago=float("inf") if self._taken_at is None else now - self._taken_at,
            failing_for=0.0 if self._failing_since is None else now - self._failing_since,
        )

    @property
    def is_stale(self) -> bool:
        """Whether it is suspended for days."""
        return monotonic() - self._state_since >= DISABLED_AFTER

    def took_since(self, moment: float | None) -> bool:
        """Whether it took something after this moment."""
        return moment is not None and self._taken_at is not None and self._taken_at > moment

    def answered(self, seconds: float) -> None:
        """It answered, or did not, within so many seconds."""
        self._has_answered = True
        _was_slow[self._id] = seconds > SLOW
        _was_slow.move_to_end(self._id)
        if len(_was_slow) > REMEMBERED:
            _was_slow.popitem(last=False)

    def succeeded(self) -> None:
        """It took something."""
        self.took = True
        self._taken_at = monotonic()
        self.failures = 0
        self._failing_since = None
        if self.pace is not None:
            # One more for each that is taken: twice as many with each round trip.
            self.pace = None if self.pace + 1 >= SHARE else self.pace + 1

    def failed(self) -> None:
        """It did not take something, and is not suspended."""
        self.failures += 1
        if self._failing_since is None:
            self._failing_since = monotonic()
        if self.pace is not None:
            self.pace = max(1, self.pace // 2)

    def probe_failed(self) -> float:
        """It did not take a probe; the seconds until the next one."""
        self.probes += 1
        return next_probe(self.probes).total_seconds()

    def moved(self, *, enabled: bool) -> None:
        """It is in another state from now on: where it is enabled again, it begins with one request."""
        self._state_since = monotonic()
        self.probes = 0
        self.pace = 1 if enabled else None
        if enabled:
            self.failures = 0
            self._failing_since = None
