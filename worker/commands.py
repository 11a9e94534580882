"""The task ``commands.run``: does what operators ordered in the console, a bounded step at a time.

The order is a row of the audit, written by the web tier, which may change nothing else; how far the worker is with it
is a row of ``command_runs``, under a lease. The message is only a wake-up, and beat rings as well.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from time import monotonic
from typing import Any, Final
from uuid import UUID

import structlog
from celery import shared_task
from sqlalchemy import Row, text

from checkout_service.database.engine import execute
from checkout_service.database.errors import DatabaseLockedError, DatabaseUnavailableError
from checkout_service.payments.status import PaymentStatus
from checkout_service.publishing.publisher import QueueUnavailableError, task_queue
from checkout_service.tasks import TaskName
from checkout_service.webhooks.queries import processable_page
from checkout_service.webhooks.reprocessing import BATCH, PATIENCE, Progress, process_batch
from checkout_service.webhooks.selection import Choice
from worker.payments.look_ups import look_up_now

WORK_FOR: Final = 8.0
"""Seconds after which a task lets payments be looked up and expired, and rings for the rest."""

LEASE: Final = timedelta(seconds=60)
"""Longer than a step: a batch that no worker comes to takes twice PATIENCE, a call to a slow provider ten seconds."""

STEP_FOR: Final = 40.0
"""Seconds that one batch is followed, however slowly it moves: its lease must not end meanwhile."""

REMEMBERED: Final = timedelta(days=7)
"""How old an order may be when it is begun: one that was forgotten for longer nobody expects any more."""

_begin = text("""
    INSERT INTO command_runs (id, until_at)
    SELECT audit.id, audit.created_at
    FROM audit LEFT JOIN command_runs AS run ON run.id = audit.id
    WHERE audit.action IN ('process_all', 'look_up', 'review') AND run.id IS NULL
        AND audit.id > (SELECT uuidv7(CAST(:older AS interval)))
    ORDER BY audit.id LIMIT 100
    ON CONFLICT (id) DO NOTHING
""")

# The one that waited longest: each step ends with a lease that is over, so that long runs take turns.
_lease = text("""
    UPDATE command_runs AS run SET leased_until = now() + :lease, updated_at = now()
    FROM audit
    WHERE run.id = ANY(ARRAY(
        SELECT id FROM command_runs WHERE state = 'running' AND leased_until <= now()
        ORDER BY leased_until LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
    )) AND audit.id = run.id
    RETURNING run.id, run.leased_until, run.until_at, run.after_at, run.after_id, run.replayed, run.results,
        audit.action, audit.subject, audit.details,
        EXISTS (SELECT FROM audit AS word WHERE word.subject = run.id::text AND word.action = 'stop') AS to_be_stopped
""")

_advance = text("""
    UPDATE command_runs SET state = :state, message = :message, replayed = :replayed, results = CAST(:results AS jsonb),
        after_at = :after_at, after_id = :after_id, leased_until = now(), updated_at = now()
    WHERE id = :id AND leased_until = :lease
""")

_payment = text("SELECT id, provider, provider_ref, status::text AS status FROM payments WHERE id = :id")

# Only the reason that the operator saw: another may have come since.
_clear_flag = text("""
    UPDATE payments SET review_reason = NULL, updated_at = now()
    WHERE id = :id AND review_reason = :seen
    RETURNING id
""")

_flag = text("SELECT review_reason FROM payments WHERE id = :id")

log = structlog.get_logger(__name__)


@shared_task(name=TaskName.RUN_COMMANDS)
def carry_out() -> str:
    """Take one step after another until no order waits or the time is over, then ring for the rest."""
    until = monotonic() + WORK_FOR
    steps = 0
    try:
        execute(_begin, {"older": -REMEMBERED})
        while rows := execute(_lease, {"lease": LEASE}):
            _step(rows[0])
            steps += 1
            if monotonic() > until:
                task_queue().enqueue(TaskName.RUN_COMMANDS)
                break
    except DatabaseUnavailableError:
        log.warning("database_unavailable")
    except QueueUnavailableError as error:
        # Beat goes on with it, once its lease is over.
        log.warning("broker_unavailable", error=str(error))
    return f"took {steps} steps"


def _step(row: Row[Any]) -> None:
    try:
        _ACTIONS[row.action](row)
    except DatabaseLockedError:
        log.warning("order_held_by_another", order=str(row.id))
    except (DatabaseUnavailableError, QueueUnavailableError):
        raise
    except Exception as error:
        log.exception("order_not_carried_out", order=str(row.id))
        _write(row, state="refused", message=f"it broke: {type(error).__name__}")


def _process_all(row: Row[Any]) -> None:
    """Have one batch of the webhooks that match processed, and remember how far that was."""
    if row.to_be_stopped:
        _write(row, state="stopped")
        return
    after = None if row.after_id is None else (row.after_at, row.after_id)
    page = processable_page(Choice.read(row.details["choice"]), until=row.until_at, after=after, limit=BATCH)
    if not page:
        _write(row, state="done")
        return
    progress = Progress(notified=row.replayed, became=Counter(row.results))
    started = monotonic()
    process_batch(page, progress, told=lambda _: None, within=STEP_FOR)
    last = page[-1]
    place = {
        "replayed": progress.notified,
        "results": dict(progress.became),
        "after_at": last.received_at,
        "after_id": last.id,
    }
    if progress.untouched:
        waited = STEP_FOR if monotonic() - started >= STEP_FOR else 2 * PATIENCE
        message = f"no worker came to {len(progress.untouched)} webhooks within {waited:.0f} s"
        _write(row, state="stalled", message=message, **place)
    else:
        _write(row, state="running", **place)


def _look_up(row: Row[Any]) -> None:
    found = execute(_payment, {"id": UUID(row.subject)})
    if not found:
        _write(row, state="refused", message="there is no such payment")
        return
    payment = found[0]
    answer = look_up_now(payment.id, provider=payment.provider, status=PaymentStatus(payment.status))
    _write(row, state="done", message=answer)


def _review(row: Row[Any]) -> None:
    seen = row.details["reason"]
    if execute(_clear_flag, {"id": UUID(row.subject), "seen": seen}):
        _write(row, state="done", message=f"{seen} was taken off")
        return
    # Done before, perhaps by this very order, whose answer was lost; or there is more to look at now.
    standing = execute(_flag, {"id": UUID(row.subject)})
    if standing and standing[0].review_reason is None:
        _write(row, state="done", message="no flag is left")
    else:
        _write(row, state="refused", message="the flag is another one by now: look at it again")


def _write(row: Row[Any], *, state: str, message: str | None = None, **place: Any) -> None:
    """What a step came to, unless its lease was over and somebody else has the run."""
    columns = {"replayed": row.replayed, "results": row.results, "after_at": row.after_at, "after_id": row.after_id}
    columns |= place
    columns["results"] = json.dumps(columns["results"])
    execute(_advance, {"id": row.id, "lease": row.leased_until, "state": state, "message": message, **columns})


_ACTIONS: Final[dict[str, Callable[[Row[Any]], None]]] = {
    "process_all": _process_all,
    "look_up": _look_up,
    "review": _review,
}
