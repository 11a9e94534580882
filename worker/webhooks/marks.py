"""How far each kind of pruning is, so that no run looks again at what the runs before deleted.

While somebody holds an old snapshot, PostgreSQL keeps every row that was deleted since, and who looks for the oldest
row goes through them all. So a run begins behind the last id of the run before. The mark is a saving, and nothing
depends on it: once a day a run begins from nothing, and finds what was held by somebody, or not yet final, when the
mark went by. It is written once a run: many writes of one row would be kept by that snapshot, too. A restore brings
the mark of its time along.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

import structlog

from checkout_service.database.engine import execute
from checkout_service.database.errors import DatabaseUnavailableError
from checkout_service.database.statements import Statement

NOTHING: Final = UUID(int=0)


class Kind(StrEnum):
    """What is pruned, each kind with a mark of its own."""

    WEBHOOKS = "webhooks"
    REJECTED = "rejected"
    PAYMENT_EVENTS = "payment_events"
    REFUND_EVENTS = "refund_events"
    ADDRESSES = "addresses"


# A clock that was put back leaves a beginning in time to come, behind which no day would ever be over.
_read: Final = Statement("""
    SELECT after_id, began_at NOT BETWEEN now() - interval '1 day' AND now() AS is_old
    FROM prune_marks WHERE kind = :kind
""")

# Of two runs at once the one that came further has its say, but for one that began from nothing and is not through.
_write: Final = Statement("""
    INSERT INTO prune_marks AS mark (kind, after_id, began_at) VALUES (:kind, :after, now())
    ON CONFLICT (kind) DO UPDATE SET
        after_id = CASE WHEN :goes_back THEN excluded.after_id ELSE greatest(mark.after_id, excluded.after_id) END,
        began_at = CASE WHEN :began THEN now() ELSE mark.began_at END, updated_at = now()
""")

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Mark:
    """Where a run is. ``before`` is where the one before it ended, ``began`` whether this one begins from nothing."""

    kind: Kind
    before: UUID
    after: UUID
    began: bool

    def step(self, step: Callable[[UUID], Sequence[Any]]) -> Sequence[Any]:
        """A step behind the mark. Where it takes too long to begin from nothing, the run goes on from the mark before.

        Then somebody holds a snapshot, behind which a day's deletions lie; tomorrow it is tried again.
        """
        try:
            return step(self.after)
        except DatabaseUnavailableError:
            if self.after != NOTHING or self.before == NOTHING:
                raise
            log.warning("pruning_from_the_mark", kind=self.kind)
            self.after = self.before
            return step(self.after)

    def keep(self, *, is_through: bool) -> None:
        """Write the mark: where this run ended, or the one before, if that came further and this one is through."""
        reached = max(self.before, self.after) if is_through else self.after
        if self.began or reached != self.before:
            self._write(reached, goes_back=self.began and not is_through)

    def keep_as_it_is(self) -> None:
        """Write the mark, of rows that are gone through again and again."""
        if self.began or self.after != self.before:
            self._write(self.after, goes_back=True)

    def _write(self, reached: UUID, *, goes_back: bool) -> None:
        values = {"kind": self.kind.value, "after": reached, "began": self.began, "goes_back": goes_back}
        execute(_write, values)


def mark_of(kind: Kind) -> Mark:
    """Where a run of this kind begins."""
    rows = execute(_read, {"kind": kind.value})
    before = rows[0].after_id if rows else NOTHING
    began = not rows or rows[0].is_old
    return Mark(kind=kind, before=before, after=NOTHING if began else before, began=began)
