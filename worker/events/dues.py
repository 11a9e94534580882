"""The task ``events.due``: writes events that depend on a date or on a count (migrations/events/dues.sql).

Evidence that is due, authorizations that end, listings that run out. Each is written once: two runs, or none for a
while, do no harm. Every step is bounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from time import monotonic
from typing import Final
from uuid import UUID

import structlog
from celery import shared_task

from checkout_service.database.engine import execute
from checkout_service.database.errors import DatabaseUnavailableError
from checkout_service.database.statements import Statement
from checkout_service.tasks import TaskName
from worker.context import settings
from worker.events.sequencer import sequence_events

STEP: Final = 500
"""Events of one step, and payments that it has locked."""

STEP_PAGES: Final = 2500
"""Pages of the counters of stock that one step reads: about a hundred thousand listings."""

LOOKED_AT: Final = 20_000
"""Listings that were low, and that one step looks at once more."""

WRITE_FOR: Final = 15.0
"""Seconds after which each kind begins no further step. The next run comes a minute after this one began."""

_evidence: Final = Statement(
    "SELECT events_write_evidence_due(CAST(:ahead AS interval), CAST(:most AS integer)) AS written"
)
_authorizations: Final = Statement("""
    SELECT seen, written, until, until_id FROM events_write_authorizations_expiring(
        CAST(:ahead AS interval), CAST(:most AS integer), CAST(:after AS timestamptz), CAST(:after_id AS uuid))
""")
_forget: Final = Statement(
    "SELECT events_forget_low_stock(CAST(:low AS integer), CAST(:most AS integer), CAST(:after AS uuid)) AS last"
)
_stock: Final = Statement("""
    SELECT next_page, written FROM events_write_low_stock(
        CAST(:page AS bigint), CAST(:pages AS integer), CAST(:low AS integer), CAST(:most AS integer))
""")

log = structlog.get_logger(__name__)


@shared_task(name=TaskName.WRITE_DUE_EVENTS)
def write_due() -> str:
    """Write what is due, in short steps."""
    written = 0
    try:
        for steps in (_evidence_due(), _authorizations_expiring(), _low_stock()):
            until = monotonic() + WRITE_FOR
            for number in steps:
                written += number
                if monotonic() > until:
                    break
    except DatabaseUnavailableError:
        log.warning("database_unavailable")
    if written:
        sequence_events()
    return f"wrote {written} events"


def _evidence_due() -> Iterator[int]:
    written = STEP
    while written == STEP:
        ((written,),) = execute(_evidence, {"ahead": settings().evidence_due_ahead, "most": STEP})
        yield written


def _authorizations_expiring() -> Iterator[int]:
    seen, after, after_id = STEP, datetime.now(UTC), UUID(int=0)
    while seen == STEP:
        values = {"ahead": settings().authorization_expiring_ahead, "most": STEP, "after": after, "after_id": after_id}
        ((seen, written, after, after_id),) = execute(_authorizations, values)
        yield written


def _low_stock() -> Iterator[int]:
    """Nothing of a listing that is low already, until there was more of it: that is forgotten first."""
    low = settings().stock_low
    last: UUID | None = UUID(int=0)
    while last is not None:
        ((last,),) = execute(_forget, {"low": low, "most": LOOKED_AT, "after": last})
        yield 0
    page: int | None = 0
    while page is not None:
        ((page, written),) = execute(_stock, {"page": page, "pages": STEP_PAGES, "low": low, "most": STEP})
        yield written
