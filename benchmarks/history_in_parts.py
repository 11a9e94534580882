"""What time leaves behind in tables that are in parts: events, which always are, and webhooks where the owner chose so.

Each part is filled as a table of its own, by COPY and before it has indexes, and attached then.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, LiteralString, cast

import psycopg

from benchmarks import seeds
from benchmarks.history import WEBHOOKS as WEBHOOK_COLUMNS
from benchmarks.history import Past, by_two_hands, key, webhooks_within, within
from benchmarks.stand import Stand

EVENT_DAYS = timedelta(days=28)
"""Events are of so many days: none is past its retention."""

WEEK = 7
"""Days of a part of webhooks."""

_AT = f"""
    FROM generate_series({{first}}::bigint, {{last}}::bigint) AS n,
        LATERAL (SELECT timestamptz '{{began}}' + interval '1 s' * (n * {{seconds}}::float8 / {{count}}) AS at) AS own,
        LATERAL (SELECT md5('payment ' || n % {{paid}})::uuid AS payment, {key("n")} AS id) AS keys
    WHERE at >= '{{since}}' AND at < '{{until}}'
"""
_COLUMNS = {
    "events": "(id, type, object_type, object_id, version, lane, body, created_at)",
    "event_numbers": "(seq, day, event_id, type, object_id, lane, created_at)",
}
_ROWS = {
    "events": f"SELECT id, 'payment.paid', 'payment', payment, 1, payment, repeat('{{{{\"old\": 1}}}}', 30), at {_AT}",
    "event_numbers": f"""SELECT n + 1, (at AT TIME ZONE 'UTC')::date, id, 'payment.paid', payment, payment, at {_AT}""",
}
_SERIES = (
    "DELETE FROM event_days",
    """INSERT INTO event_days (day, first_seq) SELECT day, min(seq) FROM event_numbers GROUP BY day""",
    """INSERT INTO event_types (type, last_seq) SELECT 'payment.paid', max(seq) FROM event_numbers
    ON CONFLICT (type) DO UPDATE SET last_seq = excluded.last_seq""",
    "DELETE FROM event_series",
    """INSERT INTO event_series (last_seq, day, last_event_id)
    SELECT seq, day, event_id FROM event_numbers ORDER BY day DESC, seq DESC LIMIT 1""",
)
_KEY = "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'p' AND conrelid = %s::regclass"
_OTHERS = "SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE NOT indisprimary AND indrelid = %s::regclass"

_PARTS = "SELECT name, from_day, to_day FROM webhooks_parts() WHERE NOT before_days"

# What was there before ends where the rows begin, so that all of them are in parts of a week.
_BOUND = """DO $$ BEGIN
    EXECUTE format('ALTER TABLE webhook_deliveries ADD CONSTRAINT %I CHECK (id < %L)',
        'webhook_deliveries_before_{day:%Y%m%d}', uuid_of_day('{day}'));
END $$"""


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of a table, from the first moment of a day to that of another one, in UTC."""

    table: str
    name: str
    first: date
    end: date

    @property
    def since(self) -> datetime:
        return datetime.combine(self.first, datetime.min.time(), UTC)

    @property
    def until(self) -> datetime:
        return datetime.combine(self.end, datetime.min.time(), UTC)

    def edges(self) -> str:
        if self.table == "event_numbers":
            return f"FROM ('{self.first}') TO ('{self.end}')"
        return f"FROM ('{_uuid_of_day(self.first)}') TO ('{_uuid_of_day(self.end)}')"


def load_events(stand: Stand, past: Past) -> None:
    """Fill the days of the log of a server that is in haste and on which nothing runs."""
    parts = [
        Part(table=table, name=f"{table}_{day:%Y%m%d}", first=day, end=day + timedelta(days=1))
        for table in _COLUMNS
        for day in _days(past)
    ]
    _fill(stand, parts, {table: f"{table} {columns}" for table, columns in _COLUMNS.items()}, past)
    with stand.connect() as connection:
        for statement in _SERIES:
            connection.execute(statement)
        connection.execute("VACUUM ANALYZE events, event_numbers, event_days, event_types, event_series")


def load_webhooks(stand: Stand, past: Past) -> None:
    """Turn the emptied table of webhooks into parts of a week, and fill those; the server is in haste."""
    with stand.connect() as connection:
        connection.execute("TRUNCATE webhook_deliveries")
        connection.execute("SET ROLE checkout_owner")
        connection.execute(cast("LiteralString", _BOUND.format(day=past.began.date())))
        connection.execute(f"SELECT webhooks_turn_into_parts({WEEK}, 14)")
        connection.execute("RESET ROLE")
        rows = connection.execute(
            "SELECT name, from_day, to_day FROM webhooks_parts() WHERE NOT before_days"
        ).fetchall()
    parts = [Part(table="webhook_deliveries", name=name, first=first, end=end) for name, first, end in rows]
    _fill(stand, parts, {"webhook_deliveries": WEBHOOK_COLUMNS}, past)
    with stand.connect() as connection:
        connection.execute("VACUUM ANALYZE webhook_deliveries")


def _fill(stand: Stand, parts: list[Part], columns: dict[str, str], past: Past) -> None:
    began = [part for part in parts if part.since < past.ended]

    def fill(to: psycopg.Connection[Any], part: Any) -> None:
        to.execute("SET ROLE checkout_owner")
        to.execute(f"CREATE TABLE {part.name} (LIKE {part.table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)")
        to.execute("RESET ROLE")
        rows = _ROWS.get(part.table)
        query = within(rows, past, part.since, part.until) if rows else webhooks_within(past, part.since, part.until)
        seeds.copy(to, columns[part.table].replace(part.table, part.name, 1), query, afresh=True)
        (own_key,) = to.execute(_KEY, (part.table,)).fetchone() or ("",)
        to.execute(f"ALTER TABLE {part.name} ADD {own_key}")
        for (definition,) in to.execute(_OTHERS, (part.table,)).fetchall():
            to.execute(re.sub(r"INDEX \S+ ON (ONLY )?\S+", f"INDEX ON {part.name}", definition, count=1))

    # Two at once would wait for each other's lock on the table when they drop what is there.
    with stand.connect() as connection:
        for part in began:
            connection.execute(f"DROP TABLE IF EXISTS {part.name}")
    by_two_hands(fill, stand, began)
    with stand.connect() as connection:
        for part in began:
            connection.execute(f"ALTER TABLE {part.table} ATTACH PARTITION {part.name} FOR VALUES {part.edges()}")


def _days(past: Past) -> Iterator[date]:
    day = past.began.date()
    while day <= past.ended.date():
        yield day
        day += timedelta(days=1)


def _uuid_of_day(day: date) -> str:
    digits = f"{int(datetime.combine(day, datetime.min.time(), UTC).timestamp() * 1000):012x}" + "0" * 20
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
