"""The task ``webhooks.process``: claim, read, record.

The message is only a wake-up: it names one webhook, and the task works on all that wait. Named by an operator, a
webhook in a final state is replayed. The message may also name a command that replays many.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from time import monotonic
from typing import Final
from uuid import UUID, uuid4

import structlog
from celery import shared_task
from sqlalchemy import Connection

from checkout_service.cache import cache
from checkout_service.commands.models import LONGEST_OPERATOR
from checkout_service.database.engine import transaction
from checkout_service.database.errors import DatabaseLockedError, DatabaseUnavailableError
from checkout_service.delivery_states import DeliveryState
from checkout_service.publishing.publisher import QueueUnavailableError, task_queue
from checkout_service.publishing.wake_up import WAKE_UP, wake_worker
from checkout_service.tasks import TaskName
from worker.backoff import describe
from worker.transitions.recording import record
from worker.webhooks import spans
from worker.webhooks.claims import ClaimedWebhook, Result, chunk_of, claim, release, settle, with_bodies
from worker.webhooks.counting import count_dropped, counted
from worker.webhooks.memory import remember_settled, still_settled
from worker.webhooks.parsing import read_webhooks
from worker.webhooks.progress import entered, note_progress
from worker.webhooks.reading import Reading
from worker.webhooks.rejected import reject
from worker.webhooks.replays import (
    FLOWER,
    claim_one,
    close_unneeded,
    count_results,
    end_stopped,
    finish,
    replays_many,
    take,
    top_up,
)
from worker.webhooks.reports import of_webhooks
from worker.webhooks.results import failed, failed_attempt, not_recorded, rejected_result, result_after
from worker.webhooks.statements import SET
from worker.webhooks.weakly_bound import of_one_body

WORK_FOR: Final = 4.0
"""Seconds after which a task lets the next one go on: well below its hard time limit."""

NOTIFY_AGAIN: Final = 1.0  # seconds after which a task that still claims full sets calls another one to help

LOOK_UP_FOR: Final = 4.0
"""Seconds into a set after which no further look-up begins. With the above, a last call to a slow provider (10 s) and
the recording, a task still ends within its time limit (20 s)."""

CHUNK: Final = 4 * 1024 * 1024
"""Bytes of large webhooks that are in the memory at once, and read between two looks at the clock: a hostile webhook of
256 KiB takes 0.2 s to read."""

REPLAY_CHUNK: Final = 1024 * 1024
"""The same of a replay, where new webhooks wait meanwhile."""

REPLAY_LOOK_UP_FOR: Final = 0.2
"""The same as LOOK_UP_FOR of a replay. What is not looked up by then gets a task of its own."""

CALLED_FOR: Final = 5000
"""Milliseconds after which a lost message no longer keeps the next process from joining a replay."""

log = structlog.get_logger(__name__)


class WebhookFailedError(Exception):
    """A webhook could not be processed for good; an operator may run its task again once the cause is gone."""


@shared_task(name=TaskName.PROCESS_WEBHOOK)
def process(delivery_id: str) -> str:
    """Process this webhook and all that wait; run it again at any time, with a webhook in any state.

    With the id of a command in place of a webhook's, replay its webhooks while no new one waits. Raises
    WebhookFailedError if this webhook, which was tried before, failed for good.
    """
    own = UUID(delivery_id)
    until = monotonic() + WORK_FOR
    try:
        # Wake-ups are quiet. One that names a webhook which was rejected meanwhile asks for no replay.
        key = None if process.request.get("quiet") else _key()
        if key is not None:
            cache().release(WAKE_UP, logged=False)
            replay = claim_one(own, key=key, operator=_operator())
            if replay is not None and replay.replay_of is not None:
                return _replay_one(replay, replay.replay_of, until)
        webhooks = _claimed(own)
        is_mine = bool(webhooks) and webhooks[0].id == own
        if is_mine and key is not None and webhooks[0].replay_of is None:
            close_unneeded(own, key=key)
        if is_mine and webhooks[0].tried_before:
            return _process_own(webhooks[0], until, is_wake_up=key is None)
        count = _process_waiting(webhooks, until)
        if not is_mine and replays_many(own):
            return f"{count} webhooks, and {_replay_many(own, until)} replayed"
        return f"{count} webhooks"
    except DatabaseUnavailableError:
        log.warning("database_unavailable", delivery_id=delivery_id)
        return "the database is unavailable; the sweep sends another wake-up"


def _claimed(own: UUID) -> list[ClaimedWebhook]:
    """What waits, and this webhook, once the wake-up is released: whatever is filed from now on sends another one.

    The release is under way during the claim. What was filed meanwhile sent none, and this claim may not have seen it:
    after each set there is another claim, and after none there is one here.
    """
    with cache().releasing(WAKE_UP):
        webhooks = claim(own)
    return webhooks or claim(own)


def _key() -> UUID:
    """The id of the task at work, which is the key of its command."""
    try:
        return UUID(process.request.id)
    except (TypeError, ValueError):
        return uuid4()


def _operator() -> str:
    """Who sent the message, where Flower says so."""
    given = str(process.request.get("operator") or "").replace("\0", "")
    return given[:LONGEST_OPERATOR] or FLOWER


def _process_waiting(webhooks: list[ClaimedWebhook], until: float, *, look_up_until: float = float("inf")) -> int:
    """Claim set after set until nothing waits or the time is over."""
    count, notified = 0, float("-inf")
    while webhooks:
        if len(webhooks) >= SET and monotonic() - notified > NOTIFY_AGAIN:
            wake_worker(str(webhooks[0].id))
            notified = monotonic()
        count += _process_set(webhooks, until, look_up_until)
        if monotonic() > until:
            wake_worker(str(webhooks[-1].id))
            break
        webhooks = claim(None)
    return count


def _replay_one(webhook: ClaimedWebhook, command_id: UUID, until: float) -> str:
    """Replay one webhook, then process those that wait: the message may also have been a wake-up for them."""
    if webhook.state_before is DeliveryState.FAILED:
        # Before it is tried, since it may be poison: the next ones must not wait for the sweep.
        _send(top_up(command_id))
    try:
        state = _process_alone(webhook)
    finally:
        # Where the database is gone by now, commands.run closes the run. A webhook that failed must still be a FAILURE.
        with suppress(DatabaseUnavailableError):
            finish([command_id])
    return f"{state}; then {_process_rest(webhook, until)} webhooks"


def _process_own(webhook: ClaimedWebhook, until: float, *, is_wake_up: bool) -> str:
    """Process one that was tried before, by itself; of a wake-up then those that wait: they sent none of their own."""
    try:
        if webhook.replay_of is not None:
            return _replay_one(webhook, webhook.replay_of, until)
        state = _process_alone(webhook)
    except WebhookFailedError:
        if is_wake_up:
            # Where the database is gone by now, the sweep sees to them. It must still be a FAILURE.
            with suppress(DatabaseUnavailableError):
                _process_rest(webhook, until)
        raise
    return f"{state}; then {_process_rest(webhook, until)} webhooks" if is_wake_up else state


def _process_rest(webhook: ClaimedWebhook, until: float) -> int:
    """Process what waits besides this webhook; where no time is left, another task does."""
    if monotonic() < until:
        return _process_waiting(claim(None), until)
    wake_worker(str(webhook.id))
    return 0


def _replay_many(command_id: UUID, until: float) -> int:
    """Replay set after set of a command until none is left or the time is over; new webhooks go before each set."""
    cache().release(_wake_up_for(command_id))
    count = 0
    while monotonic() < until:
        try:
            taken = take(command_id)
        except (ValueError, TypeError):
            log.warning("command_not_understood", command_id=str(command_id))
            return count
        if not taken:
            break
        count += len(taken.claimed) + len(taken.marked)
        if taken.marked:
            # From now on each task that comes to one of these marks further ones.
            _send(taken.marked)
            return count
        _call_another(command_id)
        _process_replays(taken.claimed)
        if monotonic() < until:  # a slow look-up in the set may have taken what was left of the time limit
            _process_waiting(claim(None), until)
    else:
        _call_another(command_id)
        return count
    end_stopped(command_id)
    return count


def _process_replays(webhooks: Sequence[ClaimedWebhook]) -> None:
    """Process a set of a replay, a chunk at a time and new webhooks between; what no time is left for goes alone."""
    until = monotonic() + WORK_FOR
    unread = list(webhooks)
    while unread and monotonic() < until:
        chunk = list(chunk_of(unread, REPLAY_CHUNK))
        _conclude(read_webhooks(with_bodies(chunk), look_up_until=monotonic() + REPLAY_LOOK_UP_FOR))
        unread = unread[len(chunk) :]
        if unread and monotonic() < until:
            _process_waiting(claim(None), until, look_up_until=until)
    if unread:
        _settle([failed(webhook, "no time was left to read it in a set") for webhook in unread])


def _send(delivery_ids: Sequence[UUID]) -> None:
    """A task for each of these; what the broker does not take, the sweep sends."""
    try:
        for delivery_id in delivery_ids:
            task_queue().enqueue(TaskName.PROCESS_WEBHOOK, str(delivery_id))
    except QueueUnavailableError as error:
        log.warning("broker_unavailable", error=str(error))


def _call_another(command_id: UUID) -> None:
    """Have another process join in, unless a message for it is on its way; beat sends the next one where all fail."""
    if cache().claim(_wake_up_for(command_id), milliseconds=CALLED_FOR):
        _send([command_id])


def _wake_up_for(command_id: UUID) -> str:
    return f"replay:{command_id}"


def _process_set(webhooks: Sequence[ClaimedWebhook], until: float, look_up_until: float) -> int:
    """Process webhooks that were never tried, the large ones last; returns how many.

    Those are read a chunk at a time while there is time, and given back after that. No look-up begins after
    ``look_up_until``.
    """
    small = [webhook for webhook in webhooks if not webhook.large]
    if small:
        _conclude(read_webhooks(small, look_up_until=min(monotonic() + LOOK_UP_FOR, look_up_until)))
    count = len(small)
    unread = [webhook for webhook in webhooks if webhook.large]
    while unread and monotonic() < until:
        chunk = list(chunk_of(unread, CHUNK))
        _conclude(read_webhooks(with_bodies(chunk), look_up_until=until))
        count += len(chunk)
        unread = unread[len(chunk) :]
    if unread:
        release(unread)
    return count


def _process_alone(webhook: ClaimedWebhook) -> str:
    """Process one webhook that was tried before; a poison webhook takes no neighbours down."""
    if webhook.attempts_exhausted:
        exhausted = WebhookFailedError("its attempts are used up, the last one unfinished")
        readings = [Reading(webhook=webhook, error=exhausted)]
    else:
        readings = read_webhooks(with_bodies([webhook]), look_up_until=monotonic() + LOOK_UP_FOR)
    for result in _conclude(readings):
        if result.state is DeliveryState.FAILED:
            raise WebhookFailedError(f"webhook {webhook.id}: {result.detail}")
        return result.state.value
    return "nothing was written: it was dropped, or its lease ended"


def _conclude(readings: Sequence[Reading]) -> list[Result]:
    """Record what is verified, and only then keep the unverified webhooks; returns the results that were written."""
    readings = of_one_body(readings)
    verified = [reading for reading in readings if reading.rejected is None and not reading.unverified]
    unverified = [reading for reading in readings if reading.rejected is not None or reading.unverified]
    return (_record_all(verified) if verified else []) + (_reject(unverified) if unverified else [])


def _record_all(readings: Sequence[Reading]) -> list[Result]:
    """Record the readings as one set; if that fails, each by itself, so that none holds back another."""
    lost: list[Reading] = []
    results = _recorded(readings, lost)
    if lost:
        log.warning("database_lost_what_the_cache_has", webhooks=len(lost))
        again = [reading.webhook for reading in lost]
        results += _conclude(read_webhooks(again, look_up_until=monotonic() + LOOK_UP_FOR, believe_cache=False))
    return results


def _recorded(readings: Sequence[Reading], lost: list[Reading]) -> list[Result]:
    """The results that were written. ``lost`` gets those whose first the cache has, and the database does not."""
    try:
        return _record(readings, lost)
    except DatabaseLockedError:
        log.warning("payment_held_by_another", webhooks=len(readings))
    except DatabaseUnavailableError:
        raise
    except Exception:
        if len(readings) == 1:
            log.exception("webhook_not_recorded", delivery_id=str(readings[0].webhook.id))
        else:
            log.warning("set_not_recorded", webhooks=len(readings), exc_info=True)
    lost.clear()
    return [result for reading in readings for result in _record_by_itself(reading, lost)]


def _record_by_itself(reading: Reading, lost: list[Reading]) -> list[Result]:
    try:
        return _record([reading], lost)
    except DatabaseLockedError as error:
        return _settle([not_recorded(reading, describe(error), held=True)])
    except DatabaseUnavailableError:
        raise
    except Exception as error:  # noqa: BLE001 (whatever it is, it is this webhook's alone)
        return _settle([not_recorded(reading, describe(error), held=False)])


def _record(readings: Sequence[Reading], lost: list[Reading]) -> list[Result]:
    """One transaction: events in, payments moved, webhooks done, but for what is ``lost``."""
    with spans.of_readings(readings) as begun:
        return _record_traced(readings, lost, begun)


def _record_traced(readings: Sequence[Reading], lost: list[Reading], begun: spans.Spans) -> list[Result]:
    results: list[Result] = []
    done: list[Reading] = []
    with transaction() as connection:
        readings = _without_lost(connection, readings, lost)
        recorded = record(connection, of_webhooks(readings, begun))
        place, names = 0, recorded.found
        for reading in readings:
            begin, place = place, place + len(reading.events) + len(reading.refunds)
            found = next((names[each] for each in range(begin, place) if each in names), None) if names else None
            effects = recorded.effects[begin:place]
            done.append(entered(reading, effects))
            results.append(result_after(done[-1], effects, found))
        written = _write(connection, results)
    spans.note_results(begun, written)
    spans.note_openings(begun, recorded.opened_in)
    recorded.follow_up()
    remember_settled(readings, written)
    note_progress(done)
    return counted(written)


def _without_lost(connection: Connection, readings: Sequence[Reading], lost: list[Reading]) -> Sequence[Reading]:
    """The readings but for those whose bytes came before by the cache and not by the database."""
    came_with = [reading.came_with for reading in readings if reading.came_with]
    if not came_with:
        return readings
    here = still_settled(connection, came_with)
    lost += [reading for reading in readings if reading.came_with and reading.came_with not in here]
    return [reading for reading in readings if not reading.came_with or reading.came_with in here]


def _settle(results: list[Result]) -> list[Result]:
    with transaction() as connection:
        written = _write(connection, results)
    return counted(written)


def _write(connection: Connection, results: Sequence[Result]) -> list[Result]:
    written = settle(connection, results)
    count_results(connection, written)
    return written


def _reject(readings: Sequence[Reading]) -> list[Result]:
    results = [rejected_result(reading) for reading in readings]
    try:
        with transaction() as connection:
            rejected = reject(connection, results)
    except DatabaseLockedError as error:
        log.warning("rejected_webhooks_held_by_another", webhooks=len(readings))
        return _settle([failed_attempt(reading, describe(error)) for reading in readings])
    except DatabaseUnavailableError:
        raise
    except Exception as error:
        log.exception("webhooks_not_rejected", webhooks=len(readings))
        return _settle([failed_attempt(reading, describe(error)) for reading in readings])
    count_dropped(rejected.dropped)
    return counted(rejected.written)
