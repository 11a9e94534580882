"""The task ``stock.sweep``: ends holds whose time is over.

While money is under way, authorized, or came in part, they stay until ``<PROVIDER>_HOLD_LIMIT_SECONDS`` after the
session's end (``holds_sweep`` in migrations/orders/stock.sql). Every step is bounded, and skips what others hold.
"""

from __future__ import annotations

from time import monotonic
from typing import Final

import orjson
import structlog
from celery import shared_task

from checkout_service.database.engine import execute
from checkout_service.database.errors import DatabaseLockedError, DatabaseUnavailableError
from checkout_service.database.statements import Statement
from checkout_service.settings.provider_accounts import HOLD_LIMIT
from checkout_service.tasks import TaskName
from checkout_service.telemetry.metrics import holds_ended_total
from worker.context import settings

STEP: Final = 500
"""Holds of one step: whoever wants pieces of the same listings waits for it."""

SWEEP_FOR: Final = 20.0
"""Seconds after which a sweep begins no further step. The next one comes 30 s after it began."""

_sweep = Statement("SELECT seen, ended FROM holds_sweep(CAST(:most AS integer), CAST(:limits AS jsonb))")

log = structlog.get_logger(__name__)


@shared_task(name=TaskName.SWEEP_STOCK)
def sweep() -> str:
    """End holds whose time is over, in short steps, until none is due or some seconds have passed."""
    until = monotonic() + SWEEP_FOR
    limits = orjson.dumps(_limits()).decode()
    ended, is_over = 0, False
    while not is_over and monotonic() < until:
        try:
            (row,) = execute(_sweep, {"most": STEP, "limits": limits})
        except DatabaseLockedError:
            # Somebody had one of the counters for long: it waits no longer for the rest.
            continue
        except DatabaseUnavailableError:
            log.warning("database_unavailable")
            break
        ended += row.ended
        is_over = row.seen < STEP
    holds_ended_total.inc(ended)
    return f"ended {ended} holds" + ("" if is_over else ", and more may be due")


def _limits() -> dict[str, int]:
    """Seconds by provider; under '' those of a provider at which this worker has no account."""
    limits = {name: int(account.hold_limit.total_seconds()) for name, account in settings().accounts.items()}
    return limits | {"": int(HOLD_LIMIT.total_seconds())}
