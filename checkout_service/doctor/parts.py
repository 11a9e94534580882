"""Checks webhooks that are in parts by time: that parts are made ahead, and none is kept for too long."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from checkout_service.database.engine import execute
from checkout_service.database.statements import Statement
from checkout_service.doctor.findings import Finding, advice, ok, wrong

ABOUT: Final = "webhooks in parts"

_parts: Final = Statement("""
    SELECT count(*) AS parts, max(to_day) - (now() AT TIME ZONE 'UTC')::date AS days_ahead, (
            SELECT count(*) FROM (SELECT FROM webhook_deliveries WHERE id >= uuid_of_day(max(to_day)) LIMIT 1) AS stray
        ) AS strays, (
            SELECT count(*) FROM pg_constraint WHERE conrelid = to_regclass('webhook_deliveries')
                AND conname LIKE 'webhook\\_deliveries\\_before\\_%'
        ) AS bounds
    FROM webhooks_parts()
""")


def check_parts() -> Iterator[Finding]:
    """Where the table is one there is nothing to say, unless a conversion was broken off."""
    ((parts, days_ahead, strays, bounds),) = execute(_parts)
    if bounds:
        remedy = "Run it again: flask --app wsgi webhooks partition. Left alone, webhooks.parts takes it back in a day."
        yield advice(ABOUT, "a conversion was begun and has not ended", remedy)
    if not parts:
        return
    if strays or days_ahead < 1:
        remedy = "They are kept, and move once parts are made: see that housekeeping runs, and webhook_parts_not_made."
        yield wrong(ABOUT, "webhooks come that no part was made for", remedy)
    elif days_ahead < 3:
        yield advice(ABOUT, f"no part is made beyond {days_ahead} days", "See that housekeeping runs: webhooks.parts.")
    else:
        yield ok(ABOUT, f"{parts}, made {days_ahead} days ahead")
