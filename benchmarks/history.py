"""What time leaves behind: paid payments with all that belongs to them, loaded by COPY as fast as the machine takes it.

Constraints and indexes are made after the rows, and nothing is logged or synced until all is there; then the server
starts again as it was.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg

from benchmarks import seeds
from benchmarks.report import tell
from benchmarks.stand import Stand

TABLES = ("checkout_sessions", "webhook_deliveries", "payments", "payment_events", "users", "carts")
"""The slowest to load first, so that two hands end together."""

_IN_HASTE = {
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "fsync": "off",
    "autovacuum": "off",
    "max_wal_size": "16GB",
    "maintenance_work_mem": "512MB",
}

# The texts are short: it is the number of rows that makes indexes deep. Webhooks and events have keys of their time, as
# in life. Of a hundred webhooks one is parked, one failed and one rejected, so that what is pending has company.
_WEBHOOKS = """
    SELECT uuidv7(-age), 'mock', '{{}}'::jsonb, repeat('{{"old": 1}}', 20)::bytea, now() - age, state, 1,
        CASE state WHEN 'parked' THEN now() + interval '71 hours' END,
        CASE state WHEN 'parked' THEN 'elsewhere ' || n ELSE 'mock_pi_' || md5('payment ' || n) END, now() - age
    FROM generate_series({first}, {last}) AS n,
        LATERAL (SELECT CASE WHEN n < {old} THEN interval '40 days' ELSE interval '1 hour' END AS age,
            CASE WHEN n < {old} THEN 'applied'
                ELSE coalesce((ARRAY['parked', 'failed', 'rejected'])[n % 100], 'applied') END AS state)
"""
_ROWS = {target: rows for target, rows in seeds.PAYMENTS.items() if not target.startswith("payments ")} | {
    "payments (id, user_id, provider, provider_ref, amount, currency, status, next_look_up_at, created_at)": """
        SELECT md5('payment ' || n)::uuid, md5('user ' || n / {each} * {each})::uuid, 'mock',
            'mock_pi_' || md5('payment ' || n), 240.00, 'USD', 'paid', NULL,
            now() - interval '1 hour' - ({last} - n) * interval '1 second'
        FROM generate_series({first}, {last}) AS n""",
    "payment_events (id, provider, event_id, payment_id, status, outcome, received_at)": """
        SELECT uuidv7(-interval '1 hour'), 'mock', 'old ' || n, md5('payment ' || n)::uuid, 'paid', 'applied', now()
        FROM generate_series({first}, {last}) AS n""",
    """webhook_deliveries (id, provider, headers, body, received_at, state, attempts, next_attempt_at, provider_ref,
        processed_at)""": _WEBHOOKS,
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


def load(stand: Stand, *, count: int, old: int) -> None:
    """Fill the tables of a stand on which nothing runs yet; the first ``old`` webhooks are past their retention."""
    with in_haste(stand), stand.connect() as connection:
        constraints = connection.execute(_CONSTRAINTS, {"tables": list(TABLES)}).fetchall()
        for table, name, *_ in constraints:
            connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name} CASCADE")
        indexes = connection.execute(_INDEXES, (list(TABLES),)).fetchall()
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}")
        targets = {target.split(" ", 1)[0]: target for target in _ROWS}

        def copy(to: psycopg.Connection[Any], table: str) -> None:
            rows = _ROWS[targets[table]].format(
                first=0, last=count - 1, old=old, each=4, held_until="NULL::timestamptz"
            )
            seeds.copy(to, targets[table], rows, afresh=True)

        by_two_hands(copy, stand, TABLES)
        tell(f"  {count:,} rows a table are there, without indexes")
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


def by_two_hands(work: Any, stand: Stand, things: Iterable[str]) -> None:
    def one(thing: str) -> None:
        with stand.connect() as connection:
            work(connection, thing)

    with ThreadPoolExecutor(2) as hands:
        list(hands.map(one, things))


def _added(table: str, name: str, definition: str, _kind: str) -> str:
    return f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}"
