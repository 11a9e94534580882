"""The task ``payments.sweep``: sends tasks for what was asked for and is due. The rows know what is due."""

from __future__ import annotations

from typing import Final, NamedTuple
from uuid import UUID

import structlog
from celery import shared_task
from sqlalchemy import text

from checkout_service.cache import cache
from checkout_service.database.engine import execute
from checkout_service.database.errors import DatabaseUnavailableError
from checkout_service.publishing.publisher import QueueUnavailableError, task_queue
from checkout_service.tasks import TaskName

STEP: Final = 500

SEND_AGAIN: Final = 10_000
"""Milliseconds after which a message that was lost, or still waits behind others, is sent once more."""

_due = text(f"""
    (SELECT '{TaskName.REFUND_PAYMENT}' AS task, id FROM refunds
        WHERE status <= 'processing' AND next_attempt_at <= now() ORDER BY next_attempt_at LIMIT {STEP})
    UNION ALL
    (SELECT '{TaskName.CAPTURE_PAYMENT}', id FROM capture_requests
        WHERE status <= 'processing' AND next_attempt_at <= now() ORDER BY next_attempt_at LIMIT {STEP})
    UNION ALL
    (SELECT '{TaskName.VOID_PAYMENT}', void.id FROM voids AS void
        WHERE void.status <= 'processing' AND (void.next_attempt_at <= now() OR void.status = 'processing' AND EXISTS (
            SELECT FROM payments AS payment
            WHERE payment.id = void.payment_id AND (payment.amount_authorized = 0 OR payment.closed IS NOT NULL)))
        ORDER BY void.next_attempt_at LIMIT {STEP})
    UNION ALL
    (SELECT '{TaskName.CANCEL_PAYMENT}', payment_id FROM cancel_requests
        WHERE next_attempt_at <= now() ORDER BY next_attempt_at LIMIT {STEP})
""")  # noqa: S608 (only our own constants)


class _DueTask(NamedTuple):
    """A task that is due, and the id of the row that it is about."""

    task: str
    id: UUID


log = structlog.get_logger(__name__)


@shared_task(name=TaskName.SWEEP_PAYMENTS)
def sweep() -> str:
    """Send the tasks of up to 500 refunds, captures, voids and cancellations each that are due.

    A void is due also when nothing is open any more: an event ended it.
    """
    try:
        due = list(map(_DueTask._make, execute(_due)))
    except DatabaseUnavailableError:
        log.warning("database_unavailable")
        return "the database is unavailable"
    sent = 0
    try:
        for row in due:
            sent += _send_once(TaskName(row.task), str(row.id))
    except QueueUnavailableError as error:
        log.warning("broker_unavailable", error=str(error))
    return f"sent {sent} of {len(due)} that are due"


def _send_once(task: TaskName, argument: str) -> bool:
    """Send the task for this one, unless another sweep sent it within the last seconds; whether it was sent."""
    name = f"sent:{task.value}:{argument}"
    if not cache().claim(name, milliseconds=SEND_AGAIN):
        return False
    try:
        task_queue().enqueue(task, argument)
    except QueueUnavailableError:
        cache().release(name)
        raise
    return True
