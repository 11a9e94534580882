"""Has one command at a time fetch reports: a row that says until when it is somebody's.

No lock of a connection: behind a pooler it would be the pooler's, and no login role may take advisory locks.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

import psycopg

FETCH: Final = "fetch"

LASTS: Final = timedelta(minutes=20)
"""For how long it is somebody's who did not say more: a report is downloaded within 10 minutes, a statement takes 15 at
most. After a kill the next one begins so much later."""


class LeaseTakenError(Exception):
    """Another one is at work, or was killed a moment ago: ``until`` (UTC) it is theirs."""

    def __init__(self, until: datetime) -> None:
        super().__init__(f"until {until:%H:%M} UTC")
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

_END: Final = """
UPDATE settlement_leases SET lease_until = now(), updated_at = now() WHERE name = %(name)s AND holder = %(holder)s
"""
