"""The task ``webhooks.process``: claim, read, record.

The message is only a bell: it names one letter, and the task works on all that wait.
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
from worker.transitions.refunds import count_refunds, record_all
from worker.webhooks.claims import Letter, Result, claim, release, settle, with_bodies
from worker.webhooks.counting import counted
from worker.webhooks.parsing import Reading, read_letters, remember
from worker.webhooks.rejected import reject
from worker.webhooks.reports import of_letters
from worker.webhooks.results import failed_attempt, put_off, verdict
from worker.webhooks.statements import SET

WORK_FOR: Final = 4.0
"""Seconds after which a task lets the next one go on: well below its hard time limit."""

RING_AGAIN: Final = 1.0  # seconds after which a task that still claims full sets calls another one to help

LOOK_UP_FOR: Final = 4.0
"""Seconds into a set after which no further look-up begins. With the above, a last call to a slow provider (10 s) and
the recording, a task still ends within its time limit (20 s)."""

CHUNK: Final = 4 * 1024 * 1024
"""Bytes of large letters that are in the memory at once, and read between two looks at the clock: a hostile letter of
256 KiB takes 0.2 s to read."""

log = structlog.get_logger(__name__)


class LetterFailedError(Exception):
    """A letter could not be processed for good; an operator may run its task again once the cause is gone."""


@shared_task(name=TaskName.PROCESS_WEBHOOK)
def process(delivery_id: str) -> str:
    """Process this letter and all that wait; run it again at any time, with a letter in any state.

    Raises LetterFailedError if this letter, which was tried before, failed for good.
    """
    own = UUID(delivery_id)
    # Before the claim: a letter filed from here on rings again, one filed before is claimed now.
    cache().release(WAKE_UP)
    until = monotonic() + WORK_FOR
    try:
        letters = claim(own)
        if letters and letters[0].id == own and letters[0].tried_before:
            state = _process_alone(letters[0])
            if not letters[0].by_hand or monotonic() > until:
                return state
            # Perhaps nobody asked for this one: the message was the bell for all that wait, and while it was under way
            # another task was through with the letter that it names. A forgery must not swallow the bell.
            return f"{state}; then {_process_waiting(claim(None), until)} letters"
        return f"{_process_waiting(letters, until)} letters"
    except DatabaseUnavailableError:
        log.warning("database_unavailable", delivery_id=delivery_id)
        return "the database is unavailable; the sweep rings again"


def _process_waiting(letters: list[Letter], until: float) -> int:
    """Claim set after set until nothing waits or the time is over."""
    count, rung = 0, float("-inf")
    while letters:
        if len(letters) >= SET and monotonic() - rung > RING_AGAIN:
            wake_worker(str(letters[0].id))
            rung = monotonic()
        count += _process_set(letters, until)
        if monotonic() > until:
            wake_worker(str(letters[-1].id))
            break
        letters = claim(None)
    return count


def _process_set(letters: Sequence[Letter], until: float) -> int:
    """Process letters that were never tried, the large ones last; returns how many.

    Those are read a chunk at a time while there is time, and given back after that.
    """
    small = [letter for letter in letters if not letter.large]
    if small:
        _conclude(read_letters(small, look_up_until=monotonic() + LOOK_UP_FOR))
    count = len(small)
    unread = [letter for letter in letters if letter.large]
    while unread and monotonic() < until:
        chunk = list(_chunk(unread))
        _conclude(read_letters(with_bodies(chunk), look_up_until=until))
        count += len(chunk)
        unread = unread[len(chunk) :]
    if unread:
        release(unread)
    return count


def _chunk(letters: Sequence[Letter]) -> Iterator[Letter]:
    """The first letters, as many as may be in the memory at once; never none."""
    size = 0
    for letter in letters:
        if size and size + letter.size > CHUNK:
            return
        size += letter.size
        yield letter


def _process_alone(letter: Letter) -> str:
    """Process one letter that was tried before; a poison letter takes no neighbours down."""
    if letter.used_up:
        used_up = LetterFailedError("its attempts are used up, the last one unfinished")
        readings = [Reading(letter=letter, error=used_up)]
    else:
        readings = read_letters(with_bodies([letter]), look_up_until=monotonic() + LOOK_UP_FOR)
    for result in _conclude(readings):
        if result.state == "failed":
            raise LetterFailedError(f"letter {letter.id}: {result.detail}")
        return result.state
    return "nothing was written: it was dropped, or its lease ended"


def _conclude(readings: Sequence[Reading]) -> list[Result]:
    """Record what is genuine, and only then keep the forgeries; returns the results that were written."""
    genuine = [reading for reading in readings if reading.rejected is None]
    forged = [reading for reading in readings if reading.rejected is not None]
    return (_record_all(genuine) if genuine else []) + (_reject(forged) if forged else [])


def _record_all(readings: Sequence[Reading]) -> list[Result]:
    """Record the readings as one set; if that fails, each by itself, so that none holds back another."""
    try:
        return _record(readings)
    except DatabaseLockedError:
        log.warning("payment_held_by_another", letters=len(readings))
    except DatabaseUnavailableError:
        raise
    except Exception:
        if len(readings) == 1:
            log.exception("letter_not_recorded", delivery_id=str(readings[0].letter.id))
        else:
            log.warning("set_not_recorded", letters=len(readings), exc_info=True)
    return [result for reading in readings for result in _record_by_itself(reading)]


def _record_by_itself(reading: Reading) -> list[Result]:
    try:
        return _record([reading])
    except DatabaseLockedError as error:
        return _settle([failed_attempt(reading, describe(error))])
    except DatabaseUnavailableError:
        raise
    except Exception as error:  # noqa: BLE001 (whatever it is, it is this letter's alone)
        return _settle([failed_attempt(reading, describe(error))])


def _record(readings: Sequence[Reading]) -> list[Result]:
    """One transaction: events in, payments moved, letters done."""
    reports, refunds = of_letters(readings)
    results = []
    with transaction() as connection:
        told, entered = record_all(connection, reports, refunds)
        outcomes, ends = iter(told), iter(entered)
        for reading in readings:
            if reading.error is not None:
                results.append(failed_attempt(reading, describe(reading.error)))
            elif reading.unavailable is not None:
                results.append(put_off(reading))
            else:
                of_facts = [next(outcomes) for _ in reading.facts]
                results.append(verdict(reading, of_facts, [next(ends) for _ in reading.refunds]))
        written = settle(connection, results)
    count_refunds(refunds, entered)
    _remember(readings, results)
    return counted(written)


def _settle(results: list[Result]) -> list[Result]:
    with transaction() as connection:
        written = settle(connection, results)
    return counted(written)


def _reject(readings: Sequence[Reading]) -> list[Result]:
    results = [Result(letter=reading.letter, state="rejected", detail=reading.rejected) for reading in readings]
    try:
        with transaction() as connection:
            written = reject(connection, results)
    except DatabaseLockedError as error:
        log.warning("rejected_letters_held_by_another", letters=len(readings))
        return _settle([failed_attempt(reading, describe(error)) for reading in readings])
    except DatabaseUnavailableError:
        raise
    except Exception as error:
        log.exception("letters_not_rejected", letters=len(readings))
        return _settle([failed_attempt(reading, describe(error)) for reading in readings])
    return counted(written)


def _remember(readings: Sequence[Reading], results: Sequence[Result]) -> None:
    """Only after the commit, and never a mismatch: it is to be judged again."""
    remember(
        [
            reading
            for reading, result in zip(readings, results, strict=True)
            if result.state in {"applied", "duplicate"}
            and (reading.facts or reading.refunds)
            and not (result.detail or "").startswith("mismatch")
        ]
    )
