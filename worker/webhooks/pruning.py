"""The task ``webhooks.prune``: removes webhooks, events and callers' addresses that are past their retention.

It also strikes out what was kept of orders of customers who were erased, once ``ORDERS_KEEP_YEARS`` are over.

Every step is bounded, so that a million rows never stand before the rest, and safe to run twice at once.
"""

from __future__ import annotations

from time import monotonic, sleep
from typing import Final

import structlog
from celery import shared_task
from sqlalchemy import Executable, text

from checkout_service.database.engine import execute
from checkout_service.database.errors import DatabaseUnavailableError
from checkout_service.delivery_states import PENDING, DeliveryState
from checkout_service.tasks import TaskName
from worker.context import settings

PRUNE_STEP: Final = 1000
PRUNE_FOR: Final = 9.0
"""Seconds for each of six kinds of rows; with a last slow step, all of it fits into the task's time limit (75 s)."""

_FINAL: Final = ", ".join(f"'{state}'" for state in DeliveryState if state not in {*PENDING, DeliveryState.REJECTED})

# Keys are version 7 UUIDs, so the oldest rows are the first of the primary key. As an array, so that a step goes by
# index: for IN the planner read the whole table at every step.
_prune_webhooks = text(f"""
    DELETE FROM webhook_deliveries WHERE id = ANY(ARRAY(
        SELECT id FROM webhook_deliveries
        WHERE id < (SELECT uuidv7(CAST(:older_than AS interval)))
            AND state IN ({_FINAL}) AND received_at < now() + :older_than
        ORDER BY id LIMIT {PRUNE_STEP} FOR UPDATE SKIP LOCKED
    ))
    RETURNING id
""")  # noqa: S608 (only our own constants)

_prune_rejected = text(f"""
    DELETE FROM webhook_deliveries WHERE id = ANY(ARRAY(
        SELECT id FROM webhook_deliveries WHERE state = '{DeliveryState.REJECTED}' AND received_at < now() + :older_than
        ORDER BY received_at LIMIT {PRUNE_STEP} FOR UPDATE SKIP LOCKED
    ))
    RETURNING id
""")  # noqa: S608 (only our own constants)

_prune_events, _prune_refund_events = (
    text(f"""
        DELETE FROM {table} WHERE id = ANY(ARRAY(
            SELECT id FROM {table}
            WHERE id < (SELECT uuidv7(CAST(:older_than AS interval))) AND received_at < now() + :older_than
            ORDER BY id LIMIT {PRUNE_STEP} FOR UPDATE SKIP LOCKED
        ))
        RETURNING id
    """)  # noqa: S608 (only our own constants)
    for table in ("payment_events", "refund_events")
)
# A day old, or of a payment that is decided: it matters no longer from where that was opened, unless it holds pieces.
# What may fail once more counts for the address then (worker/transitions/failing.py).
_prune_addresses = text(f"""
    DELETE FROM session_addresses WHERE id = ANY(ARRAY(
        SELECT here.id FROM session_addresses AS here JOIN payments AS payment ON payment.id = here.payment_id
        WHERE (here.ends_at < now() OR payment.status NOT IN ('pending', 'processing', 'failed')) AND NOT EXISTS (
            SELECT FROM holds WHERE holds.payment_id = here.payment_id AND holds.state = 'held')
        ORDER BY here.id LIMIT {PRUNE_STEP}
    ))
    RETURNING id
""")  # noqa: S608 (only our own constants)

# Of customers who were erased: what an invoice needs was kept until now (migrations/orders/erasing.sql).
_strike_out_orders = text(
    f"SELECT id FROM orders_strike_out(make_interval(years => :years), {PRUNE_STEP}) AS id"  # noqa: S608 (our constant)
)

log = structlog.get_logger(__name__)


@shared_task(name=TaskName.PRUNE_WEBHOOKS)
def prune() -> str:
    """Remove webhooks, events and callers' addresses past their retention, in short steps, for at most some seconds."""
    keep = settings()
    try:
        webhooks = _in_steps(_prune_webhooks, older_than=-keep.webhooks_retention)
        rejected = _in_steps(_prune_rejected, older_than=-keep.rejected_retention)
        events = _in_steps(_prune_events, older_than=-keep.events_retention)
        events += _in_steps(_prune_refund_events, older_than=-keep.events_retention)
        addresses = _in_steps(_prune_addresses)
        orders = _in_steps(_strike_out_orders, years=keep.orders_keep_years)
    except DatabaseUnavailableError:
        log.warning("database_unavailable")
        return "the database is unavailable"
    return (
        f"pruned {webhooks} webhooks, {rejected} rejected webhooks, {events} events, {addresses} addresses, "
        f"struck out {orders} orders"
    )


def _in_steps(statement: Executable, **values: object) -> int:
    until = monotonic() + PRUNE_FOR
    count = 0
    while (began := monotonic()) < until:
        step = len(execute(statement, values))
        count += step
        if step < PRUNE_STEP:
            break
        # As long again: nobody waits for this, and everybody else wants the processors.
        sleep(min(monotonic() - began, 1.0))
    return count
