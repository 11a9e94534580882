"""How far the clocks of this worker and of beat are from the database's, which is the one that counts.

Nothing of ours stops for a clock that is wrong by minutes; but tokens end by the web's clock and certificates by the
worker's, so a wrong one is shown, by the metric ``checkout_clock_skew_seconds`` and by the doctor.
"""

from __future__ import annotations

from collections import deque
from time import monotonic, time
from typing import Final

from checkout_service.cache import cache
from checkout_service.database.clock import BEAT_CLOCK, seconds_ahead
from checkout_service.database.errors import DatabaseUnavailableError
from checkout_service.telemetry.metrics import beat_last_message_timestamp_seconds, clock_skew_seconds

EVERY: Final = 30.0
"""Seconds between two looks at the database's clock, in each process."""

_WINDOW: Final = 60.0

_KNOWN_FOR: Final = 180
"""Seconds for which the doctor may read what a worker saw of beat's clock."""


class Clocks:
    """What one process knows of them; a message of beat is its occasion to look."""

    def __init__(self) -> None:
        self._looked_at = float("-inf")
        self._ahead = 0.0
        self._of_beat: deque[tuple[float, float]] = deque()

    def look(self, *, node: str, sent_at: float | None) -> None:
        """Show the clock of this worker, ``node`` being its name at the broker, and that of beat.

        ``sent_at`` is when beat sent the message, in seconds since 1970 by beat's clock. A message that waited says
        less than the clock does: so the greatest that was seen within a minute counts.
        """
        now = monotonic()
        beat_last_message_timestamp_seconds.set(time())
        if now - self._looked_at > EVERY:
            self._looked_at = now
            try:
                self._ahead = seconds_ahead()
            except DatabaseUnavailableError:
                return
            clock_skew_seconds.labels(node.partition("@")[0]).set(self._ahead)
            self._tell_of_beat()
        if sent_at is not None:
            self._of_beat.append((now, sent_at - (time() - self._ahead)))
            while now - self._of_beat[0][0] > _WINDOW:
                self._of_beat.popleft()

    def _tell_of_beat(self) -> None:
        if self._of_beat:
            ahead = max(seen for _, seen in self._of_beat)
            clock_skew_seconds.labels("beat").set(ahead)
            cache().put(BEAT_CLOCK, f"{ahead:.3f}".encode(), seconds=_KNOWN_FOR)


clocks: Final = Clocks()
