"""The last number of the log that a sender knew, and whether the database that it speaks to now has given that number.

A copy that is older than the database before it (a restore, a standby that lagged) gives numbers again, to other
events. Whether it has given as many as the other one says nothing: the event behind the number does.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, Final, NamedTuple, Self
from uuid import UUID

MARK: Final = """
    (SELECT last_seq FROM event_series), (SELECT day FROM event_series), (SELECT last_event_id FROM event_series)
"""
"""Columns of a statement: the mark of the database that it runs in, at that moment."""

MARK_STANDS: Final = """(
    CAST(:mark_id AS uuid) IS NULL
    OR CAST(:mark_seq AS bigint) <= (SELECT dropped_seq FROM event_series)
    OR EXISTS (SELECT FROM event_numbers WHERE seq = CAST(:mark_seq AS bigint) AND day = CAST(:mark_day AS date)
        AND event_id = CAST(:mark_id AS uuid))
)"""
"""A condition, with the parameters of ``Mark.values``: the log goes on from the mark, up to which it is the same."""


class Mark(NamedTuple):
    """A number that was given, its day (UTC) and its event; number 0 where none was given yet."""

    seq: int
    day: date | None
    event_id: UUID | None

    @classmethod
    def of(cls, columns: Sequence[Any]) -> Self:
        """From the three columns of MARK."""
        seq, day, event_id = columns
        return cls(seq or 0, day, event_id)

    def values(self) -> dict[str, Any]:
        """The parameters of MARK_STANDS."""
        return {"mark_seq": self.seq, "mark_day": self.day, "mark_id": self.event_id}


NO_MARK: Final = Mark(0, None, None)
"""Of a sender that knows nothing yet: any log goes on from it."""
