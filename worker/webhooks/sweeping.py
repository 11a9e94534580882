"""The task ``webhooks.sweep``: sends wake-ups again for webhooks that are due and that nobody came to.

Every step is bounded, so that a million rows never stand before the rest, and safe to run twice at once.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Final
from uuid import UUID

import structlog
from celery import shared_task
from sqlalchemy import text

from checkout_service.cache import cache
from checkout_service.database.engine import execute
from checkout_service.database.errors import DatabaseUnavailableError
from checkout_service.delivery_states import PENDING, DeliveryState, listed
from checkout_service.publishing.publisher import QueueUnavailableError, task_queue
from checkout_service.publishing.wake_up import wake_worker
from checkout_service.tasks import TaskName

STEP: Final = 500
WALK: Final = 5000
SWEEP_FOR: Final = 4.0
"""Seconds after which a sweep begins no further step: with a last slow one it ends within its time limit (20 s)."""

_PENDING: Final = listed(PENDING)
_PARKED: Final = f"'{DeliveryState.PARKED}'"

# Also those that a command marked for a task of their own, whose message was lost.
_due = text(f"""
    (SELECT id, state, attempts FROM webhook_deliveries
        WHERE state IN ({_PENDING}) AND next_attempt_at <= now()
        ORDER BY next_attempt_at LIMIT {STEP})
    UNION ALL
    (SELECT id, state, attempts FROM webhook_deliveries
        WHERE replay_of IS NOT NULL AND state NOT IN ({_PENDING}) AND updated_at < now() - interval '5 seconds'
        LIMIT {STEP})
""")  # noqa: S608 (only our own constants)

# Ordered, so that it is found by its index also where no statistics say that few or none are.
_parked = text(f"""
    SELECT id FROM webhook_deliveries WHERE state = {_PARKED} ORDER BY provider, provider_ref LIMIT 1
""")  # noqa: S608 (only our own constants)

# A payment that came within the last minute brings its webhooks forward at once, whatever else is parked; of very many
# only the newest, since the walk finds the others. LATERAL leaves the planner no way but from each payment to its
# webhooks; a join with a million parked ones took longer than it may.
_bring_forward = text(f"""
    UPDATE webhook_deliveries SET next_attempt_at = now(), updated_at = now()
    WHERE id = ANY(ARRAY(
        SELECT webhook.id
        FROM (
            SELECT provider, provider_ref FROM payments
            WHERE status = ANY(enum_range(NULL::payment_status)) AND created_at > now() - interval '1 minute'
            ORDER BY created_at DESC LIMIT {WALK}
        ) AS payment CROSS JOIN LATERAL (
            SELECT id FROM webhook_deliveries
            WHERE state = {_PARKED} AND next_attempt_at > now()
                AND provider = payment.provider AND provider_ref = payment.provider_ref
            ORDER BY provider, provider_ref LIMIT {STEP} FOR NO KEY UPDATE SKIP LOCKED
        ) AS webhook
        LIMIT {STEP}
    )) AND state = {_PARKED}
    RETURNING id
""")  # noqa: S608 (only our own constants)

# A name that was entered within the last minute does so too: a dispute may come before the charge that it is of, and
# news of several payments stands under all their names. Ids of entries are in the order of time.
_bring_named_forward = text(f"""
    UPDATE webhook_deliveries SET next_attempt_at = now(), updated_at = now()
    WHERE id = ANY(ARRAY(
        SELECT webhook.id
        FROM (
            (SELECT provider, attempt_ref AS name FROM payment_attempts
                WHERE id > uuidv7(interval '-1 minute') AND attempt_ref <> '' ORDER BY id DESC LIMIT {WALK})
            UNION
            (SELECT provider, capture_ref FROM captures
                WHERE id > uuidv7(interval '-1 minute') ORDER BY id DESC LIMIT {WALK})
            UNION
            (SELECT provider, dispute_ref FROM disputes
                WHERE id > uuidv7(interval '-1 minute') AND dispute_ref <> '' ORDER BY id DESC LIMIT {WALK})
            UNION
            (SELECT provider, provider_ref FROM refunds
                WHERE id > uuidv7(interval '-1 minute') AND provider_ref IS NOT NULL ORDER BY id DESC LIMIT {WALK})
            UNION
            (SELECT provider, provider_ref FROM payments
                WHERE status = ANY(enum_range(NULL::payment_status)) AND created_at > now() - interval '1 minute'
                ORDER BY created_at DESC LIMIT {WALK})
        ) AS entry CROSS JOIN LATERAL (
            SELECT id FROM webhook_deliveries
            WHERE state = {_PARKED} AND next_attempt_at > now() AND names @> ARRAY[entry.name]
                AND provider = entry.provider
            LIMIT {STEP} FOR NO KEY UPDATE SKIP LOCKED
        ) AS webhook
        LIMIT {STEP}
    )) AND state = {_PARKED}
    RETURNING id
""")  # noqa: S608 (only our own constants)

# What could not be verified yet stands among the rejected, within their bounds. As if it had never been tried, so that
# it is claimed in sets; what names an open payment first.
_verify_again = text(f"""
    UPDATE webhook_deliveries SET state = '{DeliveryState.RECEIVED}', attempts = 0, next_attempt_at = now(),
        updated_at = now()
    WHERE id = ANY(ARRAY(
        SELECT id FROM webhook_deliveries
        WHERE state = '{DeliveryState.REJECTED}' AND next_attempt_at <= now() AND replay_of IS NULL
        ORDER BY rejected_class, next_attempt_at LIMIT {STEP} FOR NO KEY UPDATE SKIP LOCKED
    ))
    RETURNING id
""")  # noqa: S608 (only our own constants)

# And a walk through all that is parked, a page a sweep, finds what was missed while nobody swept.
_walk = text(f"""
    WITH page AS (
        SELECT id, provider, provider_ref, names, next_attempt_at FROM webhook_deliveries
        WHERE state = {_PARKED} AND (provider, provider_ref) > (:provider, :reference)
        ORDER BY provider, provider_ref LIMIT {WALK}
    ), here AS (
        SELECT page.id
        FROM page
        WHERE page.next_attempt_at > now() AND (EXISTS (
            SELECT FROM payments AS payment
            WHERE payment.provider_ref = page.provider_ref AND payment.provider = page.provider
        ) OR page.names IS NOT NULL AND EXISTS (
            SELECT FROM unnest(page.names) AS known (name) CROSS JOIN LATERAL (
                SELECT FROM payment_attempts WHERE provider = page.provider AND attempt_ref = known.name
                    AND attempt_ref <> ''
                UNION ALL
                SELECT FROM captures WHERE provider = page.provider AND capture_ref = known.name
                UNION ALL
                SELECT FROM disputes WHERE provider = page.provider AND dispute_ref = known.name
                    AND dispute_ref <> ''
                UNION ALL
                SELECT FROM refunds WHERE provider = page.provider AND provider_ref = known.name
                UNION ALL
                SELECT FROM capture_requests WHERE provider = page.provider AND provider_ref = known.name
                UNION ALL
                SELECT FROM payments WHERE provider = page.provider AND provider_ref = known.name
            ) AS entry
        ))
        LIMIT {STEP}
    ), mine AS (
        SELECT id FROM webhook_deliveries WHERE id = ANY(ARRAY(SELECT id FROM here)) AND state = {_PARKED}
        FOR NO KEY UPDATE SKIP LOCKED
    ), found AS (
        UPDATE webhook_deliveries SET next_attempt_at = now(), updated_at = now()
        WHERE id = ANY(ARRAY(SELECT id FROM mine)) AND state = {_PARKED}
        RETURNING id
    )
    SELECT provider, provider_ref, (SELECT count(*) FROM found) AS found
    FROM page ORDER BY provider DESC, provider_ref DESC LIMIT 1
""")  # noqa: S608 (only our own constants)

log = structlog.get_logger(__name__)


@shared_task(name=TaskName.SWEEP_WEBHOOKS)
def sweep() -> str:
    """Wake workers for up to 500 webhooks that are due, for parked ones whose payment is here now, and for rejected
    ones that could not be verified yet.
    """
    until = monotonic() + SWEEP_FOR
    done = {step: _attempt(step, until) for step in (_wake_for_due, _verify_waiting, _bring_new_forward, _walk_on)}
    if done[_verify_waiting] or done[_bring_new_forward] or done[_walk_on]:
        done[_wake_for_due] = _attempt(_wake_for_due, until)
    if None in done.values():
        return "the database is unavailable"
    return f"woke workers for {done[_wake_for_due]} webhooks"


def _attempt(step: Callable[[], int], until: float) -> int | None:
    """How many webhooks a step saw to, or None if the database did not let it: the next step is none the worse."""
    if monotonic() > until:
        return 0
    try:
        return step()
    except DatabaseUnavailableError:
        log.warning("database_unavailable", step=step.__name__.strip("_"))
        return None


def _wake_for_due() -> int:
    """Wake workers for what is due: one wake-up for all webhooks that were never tried, a message for each other."""
    due = execute(_due)
    untried = [row.id for row in due if row.state == DeliveryState.RECEIVED and row.attempts == 0]
    tried = [row.id for row in due if row.state != DeliveryState.RECEIVED or row.attempts > 0]
    if untried:
        wake_worker(str(untried[0]))
    try:
        for delivery_id in tried:
            _send_once(delivery_id)
    except QueueUnavailableError as error:
        log.warning("broker_unavailable", error=str(error))
    return len(due)


def _send_once(delivery_id: UUID) -> None:
    """A message for this webhook, unless another sweep sent one within the last seconds."""
    name = f"sent:{delivery_id}"
    if not cache().claim(name, milliseconds=10_000):
        return
    try:
        task_queue().enqueue(TaskName.PROCESS_WEBHOOK, str(delivery_id))
    except QueueUnavailableError:
        cache().release(name)
        raise


def _verify_waiting() -> int:
    return len(execute(_verify_again))


def _bring_new_forward() -> int:
    """Nothing is parked most of the time: then nobody looks through the payments of the last minute for it."""
    if not execute(_parked):
        return 0
    return len(execute(_bring_forward)) + len(execute(_bring_named_forward))


def _walk_on() -> int:
    """Look through the next page of what is parked; begin again after the last."""
    page = execute(_walk, {"provider": _Walk.provider, "reference": _Walk.reference})
    if not page:
        _Walk.provider, _Walk.reference = "", ""
        return 0
    if page[0].found < STEP:
        _Walk.provider, _Walk.reference = page[0].provider, page[0].provider_ref
    return int(page[0].found)


class _Walk:
    """Where this process's walk stands. Lost with the process, which only means that it begins again."""

    provider = ""
    reference = ""
