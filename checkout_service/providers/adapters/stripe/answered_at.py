"""When Stripe answered, by its own clock, which events are dated by too.

What is read and what comes in an event tell one story, whose order is that of their times. By our clock, what was read
a minute ago could hide what happened since, or the other way round.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final, TypeVar

FARTHEST: Final = timedelta(hours=1)
"""From our own clock: what is farther is no clock of Stripe's."""

Object = TypeVar("Object")


class AnsweredAt:
    """The moment of an answer: that of its ``Date``, and ours of the question where it has none that can be."""

    def __init__(self, requested_at: datetime) -> None:
        """``requested_at`` is aware."""
        self.moment = requested_at

    def of(self, answer: Object) -> Object:
        """The same answer of the SDK, once its moment is noted."""
        seen: Any = answer
        try:
            moment = parsedate_to_datetime(seen.last_response.headers["Date"]).astimezone(UTC)
            near = abs(moment - self.moment) <= FARTHEST
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
            return answer
        if near:
            self.moment = moment
        return answer
