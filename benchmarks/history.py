"""What time leaves behind: paid payments with all that belongs to them, loaded by COPY as fast as the machine takes it.

Constraints and indexes are made after the rows, and nothing is logged or synced until all is there; then the server
starts again as it was.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from benchmarks import seeds
from benchmarks.report import tell
from benchmarks.stand import Stand


def key(number: str) -> str:
    """SQL of a version 7 UUID of the time ``at``; the same for each number and time, so that two tables may have it."""
    digits = f"md5({number}::text)"
    return (
        "(lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || "
        f"substr({digits}, 1, 3) || '8' || substr({digits}, 4, 15))::uuid"
    )


TABLES = ("webhook_deliveries", "checkout_sessions", "payments", "payment_events", "users", "carts")
"""The slowest to load first, so that two hands end together."""

_IN_HASTE = {
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "fsync": "off",
    "autovacuum": "off",
    "max_wal_size": "16GB",
    "maintenance_work_mem": "512MB",
}

SPAN = timedelta(days=53)
"""Webhooks are of so many days, and so three weeks of them and more are past their retention."""

# The texts are short: it is the number of rows that makes indexes deep. Webhooks and events have keys of their time, as
# in life. Of a hundred webhooks one failed, and of those of the last days one is parked and one rejected.
_WEBHOOKS = f"""
    SELECT {key("n")}, 'mock', '{{{{}}}}'::jsonb, repeat('{{{{"old": 1}}}}', 20)::bytea, at, state, 1,
        CASE state WHEN 'parked' THEN now() + interval '71 hours' END,
        CASE state WHEN 'parked' THEN 'elsewhere ' || n ELSE 'mock_pi_' || md5('payment ' || n % {{paid}}) END, at
    FROM generate_series({{first}}::bigint, {{last}}::bigint) AS n,
        LATERAL (SELECT timestamptz '{{began}}' + interval '1 s' * (n * {{seconds}}::float8 / {{count}}) AS at) AS own,
        LATERAL (SELECT CASE WHEN n % 100 = 2 THEN 'failed' WHEN at < now() - interval '3 days' THEN 'applied'
            WHEN n % 100 = 1 THEN 'parked' WHEN n % 100 = 3 THEN 'rejected' ELSE 'applied' END AS state) AS so
    WHERE at >= '{{since}}' AND at < '{{until}}'
"""
WEBHOOKS = """webhook_deliveries (id, provider, headers, body, received_at, state, attempts, next_attempt_at,
    provider_ref, processed_at)"""
_ROWS = {target: rows for target, rows in seeds.PAYMENTS.items() if not target.startswith("payments ")} | {
    "payments (id, user_id, provider, provider_ref, amount, currency, status, next_look_up_at, created_at)": """
        SELECT md5('payment ' || n)::uuid, md5('user ' || n / {each} * {each})::uuid, 'mock',
            'mock_pi_' || md5('payment ' || n), 240.00, 'USD', 'paid', NULL,
            now() - interval '1 hour' - ({last} - n) * interval '1 second'
        FROM generate_series({first}, {last}) AS n""",
    "payment_events (id, provider, event_id, payment_id, status, outcome, received_at)": """
        SELECT uuidv7(-interval '1 hour'), 'mock', 'old ' || n, md5('payment ' || n)::uuid, 'paid', 'applied', now()
        FROM generate_series({first}, {last}) AS n""",
}

_CONSTRAINTS = """
    SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), contype
    FROM pg_constraint
    WHERE contype IN ('f', 'p') AND (conrelid = ANY(%(tables)s::regclass[]) OR confrelid = ANY(%(tables)s::regclass[]))
    ORDER BY contype
"""
_INDEXES = (
    "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = ANY(%s::regclass[])"
)


@dataclass(frozen=True, kw_only=True)
class Past:
    """So many rows, spread evenly from a moment to another one."""

    count: int
    paid: int
    """Payments that they are about."""
    began: datetime
    ended: datetime

    def number_at(self, moment: datetime) -> int:
        """The first one from that moment on; one too early at most."""
        share = (moment - self.began) / (self.ended - self.began)
        return min(self.count, max(0, int(share * self.count)))


def past_of(count: int, *, paid: int, days: timedelta = SPAN) -> Past:
    """From the first moment of a day in UTC until an hour ago."""
    now = datetime.now(UTC)
    began = datetime.combine((now - days).date(), datetime.min.time(), UTC)
    return Past(count=count, paid=paid, began=began, ended=now - timedelta(hours=1))


def within(rows: str, past: Past, since: datetime | None = None, until: datetime | None = None) -> str:
    """Those of the rows that are of this time, as SQL."""
    first = past.number_at(since) if since else 0
    last = past.number_at(until) + 1 if until else past.count
    return rows.format(
        first=max(0, first - 1),
        last=min(last, past.count) - 1,
        count=past.count,
        paid=past.paid,
        began=past.began.isoformat(),
        seconds=(past.ended - past.began).total_seconds(),
        since=since.isoformat() if since else "-infinity",
        until=until.isoformat() if until else "infinity",
    )


def webhooks_within(past: Past, since: datetime | None = None, until: datetime | None = None) -> str:
    return within(_WEBHOOKS, past, since, until)


def load(stand: Stand, past: Past) -> None:
    """Fill the tables of a stand on which nothing runs yet: so many webhooks, and the payments that they are about."""
    with in_haste(stand), stand.connect() as connection:
        constraints = connection.execute(_CONSTRAINTS, {"tables": list(TABLES)}).fetchall()
        for table, name, *_ in constraints:
            connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name} CASCADE")
        indexes = connection.execute(_INDEXES, (list(TABLES),)).fetchall()
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}")
        targets = {target.split(" ", 1)[0]: target for target in _ROWS}
        numbers = {"first": 0, "last": past.paid - 1, "each": 4, "held_until": "NULL::timestamptz"}

        def copy(to: psycopg.Connection[Any], table: str) -> None:
            # No triggers: these rows refer to each other as they should, and nobody is told of them.
            to.execute("SET session_replication_role = replica")
            if table == "webhook_deliveries":
                seeds.copy(to, WEBHOOKS, webhooks_within(past), afresh=True)
            else:
                seeds.copy(to, targets[table], _ROWS[targets[table]].format(**numbers), afresh=True)

        by_two_hands(copy, stand, TABLES)
        tell(f"  {past.count:,} webhooks and {past.paid:,} payments are there, without indexes")
        made = [definition for _, definition in indexes]
        made += [_added(*one) for one in constraints if one[3] == "p"]
        by_two_hands(lambda to, statement: to.execute(statement), stand, made)
        for one in constraints:
            if one[3] == "f":
                connection.execute(_added(*one) + " NOT VALID")
        # Rows that this makes refer to each other as they should; looking at each would take minutes.
        connection.execute("UPDATE pg_constraint SET convalidated = true WHERE NOT convalidated AND contype = 'f'")
        connection.execute("VACUUM ANALYZE")


@contextmanager
def in_haste(stand: Stand) -> Iterator[None]:
    """The server for a while as nobody would run it."""
    with stand.connect() as connection:
        for name, value in _IN_HASTE.items():
            connection.execute(f"ALTER SYSTEM SET {name} = '{value}'")
    stand.postgres.server.restart()
    yield
    with stand.connect() as connection:
        connection.execute("CHECKPOINT")
        connection.execute("ALTER SYSTEM RESET ALL")
    stand.postgres.server.stop()
    os.sync()
    stand.postgres.server.start()


def by_two_hands(work: Any, stand: Stand, things: Iterable[Any]) -> None:
    """Each thing with a connection of its own, two at a time; who is stopped by hand does not wait for them."""
    connections: list[psycopg.Connection[Any]] = []

    def one(thing: Any) -> None:
        with stand.connect() as connection:
            connections.append(connection)
            work(connection, thing)

    with ThreadPoolExecutor(2) as hands:
        try:
            list(hands.map(one, things))
        except BaseException:
            hands.shutdown(wait=False, cancel_futures=True)
            for connection in connections:
                with suppress(psycopg.Error):
                    connection.cancel()
            raise


def _added(table: str, name: str, definition: str, _kind: str) -> str:
    return f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}"
