"""The task ``orders.cancel_short``: gives money back by itself that came when there were too few pieces.

Only where PAID_WITHOUT_STOCK says so. The function orders_cancel_short (migrations/restores/short_orders.sql) cancels
orders that are short, some at a time, through the trigger that judges every cancellation: nothing of them was
fulfilled, and each has its refunds and its void with it in one transaction. One whose payment waits for its look-up
after a restore is left. What this sends is only sooner than the sweep.
"""

from __future__ import annotations

from time import monotonic
from typing import Final

import structlog
from celery import shared_task

from checkout_service.database.engine import execute
from checkout_service.database.errors import DatabaseUnavailableError
from checkout_service.database.statements import Statement
from checkout_service.publishing.publisher import QueueUnavailableError, task_queue
from checkout_service.refunds.operations import SERVICE
from checkout_service.tasks import TaskName
from checkout_service.telemetry.metrics import short_orders_canceled_total
from worker.context import settings
from worker.events.sequencer import sequence_events

STEP: Final = 50
WORK_FOR: Final = 20.0
"""Seconds; with a last slow step, all of it fits into the task's time limit (75 s)."""

_cancel: Final = Statement(
    "SELECT order_id, refund_ids, void_id FROM orders_cancel_short(CAST(:most AS integer), CAST(:service AS uuid))"
)

log = structlog.get_logger(__name__)


@shared_task(name=TaskName.CANCEL_SHORT_ORDERS)
def cancel_short_orders() -> str:
    """Cancel orders that are short, and have their money given back, if that is the setting; some seconds of them."""
    if not settings().refunds_without_stock:
        return "orders that are short are kept"
    until, count, more = monotonic() + WORK_FOR, 0, True
    try:
        while more and monotonic() < until:
            seen, canceled = _cancel_some()
            count += canceled
            # Where all were refused, those that are left are tried by the next run.
            more = seen == STEP and canceled > 0
    except DatabaseUnavailableError:
        log.warning("database_unavailable")
        return f"canceled {count}; the database is unavailable"
    return f"canceled {count}"


def _cancel_some() -> tuple[int, int]:
    """Cancel up to STEP orders and send for their refunds and voids; how many were tried, and how many are canceled.

    One without refunds was refused, for a reason that nobody foresaw: it stays short, with its payment's reason, and
    is tried again after all others.
    """
    found = execute(_cancel, {"most": STEP, "service": SERVICE})
    rows = [row for row in found if row.refund_ids is not None]
    for row in found:
        if row.refund_ids is None:
            log.error("short_order_refused", order_id=str(row.order_id))
    if rows:
        sequence_events()
    for row in rows:
        short_orders_canceled_total.inc()
        log.info("short_order_canceled", order_id=str(row.order_id), refunds=len(row.refund_ids))
    try:
        for row in rows:
            for refund_id in row.refund_ids:
                task_queue().enqueue(TaskName.REFUND_PAYMENT, str(refund_id))
            if row.void_id is not None:
                task_queue().enqueue(TaskName.VOID_PAYMENT, str(row.void_id))
    except QueueUnavailableError as error:
        log.warning("broker_unavailable", error=str(error))
    return len(found), len(rows)
