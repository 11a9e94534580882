"""The task ``payments.sweep``: sends tasks for refunds and cancellations that are due. Their rows know what is due."""

from __future__ import annotations

from typing import Final

import structlog
from celery import shared_task
from sqlalchemy import text

from checkout_service.cache import cache
from checkout_service.database.engine import execute
from checkout_service.database.errors import DatabaseUnavailableError
from checkout_service.publishing.publisher import QueueUnavailableError, task_queue
from checkout_service.tasks import TaskName

STEP: Final = 500

NOTIFY_AGAIN: Final = 10_000
"""Milliseconds after which a message that was lost, or still waits behind others, is sent once more."""

_due = text(f"""
    (SELECT '{TaskName.REFUND_PAYMENT}' AS task, id FROM refunds
        WHERE status <= 'processing' AND next_attempt_at <= now() ORDER BY next_attempt_at LIMIT {STEP})
    UNION ALL
    (SELECT '{TaskName.CANCEL_PAYMENT}', payment_id FROM cancel_requests
        WHERE next_attempt_at <= now() ORDER BY next_attempt_at LIMIT {STEP})
""")  # noqa: S608 (only our own constants)

log = structlog.get_logger(__name__)


@shared_task(name=TaskName.SWEEP_PAYMENTS)
def sweep() -> str:
    """Ring for up to 500 refunds and 500 cancellations that are due."""
    try:
        due = execute(_due)
    except DatabaseUnavailableError:
        log.warning("database_unavailable")
        return "the database is unavailable"
    notified = 0
    try:
        for row in due:
            notified += _ring_once(TaskName(row.task), str(row.id))
    except QueueUnavailableError as error:
        log.warning("broker_unavailable", error=str(error))
    return f"rang for {notified} of {len(due)} that are due"


def _ring_once(task: TaskName, argument: str) -> bool:
    """A message for this one, unless another sweep sent one within the last seconds."""
    name = f"rang:{task.value}:{argument}"
    if not cache().claim(name, milliseconds=NOTIFY_AGAIN):
        return False
    try:
        task_queue().enqueue(task, argument)
    except QueueUnavailableError:
        cache().release(name)
        raise
    return True
