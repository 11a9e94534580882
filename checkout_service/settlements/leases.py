"""Has one command at a time fetch reports: a row that says until when it is somebody's.

No lock of a connection: behind a pooler it would be the pooler's, and no login role may take advisory locks. A download
and a statement may take many minutes, so a thread says each moment, on connections of its own, that its holder lives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any, Final
from uuid import UUID, uuid4

import psycopg

from checkout_service.settlements.connecting import SettlementsConnection
from checkout_service.threads import BackgroundThread

FETCH: Final = "fetch"

LASTS: Final = timedelta(minutes=2)
"""For how long it is somebody's who says no more. After a kill, or where the database is gone, the next one begins so
much later."""

EACH: Final = LASTS / 6
"""Between two times that its holder says it. A failover may take several of them."""

ANSWER_WITHIN: Final = 5.0
"""Seconds for a statement about a lease alone: it waits for nobody but another holder."""

Connect = Callable[[], SettlementsConnection]


class LeaseTakenError(Exception):
    """Another one is at work, or was killed a moment ago: ``until`` (UTC) it is theirs."""

    def __init__(self, until: datetime) -> None:
        super().__init__(f"until {until:%H:%M:%S} UTC")
        self.until = until


class LeaseLostError(Exception):
    """It was away for too long, and another one has begun."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A lease that was taken."""

    connection: psycopg.Connection[Any]
    name: str
    holder: UUID
    lasts: timedelta

    def go_on(self) -> None:
        """Have it for as long again. Raises LeaseLostError and psycopg.Error."""
        values = {"name": self.name, "holder": self.holder, "lasts": self.lasts}
        if self.connection.execute(_GO_ON, values).fetchone() is None:
            raise LeaseLostError

    def end(self) -> None:
        """Give it back. One that was lost stays another's. Raises psycopg.Error."""
        self.connection.execute(_END, {"name": self.name, "holder": self.holder})


def take_lease(connection: psycopg.Connection[Any], name: str, *, lasts: timedelta = LASTS) -> Lease:
    """Take it for so long. ``connection`` is in autocommit. Raises LeaseTakenError and psycopg.Error."""
    lease = Lease(connection=connection, name=name, holder=uuid4(), lasts=lasts)
    values = {"name": name, "holder": lease.holder, "lasts": lasts}
    if connection.execute(_TAKE, values).fetchone() is None:
        (until,) = connection.execute(_UNTIL, {"name": name}).fetchone() or (datetime.now(UTC),)
        raise LeaseTakenError(until.astimezone(UTC))
    return lease


@contextmanager
def kept(lease: Lease, connect: Connect) -> Iterator[None]:
    """Have it within, however long that takes, and give it back, whatever ends that.

    ``connect`` makes connections beside that of the lease, which may be at work, or gone. Where no other one can be
    made either, it is over by itself after ``lasts``.
    """
    is_over = Event()

    def rounds() -> Iterator[float]:
        while True:
            yield EACH.total_seconds()
            if is_over.is_set():
                return
            # Whoever has lost it meanwhile learns that by itself.
            with suppress(psycopg.Error, LeaseLostError), _beside(lease, connect) as beside:
                beside.go_on()

    thread = BackgroundThread("settlements-lease", rounds)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.wake()
        try:
            lease.end()
        except psycopg.Error:
            with suppress(psycopg.Error), _beside(lease, connect) as beside:
                beside.end()


@contextmanager
def _beside(lease: Lease, connect: Connect) -> Iterator[Lease]:
    """The same lease on a connection of its own."""
    with connect() as connection:
        connection.answer_within = ANSWER_WITHIN
        yield replace(lease, connection=connection)


_TAKE: Final = """
INSERT INTO settlement_leases AS lease (name, holder, lease_until)
VALUES (%(name)s, %(holder)s, now() + %(lasts)s::interval)
ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, lease_until = excluded.lease_until, updated_at = now()
WHERE lease.lease_until <= now()
RETURNING holder
"""

_UNTIL: Final = "SELECT lease_until FROM settlement_leases WHERE name = %(name)s"

_GO_ON: Final = """
UPDATE settlement_leases SET lease_until = now() + %(lasts)s::interval, updated_at = now()
WHERE name = %(name)s AND holder = %(holder)s
RETURNING holder
"""

# With another holder, who is nobody: a thread that says at this moment that the last one lives is too late.
_END: Final = """
UPDATE settlement_leases SET lease_until = now(), holder = gen_random_uuid(), updated_at = now()
WHERE name = %(name)s AND holder = %(holder)s
"""
