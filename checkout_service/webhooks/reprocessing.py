"""Has many webhooks processed again, in bounded batches, and follows each until a worker has been at it.

A message may be lost, and a rejected or failed webhook is not pending, so the sweep does not see to it. So each
batch is watched: what no worker has touched is notified for once more, and named in the end if that was in vain.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic, sleep
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row

from checkout_service.publishing.publisher import task_queue
from checkout_service.tasks import TaskName
from checkout_service.webhooks.queries import database_time, processable_page, standing
from checkout_service.webhooks.selection import Choice

BATCH: Final = 200
"""Messages that stand before other webhooks' wake-ups at a time: a fraction of a second for one worker."""

PATIENCE: Final = 10.0
"""Seconds without any progress after which a batch is notified for again, and then given up."""

LOOK_EVERY: Final = 0.1

DROPPED: Final = "dropped"
"""What is said of a rejected webhook that was rejected again while no place was left for it."""


@dataclass(slots=True)
class Progress:
    """How far a run has come: webhooks notified for, what became of them, and those that no worker has been at."""

    notified: int = 0
    became: Counter[str] = field(default_factory=Counter)
    untouched: list[UUID] = field(default_factory=list)


def process_all(*, choice: Choice, told: Callable[[Progress], None]) -> Progress:
    """Ring for every webhook of the choice that is there now, oldest first; stops when no worker comes to a batch.

    Raises QueueUnavailableError and DatabaseUnavailableError; the same call again goes on with what is left.
    """
    progress = Progress()
    until = database_time()
    last: tuple[datetime, UUID] | None = None
    while page := processable_page(choice, until=until, after=last, limit=BATCH):
        last = (page[-1].received_at, page[-1].id)
        process_batch(page, progress, told)
        if progress.untouched:
            break
    return progress


def process_batch(
    page: Sequence[Row[Any]], progress: Progress, told: Callable[[Progress], None], *, within: float = float("inf")
) -> None:
    """Ring for each webhook of a page of ``processable_page`` and follow them to their end.

    Ends when twice PATIENCE goes by and none is settled, and at the latest ``within`` seconds from now.
    """
    until = monotonic() + within
    waiting = {row.id: row for row in page}
    _ring(waiting)
    progress.notified += len(waiting)
    told(progress)
    _follow(waiting, progress, told, until)
    if waiting and monotonic() < until:
        _ring(waiting)
        _follow(waiting, progress, told, until)
    progress.untouched += waiting


def _ring(waiting: dict[UUID, Row[Any]]) -> None:
    for delivery_id in waiting:
        task_queue().enqueue(TaskName.PROCESS_WEBHOOK, str(delivery_id))


def _follow(waiting: dict[UUID, Row[Any]], progress: Progress, told: Callable[[Progress], None], until: float) -> None:
    """Take out of ``waiting`` what a worker has settled, until it is empty, nothing moves any more, or time is up."""
    moved_at = monotonic()
    while waiting and monotonic() - moved_at < PATIENCE and monotonic() < until:
        settled = _settled(waiting)
        if settled:
            moved_at = monotonic()
            progress.became.update(settled.values())
            for delivery_id in settled:
                del waiting[delivery_id]
            told(progress)
        if waiting:
            sleep(LOOK_EVERY)


def _settled(waiting: dict[UUID, Row[Any]]) -> dict[UUID, str]:
    """Those that a worker has written a result of, by what they are now; a claim alone is no result."""
    now = {row.id: row for row in standing(list(waiting))}
    found = {}
    for delivery_id, before in waiting.items():
        row = now.get(delivery_id)
        if row is None:
            found[delivery_id] = DROPPED
        elif row.updated_at > before.updated_at and (
            # One that was pending stays so until it is done, whether this run sees to it or another.
            row.processed_at != before.processed_at or before.state in {"received", "parked"}
        ):
            found[delivery_id] = row.state
    return found
