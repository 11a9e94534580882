"""The task ``webhooks.parts``: makes the parts of webhooks ahead, and drops what was kept for long enough.

Where the table is one, as it is unless the owner chose otherwise, there is nothing to do: see
migrations/webhooks/parts.sql and detaching.sql. Nobody waits for it: a part that somebody has is left to the next run.
"""

from __future__ import annotations

from time import sleep
from typing import Final

import structlog
from celery import shared_task

from checkout_service.database.engine import execute
from checkout_service.database.errors import DatabaseUnavailableError
from checkout_service.database.statements import Statement
from checkout_service.tasks import TaskName
from checkout_service.webhooks.partitioning import AHEAD
from worker.context import settings

MOST_PARTS: Final = 10
"""Parts that one run empties at most, and drops, one at a time."""

TRIES: Final = 20
"""Moments at which one run looks whether nobody has the table; between them webhooks are taken."""

PAUSE: Final = 0.05
"""Seconds from one such moment to the next."""

MOST_STEPS: Final = 130
"""Steps in which one run makes parts: two of each, if they are of one day and none is there."""

_in_parts: Final = Statement("SELECT webhooks_in_parts()")
_unbind: Final = Statement("SELECT webhooks_drop_bound() AS gone", calls_writer=True)
_make: Final = Statement("SELECT outcome, left_out FROM webhooks_make_part(CAST(:ahead AS integer))", calls_writer=True)
_validate: Final = Statement("SELECT webhooks_validate_bound() AS holds", calls_writer=True)
_empty: Final = Statement("SELECT part, kept FROM webhooks_empty_part(CAST(:keep AS interval))", calls_writer=True)
_detach: Final = Statement(
    "SELECT part, moved FROM webhooks_detach_part(CAST(:keep AS interval), CAST(:is_patient AS boolean))",
    calls_writer=True,
)

LOCKED: Final = "locked"
KEPT: Final = "kept"
MADE: Final = "made"
BOUND: Final = "bound"
"""What is answered where somebody has the part, where too many of its webhooks are not final, where one was made, and
where the part of no day has to be read first, beside everybody."""

log = structlog.get_logger(__name__)


@shared_task(name=TaskName.TURN_PARTS)
def turn_parts() -> str:
    """Make the parts ahead and drop those that are over; of a table that is one, only what a conversion left there."""
    try:
        ((in_parts,),) = execute(_in_parts)
        ((gone,),) = execute(_unbind)
        if gone:
            log.warning("webhook_parts_given_up")
        if in_parts:
            return _turn()
    except DatabaseUnavailableError:
        log.warning("database_unavailable")
        return "the database is away"
    return "webhooks are one table"


def _turn() -> str:
    made = _make_parts()
    _empty_parts()
    return f"made {made} parts, dropped {', '.join(_drop_parts()) or 'none'}"


def _empty_parts() -> None:
    """What a part has goes before the part does: nobody who writes a webhook waits for that."""
    for _ in range(MOST_PARTS):
        ((part, kept),) = execute(_empty, {"keep": settings().webhooks_retention})
        if part is None:
            break
        if part == LOCKED:
            log.info("webhook_part_locked")
            break
        log.info("webhook_part_emptied", part=part, kept=kept)


def _drop_parts() -> list[str]:
    dropped = list[str]()
    tries = 0
    while len(dropped) < MOST_PARTS and tries < TRIES:
        is_last = tries == TRIES - 1
        ((part, moved),) = execute(_detach, {"keep": settings().webhooks_retention, "is_patient": is_last})
        if part is None:
            break
        if part == KEPT:
            log.warning("webhook_part_kept")
            break
        if part != LOCKED:
            dropped.append(part)
            log.info("webhook_part_dropped", part=part, moved=moved)
            continue
        tries += 1
        if is_last:
            log.info("webhook_part_locked")
        else:
            sleep(PAUSE)
    return dropped


def _make_parts() -> int:
    """Each step is a transaction of its own: what reads for long holds no lock that anybody waits for."""
    made = 0
    for _ in range(MOST_STEPS):
        ((outcome, left_out),) = execute(_make, {"ahead": AHEAD})
        made += outcome == MADE
        holds = outcome != BOUND or _holds()
        if left_out or outcome == LOCKED or not holds:
            log.warning("webhook_parts_not_made", parts=left_out)
        if outcome not in {MADE, BOUND} or not holds:
            break
    return made


def _holds() -> bool:
    """Where it takes too long, or somebody is in the way, the next run tries it again."""
    try:
        return bool(execute(_validate)[0].holds)
    except DatabaseUnavailableError:
        return False
