"""The task ``payments.sweep``: sends tasks for what was asked for and is due. The rows know what is due.

It also numbers orders that nobody numbered when they were made.
"""

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
from worker.events.sequencer import sequence_events

STEP: Final = 500

OLDEST_DUE: Final = 5_000
"""Of each kind: what is due for longest, among which providers and customers take turns."""

SEND_AGAIN: Final = 10_000
"""Milliseconds after which a message that was lost, or still waits behind others, is sent once more."""

# Everybody's first one before anybody's second, of each kind and at each provider; and each provider's first one before
# any provider's second.
_due = text(f"""
    SELECT task, id FROM (
        SELECT task, id, next_attempt_at, place,
            row_number() OVER (PARTITION BY task ORDER BY place, next_attempt_at) AS place_of_all
        FROM (
            SELECT task, id, next_attempt_at,
                row_number() OVER (PARTITION BY task, provider ORDER BY turn, next_attempt_at) AS place
            FROM (
                SELECT due.*, payment.provider, row_number() OVER (
                    PARTITION BY due.task, payment.provider, payment.user_id ORDER BY due.next_attempt_at) AS turn
                FROM (
                    (SELECT '{TaskName.REFUND_PAYMENT}' AS task, id, payment_id, next_attempt_at FROM refunds
                        WHERE status <= 'processing' AND next_attempt_at <= now()
                        ORDER BY next_attempt_at LIMIT {OLDEST_DUE})
                    UNION ALL
                    (SELECT '{TaskName.CAPTURE_PAYMENT}', id, payment_id, next_attempt_at FROM capture_requests
                        WHERE status <= 'processing' AND next_attempt_at <= now()
                        ORDER BY next_attempt_at LIMIT {OLDEST_DUE})
                    UNION ALL
                    (SELECT '{TaskName.VOID_PAYMENT}', void.id, void.payment_id, void.next_attempt_at FROM voids AS void
                        WHERE void.status <= 'processing'
                            AND (void.next_attempt_at <= now() OR void.status = 'processing' AND EXISTS (
                                SELECT FROM payments AS own WHERE own.id = void.payment_id
                                    AND (own.amount_authorized = 0 OR own.closed IS NOT NULL)))
                        ORDER BY void.next_attempt_at LIMIT {OLDEST_DUE})
                    UNION ALL
                    (SELECT '{TaskName.CANCEL_PAYMENT}', payment_id, payment_id, next_attempt_at FROM cancel_requests
                        WHERE next_attempt_at <= now() ORDER BY next_attempt_at LIMIT {OLDEST_DUE})
                ) AS due JOIN payments AS payment ON payment.id = due.payment_id
            ) AS ranked
        ) AS placed
    ) AS ordered
    WHERE place_of_all <= {STEP} ORDER BY place, next_attempt_at
""")  # noqa: S608 (only our own constants)


class _DueTask(NamedTuple):
    """A task that is due, and the id of the row that it is about."""

    task: str
    id: UUID


log = structlog.get_logger(__name__)


@shared_task(name=TaskName.SWEEP_PAYMENTS)
def sweep() -> str:
    """Send the tasks of up to 500 refunds, captures, voids and cancellations each that are due; number what was left.

    Those of all kinds in turns. A void is due also when nothing is open any more: an event ended it. Orders and events
    have their numbers already, but for those whose worker died after the commit, and what staff and customers did.
    """
    sequence_events()
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
