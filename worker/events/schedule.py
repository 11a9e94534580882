"""When an event is tried again, when an endpoint is suspended, and when a suspended one is probed. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from worker.backoff import jittered

DELAYS: Final = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    *(timedelta(hours=hours) for hours in (2, 5, 10, 14, 20, 24)),
)
"""How long an event waits after each attempt that failed; the schedule of Standard Webhooks' example."""

LONGEST_RETRY_AFTER: Final = timedelta(hours=24)
"""An answer may ask for a longer pause than the schedule's, up to this."""

SUSPENDED_AFTER: Final = 20
"""Failures, none taken within five minutes, after which an endpoint is suspended."""

TAKEN_WITHIN: Final = timedelta(minutes=5).total_seconds()
FAILING_FOR: Final = timedelta(hours=1).total_seconds()
"""Seconds for which an endpoint may take nothing while something fails there, however few failures that is."""

DISABLED_AFTER: Final = timedelta(days=3).total_seconds()
"""Seconds after which a suspended endpoint is disabled."""

LONGEST_PROBE_PAUSE: Final = timedelta(minutes=15)


def next_attempt(attempts: int, retry_after: timedelta | None) -> timedelta | None:
    """The pause before the next one after so many attempts that failed; None after the last.

    ``retry_after`` is what the answer asked for: it may lengthen the pause, never shorten it.
    """
    if attempts > len(DELAYS):
        return None
    pause = jittered(DELAYS[attempts - 1])
    return pause if retry_after is None else max(pause, min(retry_after, LONGEST_RETRY_AFTER))


def next_probe(probes: int) -> timedelta:
    """The pause before the next probe of a suspended endpoint, after so many: one minute, doubling to fifteen."""
    return jittered(min(timedelta(minutes=2 ** min(probes, 4)), LONGEST_PROBE_PAUSE))


def is_failing(failures: int, *, taken_ago: float, failing_for: float) -> bool:
    """Whether an endpoint is to be suspended after a failure.

    ``taken_ago`` are the seconds since it took something, infinite if it never did; ``failing_for`` those since the
    first failure after that.
    """
    return (failures >= SUSPENDED_AFTER and taken_ago > TAKEN_WITHIN) or failing_for >= FAILING_FOR


def read_retry_after(value: str | None) -> timedelta | None:
    """The pause that the header Retry-After names (RFC 9110, section 10.2.3); None where it names none."""
    if not value:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        return min(timedelta(seconds=int(value[:9])), LONGEST_RETRY_AFTER)
    try:
        moment = parsedate_to_datetime(value)
    except (TypeError, ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    pause = moment - datetime.now(UTC)
    return min(pause, LONGEST_RETRY_AFTER) if pause > timedelta(0) else None
