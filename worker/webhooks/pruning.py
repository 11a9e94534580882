"""The task ``webhooks.prune``: removes webhooks, events and callers' addresses that are past their retention.

It also strikes out what was kept of orders of customers who were erased, once ``ORDERS_KEEP_YEARS`` are over.

Every step is bounded, so that a million rows never stand before the rest, and safe to run twice at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from time import monotonic, sleep
from typing import Any, Final
from uuid import UUID

import structlog
from celery import shared_task
from sqlalchemy import Executable, text

from checkout_service.database.engine import execute
from checkout_service.database.errors import DatabaseUnavailableError
from checkout_service.delivery_states import PENDING, DeliveryState
from checkout_service.tasks import TaskName
from worker.context import settings
from worker.webhooks.marks import Kind, mark_of

PRUNE_STEP: Final = 1000
PRUNE_FOR: Final = 9.0
"""Seconds for each of six kinds of rows; with a last slow step, all of it fits into the task's time limit (75 s)."""

_FINAL: Final = ", ".join(f"'{state}'" for state in DeliveryState if state not in {*PENDING, DeliveryState.REJECTED})

PAGE: Final = 5000
"""Callers' addresses that one step looks at."""

# Keys are version 7 UUIDs, so the oldest rows are the first of the primary key. As an array, so that a step goes by
# index: for IN the planner read the whole table at every step. Of a table in parts, row by row goes what no part takes
# along (migrations/webhooks/parts.sql).
_prune_webhooks = text(f"""
    DELETE FROM webhook_deliveries WHERE id = ANY(ARRAY(
        SELECT id FROM webhook_deliveries
        WHERE id > CAST(:after AS uuid) AND id < (SELECT webhooks_prunable_below(-CAST(:older_than AS interval)))
            AND state IN ({_FINAL}) AND received_at < now() + :older_than
        ORDER BY id LIMIT {PRUNE_STEP} FOR UPDATE SKIP LOCKED
    ))
    RETURNING id
""")  # noqa: S608 (only our own constants)

_prune_rejected = text(f"""
    DELETE FROM webhook_deliveries WHERE id = ANY(ARRAY(
        SELECT id FROM webhook_deliveries
        WHERE state = '{DeliveryState.REJECTED}' AND id > CAST(:after AS uuid)
            AND id < (SELECT uuidv7(CAST(:older_than AS interval))) AND received_at < now() + :older_than
        ORDER BY state, id LIMIT {PRUNE_STEP} FOR UPDATE SKIP LOCKED
    ))
    RETURNING id
""")  # noqa: S608 (only our own constants)

_prune_events, _prune_refund_events = (
    text(f"""
        DELETE FROM {table} WHERE id = ANY(ARRAY(
            SELECT id FROM {table}
            WHERE id > CAST(:after AS uuid) AND id < (SELECT uuidv7(CAST(:older_than AS interval)))
                AND received_at < now() + :older_than
            ORDER BY id LIMIT {PRUNE_STEP} FOR UPDATE SKIP LOCKED
        ))
        RETURNING id
    """)  # noqa: S608 (only our own constants)
    for table in ("payment_events", "refund_events")
)
# A day old, or of a payment that is decided: it matters no longer from where that was opened, unless it holds pieces.
# What may fail once more counts for the address then (worker/transitions/failing.py). They become so in any order, so
# run after run goes round, a page at a time; what is older than two days is looked for once a day.
_prune_addresses = text(f"""
    WITH page AS MATERIALIZED (
        SELECT id, payment_id, ends_at FROM session_addresses WHERE id > CAST(:after AS uuid) ORDER BY id LIMIT {PAGE}
    ), gone AS (
        DELETE FROM session_addresses WHERE id = ANY(ARRAY(
            SELECT here.id FROM page AS here JOIN payments AS payment ON payment.id = here.payment_id
            WHERE (here.ends_at < now() OR payment.status NOT IN ('pending', 'processing', 'failed')) AND NOT EXISTS (
                SELECT FROM holds WHERE holds.payment_id = here.payment_id AND holds.state = 'held')
        ))
        RETURNING id
    )
    SELECT (SELECT id FROM page ORDER BY id DESC LIMIT 1) AS id, (SELECT count(*) FROM page) AS seen,
        (SELECT count(*) FROM gone) AS gone, uuidv7(interval '-2 days') AS again
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
        webhooks = _in_steps(Kind.WEBHOOKS, _prune_webhooks, older_than=-keep.webhooks_retention)
        rejected = _in_steps(Kind.REJECTED, _prune_rejected, older_than=-keep.rejected_retention)
        events = _in_steps(Kind.PAYMENT_EVENTS, _prune_events, older_than=-keep.events_retention)
        events += _in_steps(Kind.REFUND_EVENTS, _prune_refund_events, older_than=-keep.events_retention)
        addresses = _round_addresses()
        orders = _strike_out(keep.orders_keep_years)
    except DatabaseUnavailableError:
        log.warning("database_unavailable")
        return "the database is unavailable"
    return (
        f"pruned {webhooks} webhooks, {rejected} rejected webhooks, {events} events, {addresses} addresses, "
        f"struck out {orders} orders"
    )


def _in_steps(kind: Kind, statement: Executable, **values: object) -> int:
    """Delete from the kind's mark on, and keep the mark where this ends."""

    def step(after: UUID) -> Sequence[Any]:
        return execute(statement, values | {"after": after})

    mark = mark_of(kind)
    count, is_through = 0, False
    try:
        for _ in _paced():
            rows = mark.step(step)
            count += len(rows)
            mark.after = max((row.id for row in rows), default=mark.after)
            if is_through := len(rows) < PRUNE_STEP:
                break
    finally:
        mark.keep(is_through=is_through)
    return count


def _round_addresses() -> int:
    """Look at addresses from the mark on, and begin again behind the last."""

    def step(after: UUID) -> Sequence[Any]:
        return execute(_prune_addresses, {"after": after})

    mark = mark_of(Kind.ADDRESSES)
    count = 0
    for _ in _paced():
        ((last, seen, gone, again),) = mark.step(step)
        count += gone
        mark.after = again if seen < PAGE else last
        if seen < PAGE:
            break
    mark.keep_as_it_is()
    return count


def _strike_out(years: int) -> int:
    count = 0
    for _ in _paced():
        step = len(execute(_strike_out_orders, {"years": years}))
        count += step
        if step < PRUNE_STEP:
            break
    return count


def _paced() -> Iterator[None]:
    """Steps for some seconds, with as long between them as each took: everybody else wants the processors."""
    until = monotonic() + PRUNE_FOR
    while (began := monotonic()) < until:
        yield
        sleep(min(monotonic() - began, 1.0))
