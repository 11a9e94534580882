"""For tests that count days: midnight in UTC does not come in the middle of one."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from time import sleep

import pytest

LONGEST = timedelta(minutes=3)
"""Longer than what needs one day takes, and shorter than what ends a test that hangs."""


@pytest.fixture(scope="module")
def one_day() -> None:
    """In the last minutes of a day, wait for the next one."""
    now = datetime.now(UTC)
    midnight = datetime.combine(now.date() + timedelta(days=1), time(), UTC)
    if midnight - now < LONGEST:
        sleep((midnight - now).total_seconds() + 0.1)
