"""The task ``webhooks.process``: claim, read, record.

The message is only a bell: it names one letter, and the task works on all that wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from time import monotonic
from typing import Final
from uuid import UUID

import structlog
from celery import shared_task

from checkout_service.cache import cache
from checkout_service.database import transaction
from checkout_service.metrics import letter_lag_seconds, letters_total
from checkout_service.problems import DatabaseUnavailable
from checkout_service.queue import BELL, TaskName, ring_bell
from worker.context import settings
from worker.ledger import Report, record
from worker.letters import SET, Letter, Result, claim, settle
from worker.reading import Reading, read_letters, remember
from worker.rejecting import reject
from worker.verdicts import describe, failed_attempt, put_off, verdict

WORK_FOR: Final = 4.0
"""Seconds after which a task lets the next one go on: well below its hard time limit."""

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
    cache().release(BELL)
    try:
        letters = claim(own)
        if letters and letters[0].id == own and letters[0].tried_before:
            return _process_alone(letters[0])
        return f"{_process_waiting(letters)} letters"
    except DatabaseUnavailable:
        log.warning("database_unavailable", delivery_id=delivery_id)
        return "the database is unavailable; the sweep rings again"


def _process_waiting(letters: list[Letter]) -> int:
    """Claim set after set until nothing waits or the time is over."""
    until = monotonic() + WORK_FOR
    count = 0
    while letters:
        if len(letters) >= SET:
            ring_bell(str(letters[0].id))
        _process_set(letters)
        count += len(letters)
        if monotonic() > until:
            ring_bell(str(letters[-1].id))
            break
        letters = claim(None)
    return count


def _process_set(letters: Sequence[Letter]) -> None:
    """Process letters that were never tried: the large ones by themselves, the others in one transaction."""
    small = [letter for letter in letters if not letter.large]
    if small:
        _conclude(read_letters(small))
    for letter in letters:
        if letter.large:
            _conclude(read_letters([letter]))


def _process_alone(letter: Letter) -> str:
    """Process one letter that was tried before; a poison letter takes no neighbours down."""
    if letter.attempts > settings().webhook_max_attempts and not letter.by_hand:
        # Its last worker died before it could write a result.
        reading = Reading(letter=letter, error=LetterFailedError("its attempts are used up, the last one unfinished"))
    else:
        (reading,) = read_letters([letter])
    (result,) = _conclude([reading])
    if result.state == "failed":
        raise LetterFailedError(f"letter {letter.id}: {result.detail}")
    return result.state


def _conclude(readings: Sequence[Reading]) -> list[Result]:
    """Record the readings as one set; if that fails, each by itself, so that none holds back another."""
    forged = [reading for reading in readings if reading.rejected is not None]
    results: list[Result] = []
    if forged:
        results += _reject(forged)
    rest = [reading for reading in readings if reading.rejected is None]
    if not rest:
        return results
    try:
        return results + _record(rest)
    except DatabaseUnavailable:
        raise
    except Exception:
        if len(rest) == 1:
            log.exception("letter_not_recorded", delivery_id=str(rest[0].letter.id))
        else:
            log.warning("set_not_recorded", letters=len(rest), exc_info=True)
    for reading in rest:
        results += _record_by_itself(reading)
    return results


def _record_by_itself(reading: Reading) -> list[Result]:
    try:
        return _record([reading])
    except DatabaseUnavailable:
        raise
    except Exception as error:  # noqa: BLE001 (whatever it is, it is this letter's alone)
        return _settle([failed_attempt(reading, describe(error))])


def _record(readings: Sequence[Reading]) -> list[Result]:
    """One transaction: events in, payments moved, letters done."""
    reports = [
        Report(fact=fact, received_at=reading.letter.envelope.received_at, delivery_id=reading.letter.id)
        for reading in readings
        for fact in reading.facts
    ]
    results = []
    with transaction() as connection:
        outcomes = iter(record(connection, reports) if reports else [])
        for reading in readings:
            if reading.error is not None:
                results.append(failed_attempt(reading, describe(reading.error)))
            elif reading.unavailable is not None:
                results.append(put_off(reading))
            else:
                results.append(verdict(reading, [next(outcomes) for _ in reading.facts]))
        settle(connection, results)
    _remember(readings, results)
    _count(results)
    return results


def _settle(results: list[Result]) -> list[Result]:
    with transaction() as connection:
        settle(connection, results)
    _count(results)
    return results


def _reject(readings: Sequence[Reading]) -> list[Result]:
    results = [Result(letter=reading.letter, state="rejected", detail=reading.rejected) for reading in readings]
    with transaction() as connection:
        reject(connection, results)
    _count(results)
    return results


def _remember(readings: Sequence[Reading], results: Sequence[Result]) -> None:
    """Only after the commit, and never a mismatch: it is to be judged again."""
    final = {"applied", "duplicate"}
    mismatch = "mismatch"
    remember(
        [
            reading
            for reading, result in zip(readings, results, strict=True)
            if result.state in final and reading.facts and not (result.detail or "").startswith(mismatch)
        ]
    )


def _count(results: Sequence[Result]) -> None:
    now = datetime.now(UTC)
    for result in results:
        letters_total.labels(result.letter.envelope.provider, result.state).inc()
        if result.state == "applied":
            lag = now - result.letter.envelope.received_at
            letter_lag_seconds.observe(max(lag.total_seconds(), 0.0))
