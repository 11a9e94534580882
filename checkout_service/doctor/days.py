"""Checks the days of the log of events: that partitions are made ahead, and how far back they go."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from checkout_service.database.engine import execute
from checkout_service.database.statements import Statement
from checkout_service.doctor.findings import Finding, advice, ok, wrong

ABOUT: Final = "days of events"

_days: Final = Statement("""
    SELECT base.name, coalesce(max(made.day) - event_today(), -1) AS ahead,
        coalesce(event_today() - min(made.day), 0) AS back,
        count(*) FILTER (WHERE made.day = event_today()) > 0 AS has_today
    FROM event_partitioned() AS base LEFT JOIN LATERAL event_days_made(base.name) AS made (day) ON true
    GROUP BY base.name ORDER BY 2, 1
""")


def check_days() -> Iterator[Finding]:
    """Of the table that is the least far ahead; ``events.days`` makes a week of them."""
    rows = execute(_days)
    name, ahead = rows[0].name, rows[0].ahead
    remedy = "They are kept: see that housekeeping runs (events.days), and event_days_not_made in its log."
    if without := [row.name for row in rows if not row.has_today]:
        yield wrong(ABOUT, f"{without[0]} has none of today", remedy)
    elif ahead < 3:
        yield advice(ABOUT, f"{name} has none beyond {ahead} days", "See that housekeeping runs: events.days.")
    else:
        yield ok(ABOUT, f"made {ahead} days ahead; the oldest is {max(row.back for row in rows)} days old")
