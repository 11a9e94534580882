"""Turns the table of webhooks into parts by time, as its owner, while webhooks are taken and processed.

The table that is there becomes the first part, unread: a bound on its ids, of a day to come, is validated before,
beside everybody. Each step is a transaction of its own, so whoever is killed runs the command again. What such a one
leaves is the bound alone, and ``webhooks.parts`` takes it away before its day comes (migrations/webhooks/parts.sql).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import date
from time import monotonic, sleep
from typing import Final

import psycopg

from checkout_service.database.owner import OwnersConnection, as_owner, owner_steps
from checkout_service.settings.secret import Secret

AHEAD: Final = 14
"""Days for which parts are made before they come; as long may housekeeping be away, and nobody misses it."""

LOCK_WITHIN: Final = "200ms"
"""How long a lock is waited for that everybody waits behind."""

PATIENCE: Final = 120.0
"""Seconds for which it is asked for again, a second after the last time."""

_IN_PARTS: Final = "SELECT webhooks_in_parts()"

_BOUND: Final = r"""
    SELECT conname, to_date(right(conname, 8), 'YYYYMMDD') > now() AT TIME ZONE 'UTC' + interval '1 day' AS lasts
    FROM pg_constraint
    WHERE conrelid = to_regclass('webhook_deliveries') AND conname ~ '^webhook_deliveries_before_[0-9]{8}$'
"""

# In two days: what is validated by then is everything.
_NEXT_DAY: Final = (
    "SELECT (now() AT TIME ZONE 'UTC')::date + 2 AS day, uuid_of_day((now() AT TIME ZONE 'UTC')::date + 2)"
)


class LockedError(Exception):
    """Somebody uses the table in a way that kept its lock from us for all of our patience."""


class TakenError(Exception):
    """Another one is at it, or migrates."""


# As a migration takes it. No other one gives up meanwhile and takes our bound away, and none adopts it.
_ALONE: Final = "LOCK TABLE alembic_version IN SHARE UPDATE EXCLUSIVE MODE NOWAIT"


def partition_webhooks(url: Secret, *, days: int, say: Callable[[str], None]) -> str | None:
    """Turn the table into parts of so many days; the name of the first one, or None where it is in parts already.

    Raises TakenError, LockedError and psycopg.Error; then it is as it was, and the command may be run again.
    """
    with _alone(url), owner_steps(url, name="webhooks-partition") as connection:
        connection.execute("SET statement_timeout = 0")
        connection.execute("SET timezone = 'UTC'")
        if _one(connection, _IN_PARTS):
            return None
        try:
            bound = _bind(connection)
            say(f"The bound {bound} is there; now it is validated, beside everybody.")
            _patiently(connection, f"ALTER TABLE webhook_deliveries VALIDATE CONSTRAINT {bound}")
            first = _patiently(connection, "SELECT webhooks_turn_into_parts(%s, %s)", (days, AHEAD))
        except BaseException:
            # Whoever stops it, also by hand, leaves nothing behind; who kills it leaves the bound to webhooks.parts.
            with suppress(psycopg.Error, LockedError):
                _unbind(connection)
            raise
        with as_owner(connection) as cursor:
            cursor.execute("ANALYZE webhook_deliveries")
    return str(first) if first else None


@contextmanager
def _alone(url: Secret) -> Iterator[None]:
    """A lock that no step's end gives back, and no snapshot."""
    with owner_steps(url, name="webhooks-partition-lock") as connection:
        connection.execute("SET idle_in_transaction_session_timeout = 0")
        with as_owner(connection) as cursor:
            try:
                cursor.execute(_ALONE)
            except psycopg.errors.LockNotAvailable as error:
                raise TakenError from error
            yield


def _bind(connection: OwnersConnection) -> str:
    """The bound on the ids of what is there, which no webhook reaches for at least a day."""
    for name, lasts in connection.execute(_BOUND).fetchall():
        if lasts:
            return str(name)
        _patiently(connection, f"ALTER TABLE webhook_deliveries DROP CONSTRAINT IF EXISTS {name}")
    day: date
    day, edge = connection.execute(_NEXT_DAY).fetchone() or (date.max, None)
    name = f"webhook_deliveries_before_{day:%Y%m%d}"
    _patiently(
        connection, f"ALTER TABLE webhook_deliveries ADD CONSTRAINT {name} CHECK (id < '{edge}'::uuid) NOT VALID"
    )
    return name


def _unbind(connection: OwnersConnection) -> None:
    if not _one(connection, _IN_PARTS):
        for name, _ in connection.execute(_BOUND).fetchall():
            _patiently(connection, f"ALTER TABLE webhook_deliveries DROP CONSTRAINT IF EXISTS {name}")


def _patiently(connection: OwnersConnection, statement: str, values: tuple[object, ...] = ()) -> object:
    """Run it as the owner, and again while somebody holds its lock. The first value of its row, if it has one."""
    until = monotonic() + PATIENCE
    while True:
        try:
            with as_owner(connection) as cursor:
                cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_WITHIN}'")
                # No value of it is anybody's but ours.
                cursor.execute(statement.encode(), values or None)
                row = cursor.fetchone() if cursor.description else None
                return row[0] if row else None
        except psycopg.errors.LockNotAvailable as error:
            if monotonic() > until:
                raise LockedError from error
            sleep(1)


def _one(connection: OwnersConnection, statement: str) -> object:
    row = connection.execute(statement.encode()).fetchone()
    return row[0] if row else None
