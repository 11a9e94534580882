"""The task ``events.sweep``: gives numbers and wakes the sender where no message came, and moves places up."""

from __future__ import annotations

from typing import Final

import structlog
from celery import shared_task

from checkout_service.cache import cache
from checkout_service.database.engine import execute
from checkout_service.database.errors import DatabaseUnavailableError
from checkout_service.database.statements import Statement
from checkout_service.publishing.events_wake_up import wake_sender
from checkout_service.tasks import TaskName
from worker.events.claims import something_is_due
from worker.events.sequencer import sequence_events

MOVED_EVERY: Final = 30_000
"""Milliseconds between two moves of places."""

BEHIND: Final = 1000
"""Numbers that a place may be behind without need: where nothing is for an endpoint, each move is a write."""

# Of an endpoint that nothing above its place is for. So its place is not outgrown by the log, and none that it comes to
# is far away.
_move_up = Statement(f"""
    WITH idle AS (
        SELECT endpoint.id, series.last_seq
        FROM webhook_endpoints AS endpoint CROSS JOIN event_series AS series
        WHERE endpoint.deleted_at IS NULL AND endpoint.state = 'enabled' AND endpoint.types IS NOT NULL
            AND endpoint.place < series.last_seq - {BEHIND}
            AND (endpoint.leased_until IS NULL OR endpoint.leased_until <= now())
            AND NOT EXISTS (SELECT FROM event_types AS known
                WHERE known.type = ANY(endpoint.types) AND known.last_seq > endpoint.place)
        FOR NO KEY UPDATE OF endpoint SKIP LOCKED
    )
    UPDATE webhook_endpoints AS endpoint SET place = idle.last_seq, updated_at = now()
    FROM idle WHERE endpoint.id = idle.id
    RETURNING endpoint.id
""")  # noqa: S608 (only our own constants)

log = structlog.get_logger(__name__)


@shared_task(name=TaskName.SWEEP_EVENTS)
def sweep() -> str:
    """Give numbers, wake the sender if an endpoint is due, and now and then move up the places that skip nothing."""
    sequence_events()
    try:
        is_due = something_is_due()
        if is_due:
            wake_sender()
        moved = len(execute(_move_up)) if cache().claim("event_places", milliseconds=MOVED_EVERY) else 0
    except DatabaseUnavailableError:
        log.warning("database_unavailable")
        return "the database is unavailable"
    return f"{'woke the sender' if is_due else 'nothing is due'}; moved {moved} places up"
