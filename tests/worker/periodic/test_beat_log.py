"""Beat logs a failure to send in one line, and further ones once a while."""

from __future__ import annotations

import logging

from celery.beat import SchedulingError

from worker.periodic.beat_log import AGAIN_AFTER, FailuresOnceAWhile, log_failures_once_a_while


def failure(task: str) -> logging.LogRecord:
    """As celery.beat.Scheduler.apply_entry logs it, with two tracebacks."""
    error = SchedulingError(f"Couldn't apply scheduled task {task}: it is read only")
    arguments = (error, ["  File …", "  File …"])
    info = (type(error), error, None)
    return logging.LogRecord("celery.beat", logging.ERROR, "beat.py", 1, "Message Error: %s\n%s", arguments, info)


def test_failures_to_send_are_one_line_a_while() -> None:
    seconds = [100.0]
    once = FailuresOnceAWhile(now=lambda: seconds[0])
    first, second, third = (failure(name) for name in ("a", "b", "c"))
    assert once.filter(first)
    assert first.exc_info is None
    assert first.getMessage() == "Couldn't apply scheduled task a: it is read only (0 more before it)"
    assert not once.filter(second)
    seconds[0] += AGAIN_AFTER
    assert once.filter(third)
    assert third.getMessage() == "Couldn't apply scheduled task c: it is read only (1 more before it)"


def test_everything_else_is_logged_as_it_is() -> None:
    once = FailuresOnceAWhile()
    for error in (None, OSError("no such file")):
        for _ in range(2):
            info = (type(error), error, None) if error else None
            record = logging.LogRecord("celery.beat", logging.ERROR, "beat.py", 1, "lost: %s", ("it",), info)
            assert once.filter(record)
            assert (record.getMessage(), record.exc_info) == ("lost: it", info)


def test_the_filter_is_there_once() -> None:
    logger = logging.getLogger("celery.beat")
    before = list(logger.filters)
    try:
        for _ in range(2):
            log_failures_once_a_while()
        assert sum(isinstance(one, FailuresOnceAWhile) for one in logger.filters) == 1
    finally:
        logger.filters[:] = before
