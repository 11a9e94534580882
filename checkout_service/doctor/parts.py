"""Checks webhooks that are in parts by time: that parts are made ahead, and none is kept for too long."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from checkout_service.database.engine import execute
from checkout_service.database.statements import Statement
from checkout_service.doctor.findings import Finding, advice, ok, wrong

ABOUT: Final = "webhooks in parts"

_bounds: Final = Statement("""
    SELECT of_table, name, from_day < now() AT TIME ZONE 'UTC' + interval '1 day' AS is_near FROM webhooks_bounds()
""")

MOST: Final = 100_000
"""Webhooks that are counted of days without a part."""

_parts: Final = Statement(f"""
    WITH part AS MATERIALIZED (SELECT * FROM webhooks_parts()), edge AS (
        SELECT count(*) AS parts, count(*) FILTER (WHERE NOT before_days) AS of_days,
            coalesce(uuid_of_day(min(to_day)), uuidv7()) AS first, coalesce(uuid_of_day(max(to_day)), uuidv7()) AS last,
            max(to_day) - (now() AT TIME ZONE 'UTC')::date AS days_ahead
        FROM part
    ), stray AS (
        SELECT webhook.id FROM edge, webhook_deliveries AS webhook
        WHERE webhook.tableoid = to_regclass('webhook_deliveries_of_no_day') AND webhook.id >= edge.first LIMIT {MOST}
    )
    SELECT webhooks_in_parts() AS in_parts, edge.parts, edge.of_days, edge.days_ahead,
        (SELECT count(*) FROM stray WHERE id >= edge.last) AS strays,
        (SELECT count(*) FROM stray WHERE id < edge.last) AS left_out
    FROM edge
""")  # noqa: S608 (our constant)


def check_parts() -> Iterator[Finding]:
    """Where the table is one there is nothing to say, unless a conversion was broken off."""
    yield from _check_bounds()
    ((in_parts, parts, of_days, days_ahead, strays, left_out),) = execute(_parts)
    if not in_parts:
        return
    if not of_days:
        yield wrong(ABOUT, "no part is of days to come", "See that housekeeping runs: webhooks.parts makes them.")
    elif strays or days_ahead < 1:
        remedy = "They are kept: see that housekeeping runs, and webhook_parts_not_made in its log."
        yield wrong(ABOUT, "webhooks come that no part was made for", remedy)
    elif days_ahead < 3:
        yield advice(ABOUT, f"no part is made beyond {days_ahead} days", "See that housekeeping runs: webhooks.parts.")
    else:
        yield ok(ABOUT, f"{parts}, made {days_ahead} days ahead")
    if left_out:
        number = f"{left_out} or more" if left_out >= MOST else left_out
        remedy = "They are processed as ever, and webhooks.prune deletes them one by one. There is nothing to do."
        yield advice(ABOUT, f"{number} are of days that have no part", remedy)


def _check_bounds() -> Iterator[Finding]:
    for table, name, is_near in execute(_bounds):
        if is_near:
            remedy = f"See that housekeeping runs (webhooks.parts), or: ALTER TABLE {table} DROP CONSTRAINT {name}"
            yield wrong(ABOUT, "a bound that was left there refuses every webhook within a day", remedy)
        elif table == "webhook_deliveries":
            remedy = "Run it again: checkout webhooks partition. Left alone, webhooks.parts takes it back in a day."
            yield advice(ABOUT, "a conversion was begun and has not ended", remedy)
