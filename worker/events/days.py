"""The task ``events.days``: makes the days of the log ahead, and drops what was kept for long enough.

Partitions: migrations/events/days.sql and detaching.sql. Endpoints that have not taken what goes get an event of it
first (migrations/endpoints/outgrowing.sql). Nobody waits for it: a day that somebody has is left to the next run.
"""

from __future__ import annotations

from time import sleep
from typing import Final

import structlog
from celery import shared_task

from checkout_service.database.engine import execute
from checkout_service.database.errors import DatabaseLockedError, DatabaseUnavailableError
from checkout_service.database.statements import Statement
from checkout_service.tasks import TaskName
from worker.context import settings
from worker.events.sequencer import sequence_events

AHEAD: Final = 7
"""Days that are made before they come. For as long nobody misses this task."""

MOST_DAYS: Final = 20
"""Partitions that one run drops at most: a few more than a day has."""

STRAYS: Final = 5000
"""Rows that belong to no day and are deleted by one run, of each table."""

_make: Final = Statement("SELECT made, left_out FROM events_make_days(CAST(:ahead AS integer))")
_outgrow: Final = Statement("SELECT dropped, lost, lagging FROM events_outgrow(CAST(:keep AS integer))")
_sweep_deleted: Final = Statement("SELECT endpoints_sweep_deleted(CAST(:most AS integer)) AS gone")
_detach: Final = Statement("SELECT events_detach_day(CAST(:keep AS integer), CAST(:is_patient AS boolean)) AS part")
_sweep: Final = Statement("SELECT events_sweep_strays(CAST(:keep AS integer), CAST(:most AS integer)) AS gone")

SWEPT: Final = 20
"""Steps in which one run takes away what is left of deleted endpoints, STRAYS rows of each table at a time."""

TRIES: Final = 20
"""Moments at which one run looks whether nobody has the tables; between them events are written."""

PAUSE: Final = 0.05
"""Seconds from one such moment to the next."""

LOCKED: Final = "locked"
"""What events_detach_day says where somebody has the day."""

log = structlog.get_logger(__name__)


@shared_task(name=TaskName.TURN_DAYS)
def turn_days() -> str:
    """Make the days ahead, write what endpoints lose, drop what was kept long enough or left by deleted endpoints."""
    keep = settings().event_log_retention.days
    try:
        ((made, left_out),) = execute(_make, {"ahead": AHEAD})
        if left_out:
            log.warning("event_days_not_made", days=left_out)
        is_outgrown = _outgrow_endpoints(keep)
        dropped = _drop_days(keep)
        if is_outgrown:
            execute(_sweep, {"keep": keep, "most": STRAYS})
        for _ in range(SWEPT):
            ((gone,),) = execute(_sweep_deleted, {"most": STRAYS})
            if gone < STRAYS:
                break
    except DatabaseUnavailableError:
        log.warning("database_unavailable")
        return "the database is away"
    return f"made {made} days, dropped {', '.join(dropped) or 'none'}"


def _drop_days(keep: int) -> list[str]:
    dropped = list[str]()
    tries = 0
    while len(dropped) < MOST_DAYS and tries < TRIES:
        is_last = tries == TRIES - 1
        ((part,),) = execute(_detach, {"keep": keep, "is_patient": is_last})
        if part is None:
            break
        if part != LOCKED:
            dropped.append(part)
            continue
        tries += 1
        if is_last:
            log.info("event_day_locked")
        else:
            sleep(PAUSE)
    return dropped


def _outgrow_endpoints(keep: int) -> bool:
    """Whether it is done. Where a sender has endpoints for too long a later run does it, and nothing goes before."""
    try:
        ((_, lost, lagging),) = execute(_outgrow, {"keep": keep})
    except DatabaseLockedError:
        log.info("endpoints_locked")
        return False
    if lost or lagging:
        log.warning("event_log_outgrew_endpoints", lost=lost, lagging=lagging)
        sequence_events()
    return True
