"""Writes what a sync found, by functions of the owner (migrations/sources): a run, a transaction a batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from time import sleep
from typing import Any, Final, NamedTuple
from uuid import UUID

import orjson
import psycopg
from psycopg import errors
from psycopg.types.array import ListBinaryDumper

from checkout_service.catalog.models import SyncState
from checkout_service.catalog.rows import ListingRow
from checkout_service.catalog.source import patient_connection
from checkout_service.settings.secret import Secret

TRIES: Final = 3
"""How often a batch is written that met somebody who keeps its rows."""

LEASE_BEYOND: Final = 60
"""Seconds for which a run has its lease beyond its longest statement. One that is killed is over after that."""

OF_RUN: Final = "catalog_sync_runs"
"""The name by which the functions say that the run is over."""


class SyncRunningError(Exception):
    """Another sync is at work, or was killed within its lease. Nothing was done."""


class SyncOverError(Exception):
    """This run lost its lease, and another one may have read the source since: it ends. What it wrote is right."""


class Change(NamedTuple):
    """A row of the source as a listing, and what it does to one on sale: see ``moved_currencies``."""

    key: str
    listing: ListingRow
    digest: str
    ends: bool
    """Whether the listing ends to be on sale."""
    moved: Sequence[str]
    """The currencies in which its price moves far."""


@dataclass(slots=True, kw_only=True)
class SyncWriter:
    """A run, and the connection that writes for it."""

    connection: psycopg.Connection[Any]
    sync: UUID
    lasts: timedelta
    seconds: int
    """Of one statement. A batch takes less than one; a vendor with very many listings that gets another name, more."""
    writes: bool

    def go_on(self) -> None:
        """Keep the lease while nothing is written. Raises SyncOverError."""
        with _of_run():
            self.connection.execute(_GO_ON, {"sync": self.sync, "lasts": self.lasts})

    def write(
        self, columns: Sequence[str], batch: Sequence[Change], *, allowed: bool
    ) -> Sequence[tuple[str, str, int | None, int | None]]:
        """Write what differs of these, of a source with these columns; what that does counts from then on.

        Of each its key, what was done (new, changed, same, taken), the source's stock, and what is reserved if that is
        more. Raises SyncOverError and psycopg.Error.
        """
        rows = orjson.dumps([_row(n, each) for n, each in enumerate(batch)]).decode()
        values = {"sync": self.sync, "lasts": self.lasts, "given": list(columns), "rows": rows, "allowed": allowed}
        return self._run(_WRITE, values)

    def retire(self, keys: Sequence[str], *, allowed: bool) -> Sequence[str]:
        """Make the listings of these keys inactive. Those of them that were on sale. Raises as ``write``."""
        rows = self._run(_RETIRE, {"sync": self.sync, "lasts": self.lasts, "keys": list(keys), "allowed": allowed})
        return [key for (key,) in rows]

    def end(
        self,
        state: SyncState,
        counts: Sequence[int],
        detail: str,
        *,
        allowed: bool,
        moved: Mapping[str, int],
    ) -> None:
        """Say how the run ended, what it did, and whether somebody allowed that much.

        ``moved`` are prices that moved far, by currency. Raises psycopg.Error.
        """
        values: dict[str, Any] = {"sync": self.sync, "state": state.value, "counts": list(counts), "allowed": allowed}
        values |= {"detail": detail[:4000], "moved": orjson.dumps(moved).decode()}
        self.connection.execute(_END, values)

    def _run(self, statement: str, values: dict[str, Any], tries: int = TRIES) -> Sequence[Any]:
        """The rows of a function, called in a transaction; taken back where this is a try."""
        try:
            with _of_run(), self.connection.transaction(force_rollback=not self.writes):
                self.connection.execute(f"SET LOCAL statement_timeout = '{self.seconds}s'".encode())
                self.connection.execute("SET LOCAL lock_timeout = '5s'")
                return self.connection.execute(statement.encode(), values).fetchall()
        except (errors.LockNotAvailable, errors.DeadlockDetected):
            if tries == 1:
                raise
            sleep(0.5)
        return self._run(statement, values, tries - 1)


@contextmanager
def open_writer(url: Secret, *, pooler: str, statement_seconds: int, writes: bool) -> Iterator[SyncWriter]:
    """Begin a run whose longest statement takes so many seconds. Raises SyncRunningError, and psycopg.Error."""
    lasts = timedelta(seconds=statement_seconds + LEASE_BEYOND)
    with patient_connection(url, name="catalog-sync", pooler=pooler) as connection:
        connection.autocommit = True
        connection.answer_within = statement_seconds + 5.0
        connection.adapters.register_dumper(list, ListBinaryDumper)
        (sync,) = connection.execute(_BEGIN, {"lasts": lasts}).fetchone() or (None,)
        if sync is None:
            raise SyncRunningError
        yield SyncWriter(connection=connection, sync=sync, lasts=lasts, seconds=statement_seconds, writes=writes)


@contextmanager
def _of_run() -> Iterator[None]:
    try:
        yield
    except errors.CheckViolation as error:
        if error.diag.constraint_name == OF_RUN:
            raise SyncOverError from error
        raise


def _row(n: int, change: Change) -> dict[str, Any]:
    listing = change.listing
    vendor, school, spec = listing.vendor, listing.school, listing.spec
    return {
        "n": n,
        "id": listing.id,
        "key": change.key,
        "digest": change.digest,
        "ends": change.ends,
        "moved": change.moved,
        "title": listing.title,
        "description": listing.description,
        "images": orjson.Fragment(listing.images),
        "unit_price": str(listing.unit_price),
        "currency": listing.currency,
        "prices": orjson.Fragment(listing.prices),
        "stock": listing.stock,
        "active": listing.active,
        "vendor_id": vendor.id,
        "vendor_name": vendor.name,
        "school_id": school.id if school else None,
        "school_name": school.name if school else None,
        "spec_id": spec.id if spec else None,
        "spec_name": spec.name if spec else None,
        "spec_attributes": orjson.Fragment(spec.attributes) if spec and spec.attributes else None,
    }


_BEGIN: Final = "SELECT catalog_sync_begin(%(lasts)s::interval)"

_GO_ON: Final = "SELECT catalog_sync_go_on(%(sync)s::uuid, %(lasts)s::interval)"

_WRITE: Final = """
SELECT source_key, outcome, source_stock, reserved
FROM catalog_sync_write_counted(
    %(sync)s::uuid, %(lasts)s::interval, %(given)s::text[], %(rows)s::jsonb, %(allowed)s::boolean)
"""

_RETIRE: Final = """
SELECT source_key
FROM catalog_sync_retire_counted(%(sync)s::uuid, %(lasts)s::interval, %(keys)s::text[], %(allowed)s::boolean)
"""

_END: Final = """
SELECT catalog_sync_end(
    %(sync)s::uuid, %(state)s::catalog_sync_state, %(counts)s::integer[], %(detail)s::text, %(allowed)s::boolean,
    %(moved)s::jsonb)
"""
