"""The task ``webhooks.process``: claim, read, record.

The message is only a wake-up: it names one webhook, and the task works on all that wait.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from time import monotonic
from typing import Final
from uuid import UUID

import structlog
from celery import shared_task

from checkout_service.cache import cache
from checkout_service.database.engine import transaction
from checkout_service.database.errors import DatabaseLockedError, DatabaseUnavailableError
from checkout_service.publishing.wake_up import WAKE_UP, wake_worker
from checkout_service.tasks import TaskName
from worker.backoff import describe
from worker.transitions.recording import record
from worker.webhooks.claims import ClaimedWebhook, Result, claim, release, settle, with_bodies
from worker.webhooks.counting import counted
from worker.webhooks.parsing import Reading, read_webhooks, remember
from worker.webhooks.rejected import reject
from worker.webhooks.reports import of_webhooks
from worker.webhooks.results import failed_attempt, put_off, result_of
from worker.webhooks.statements import SET

WORK_FOR: Final = 4.0
"""Seconds after which a task lets the next one go on: well below its hard time limit."""

NOTIFY_AGAIN: Final = 1.0  # seconds after which a task that still claims full sets calls another one to help

LOOK_UP_FOR: Final = 4.0
"""Seconds into a set after which no further look-up begins. With the above, a last call to a slow provider (10 s) and
the recording, a task still ends within its time limit (20 s)."""

CHUNK: Final = 4 * 1024 * 1024
"""Bytes of large webhooks that are in the memory at once, and read between two looks at the clock: a hostile webhook of
256 KiB takes 0.2 s to read."""

log = structlog.get_logger(__name__)


class WebhookFailedError(Exception):
    """A webhook could not be processed for good; an operator may run its task again once the cause is gone."""


@shared_task(name=TaskName.PROCESS_WEBHOOK)
def process(delivery_id: str) -> str:
    """Process this webhook and all that wait; run it again at any time, with a webhook in any state.

    Raises WebhookFailedError if this webhook, which was tried before, failed for good.
    """
    own = UUID(delivery_id)
    # Before the claim: a webhook filed from here on rings again, one filed before is claimed now.
    cache().release(WAKE_UP)
    until = monotonic() + WORK_FOR
    try:
        webhooks = claim(own)
        if webhooks and webhooks[0].id == own and webhooks[0].tried_before:
            state = _process_alone(webhooks[0])
            if not webhooks[0].by_hand or monotonic() > until:
                return state
            # Perhaps nobody asked for this one: the message was the wake-up for all that wait, and while it was under
            # way another task was through with the webhook that it names. An unverified webhook must not swallow the
            # wake-up.
            return f"{state}; then {_process_waiting(claim(None), until)} webhooks"
        return f"{_process_waiting(webhooks, until)} webhooks"
    except DatabaseUnavailableError:
        log.warning("database_unavailable", delivery_id=delivery_id)
        return "the database is unavailable; the sweep rings again"


def _process_waiting(webhooks: list[ClaimedWebhook], until: float) -> int:
    """Claim set after set until nothing waits or the time is over."""
    count, notified = 0, float("-inf")
    while webhooks:
        if len(webhooks) >= SET and monotonic() - notified > NOTIFY_AGAIN:
            wake_worker(str(webhooks[0].id))
            notified = monotonic()
        count += _process_set(webhooks, until)
        if monotonic() > until:
            wake_worker(str(webhooks[-1].id))
            break
        webhooks = claim(None)
    return count


def _process_set(webhooks: Sequence[ClaimedWebhook], until: float) -> int:
    """Process webhooks that were never tried, the large ones last; returns how many.

    Those are read a chunk at a time while there is time, and given back after that.
    """
    small = [webhook for webhook in webhooks if not webhook.large]
    if small:
        _conclude(read_webhooks(small, look_up_until=monotonic() + LOOK_UP_FOR))
    count = len(small)
    unread = [webhook for webhook in webhooks if webhook.large]
    while unread and monotonic() < until:
        chunk = list(_chunk(unread))
        _conclude(read_webhooks(with_bodies(chunk), look_up_until=until))
        count += len(chunk)
        unread = unread[len(chunk) :]
    if unread:
        release(unread)
    return count


def _chunk(webhooks: Sequence[ClaimedWebhook]) -> Iterator[ClaimedWebhook]:
    """The first webhooks, as many as may be in the memory at once; never none."""
    size = 0
    for webhook in webhooks:
        if size and size + webhook.size > CHUNK:
            return
        size += webhook.size
        yield webhook


def _process_alone(webhook: ClaimedWebhook) -> str:
    """Process one webhook that was tried before; a poison webhook takes no neighbours down."""
    if webhook.used_up:
        used_up = WebhookFailedError("its attempts are used up, the last one unfinished")
        readings = [Reading(webhook=webhook, error=used_up)]
    else:
        readings = read_webhooks(with_bodies([webhook]), look_up_until=monotonic() + LOOK_UP_FOR)
    for result in _conclude(readings):
        if result.state == "failed":
            raise WebhookFailedError(f"webhook {webhook.id}: {result.detail}")
        return result.state
    return "nothing was written: it was dropped, or its lease ended"


def _conclude(readings: Sequence[Reading]) -> list[Result]:
    """Record what is verified, and only then keep the unverified webhooks; returns the results that were written."""
    verified = [reading for reading in readings if reading.rejected is None]
    unverified = [reading for reading in readings if reading.rejected is not None]
    return (_record_all(verified) if verified else []) + (_reject(unverified) if unverified else [])


def _record_all(readings: Sequence[Reading]) -> list[Result]:
    """Record the readings as one set; if that fails, each by itself, so that none holds back another."""
    try:
        return _record(readings)
    except DatabaseLockedError:
        log.warning("payment_held_by_another", webhooks=len(readings))
    except DatabaseUnavailableError:
        raise
    except Exception:
        if len(readings) == 1:
            log.exception("webhook_not_recorded", delivery_id=str(readings[0].webhook.id))
        else:
            log.warning("set_not_recorded", webhooks=len(readings), exc_info=True)
    return [result for reading in readings for result in _record_by_itself(reading)]


def _record_by_itself(reading: Reading) -> list[Result]:
    try:
        return _record([reading])
    except DatabaseLockedError as error:
        return _settle([failed_attempt(reading, describe(error))])
    except DatabaseUnavailableError:
        raise
    except Exception as error:  # noqa: BLE001 (whatever it is, it is this webhook's alone)
        return _settle([failed_attempt(reading, describe(error))])


def _record(readings: Sequence[Reading]) -> list[Result]:
    """One transaction: events in, payments moved, webhooks done."""
    results = []
    with transaction() as connection:
        recorded = record(connection, of_webhooks(readings))
        effects = iter(recorded.effects)
        for reading in readings:
            if reading.error is not None:
                results.append(failed_attempt(reading, describe(reading.error)))
            elif reading.unavailable is not None:
                results.append(put_off(reading))
            else:
                results.append(result_of(reading, [next(effects) for _ in (*reading.events, *reading.refunds)]))
        written = settle(connection, results)
    recorded.count()
    _remember(readings, results)
    return counted(written)


def _settle(results: list[Result]) -> list[Result]:
    with transaction() as connection:
        written = settle(connection, results)
    return counted(written)


def _reject(readings: Sequence[Reading]) -> list[Result]:
    results = [Result(webhook=reading.webhook, state="rejected", detail=reading.rejected) for reading in readings]
    try:
        with transaction() as connection:
            written = reject(connection, results)
    except DatabaseLockedError as error:
        log.warning("rejected_webhooks_held_by_another", webhooks=len(readings))
        return _settle([failed_attempt(reading, describe(error)) for reading in readings])
    except DatabaseUnavailableError:
        raise
    except Exception as error:
        log.exception("webhooks_not_rejected", webhooks=len(readings))
        return _settle([failed_attempt(reading, describe(error)) for reading in readings])
    return counted(written)


def _remember(readings: Sequence[Reading], results: Sequence[Result]) -> None:
    """Only after the commit, and never a mismatch: it is to be judged again."""
    remember(
        [
            reading
            for reading, result in zip(readings, results, strict=True)
            if result.state in {"applied", "duplicate"}
            and (reading.events or reading.refunds)
            and not (result.detail or "").startswith("mismatch")
        ]
    )
