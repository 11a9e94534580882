"""The task ``guests.sweep``: takes away the carts of guests whom nobody comes back as, and rows where nothing is left.

Which they are, and what stays, is in ``guests_sweep`` (migrations/guests/sweeping.sql). Every step is bounded, and
skips what others hold.
"""

from __future__ import annotations

from datetime import timedelta
from time import monotonic
from typing import Final
from uuid import UUID

import structlog
from celery import shared_task

from checkout_service.database.engine import Conflict, execute
from checkout_service.database.errors import DatabaseLockedError, DatabaseUnavailableError
from checkout_service.database.statements import Statement
from checkout_service.tasks import TaskName
from worker.context import settings

LATER: Final = timedelta(days=1)
"""After the end of a token, or of a cookie: when a browser was given the cookie is known to a day."""

STEP: Final = 200
"""Guests of one step."""

SWEEP_FOR: Final = 20.0
"""Seconds after which a sweep begins no further step. The next one comes ten minutes after it began."""

_sweep = Statement("""
    SELECT last_use, last_id, seen, ended
    FROM guests_sweep(CAST(:lasts AS interval), CAST(:use AS timestamptz), CAST(:id AS uuid), CAST(:most AS integer))
""")

log = structlog.get_logger(__name__)


@shared_task(name=TaskName.SWEEP_GUESTS)
def sweep() -> str:
    """End guests in short steps, each of them looked at once, until all were or some seconds have passed."""
    until = monotonic() + SWEEP_FOR
    ended, is_over = 0, False
    place: dict[str, object] = {"use": "-infinity", "id": UUID(int=0)}
    while not is_over and monotonic() < until:
        try:
            (row,) = execute(_sweep, place | {"lasts": settings().cart_tokens_last + LATER, "most": STEP})
        except (DatabaseLockedError, Conflict):
            # Somebody had one of the carts for long, or came back at this moment: the rest waits for the next run.
            break
        except DatabaseUnavailableError:
            log.warning("database_unavailable")
            break
        ended += row.ended
        is_over = row.seen < STEP
        place = {"use": row.last_use, "id": row.last_id}
    return f"ended {ended} guests" + ("" if is_over else ", and more may be due")
