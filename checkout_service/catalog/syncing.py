"""The sync: listings out of the tables of another application, as they are at one moment.

The worker's role reads the source; what differs is written by functions of the owner (migrations/sources/sync.sql), a
batch a transaction. So customers wait for one batch, and a sync that is killed has written whole listings: the next one
goes on, since it looks at what differs by then. It runs alone, by its row in ``catalog_syncs``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from time import monotonic
from typing import Any, Final
from uuid import UUID

import orjson
import psycopg

from checkout_service.catalog.jsonl import BadLineError
from checkout_service.catalog.models import SyncState
from checkout_service.catalog.rows import ListingRow, left_out
from checkout_service.catalog.source import Source, open_source
from checkout_service.catalog.source_judging import moved_currencies
from checkout_service.catalog.source_rows import listing_of
from checkout_service.catalog.sync_writing import Change, SyncWriter, open_writer
from checkout_service.settings.catalog_source import CatalogSource
from checkout_service.settings.origins import Origins
from checkout_service.settings.secret import Secret
from checkout_service.terminal import printable

BATCH: Final = 1000
"""Listings of one transaction: whoever wants pieces of them waits for so many."""

BATCH_BYTES: Final = 4 * 2**20
"""Of what one call carries: listings may be long."""

OF_ANOTHER_KEY: Final = "its listing is that of another key"

NAMED: Final = 20
"""Keys of each kind that are named."""


@dataclass(slots=True)
class Keys:
    """How many keys of one kind there were, and the first of them with what is to be known."""

    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, key: str, about: str = "") -> None:
        """Count one more."""
        self.count += 1
        if len(self.first) < NAMED:
            self.first.append(printable(key)[:100] + (f": {about}" if about else ""))

    def __str__(self) -> str:
        others = self.count - len(self.first)
        return "; ".join(self.first) + (f" and {others} others" if others else "")


@dataclass(slots=True, kw_only=True)
class Synced:
    """What a sync did. ``refusal`` says why it did nothing, where it did nothing; ``state`` how it ended."""

    state: SyncState = SyncState.DONE
    rows: int = 0
    """Of the source."""
    new: Keys = field(default_factory=Keys)
    changed: Keys = field(default_factory=Keys)
    gone: Keys = field(default_factory=Keys)
    """Made inactive, since the source no longer has them."""
    turned_off: int = 0
    """Of those changed: made inactive, since the source says so."""
    allowed: bool = False
    """Whether somebody allowed more than ``CATALOG_SYNC_MAX_GONE``."""
    unusable: Keys = field(default_factory=Keys)
    """Rows that no listing can be; theirs are as they were."""
    left_out: Keys = field(default_factory=Keys)
    """Rows with prices in a currency that was withdrawn: these were left out, and all else was taken."""
    short: Keys = field(default_factory=Keys)
    """Listings of which less lies there than is reserved."""
    moved: Counter[str] = field(default_factory=Counter)
    """Of listings on sale: how many prices moved far, by their currencies."""
    refusal: str = ""

    @property
    def is_good(self) -> bool:
        """Whether nobody has to look at anything."""
        return not self.refusal and not self.unusable.count and not self.short.count

    @property
    def in_words(self) -> str:
        """The counts, in one line."""
        if self.refusal:
            return f"nothing changed: {self.refusal}"
        counts = (
            f"{self.rows} rows: {self.new.count} new, {self.changed.count} changed, {self.gone.count} made inactive, "
            f"{self.unusable.count} unusable, {self.short.count} short"
        )
        return counts + {SyncState.PARTIAL: "; the next one goes on", SyncState.TRIED: "; nothing was written"}.get(
            self.state, ""
        )

    @property
    def detail(self) -> str:
        """What somebody has to look at, for the run's row."""
        parts = {"unusable": self.unusable, "short": self.short, "prices left out": self.left_out}
        return self.refusal or " | ".join(f"{name}: {keys}" for name, keys in parts.items() if keys.count)


def sync_catalog(
    *,
    source: CatalogSource,
    database_url: Secret,
    namespace: UUID,
    pooler: str = "none",
    statement_seconds: int,
    within: float | None = None,
    allow_gone: bool = False,
    writes: bool = True,
    progress: Callable[[int], None] = lambda _rows: None,
) -> Synced:
    """Bring the catalogue to what the source has, as one moment shows it.

    ``within`` seconds it begins its last batch; what is left is the next one's, and until all was read nothing is made
    inactive. ``writes`` is false for a try: everything is done and taken back. ``progress`` is called with how many
    rows were looked at. Raises SyncRunningError, SourceError, SyncOverError, and psycopg.OperationalError where the
    database is away.
    """
    until = monotonic() + within if within is not None else float("inf")
    with open_writer(database_url, pooler=pooler, statement_seconds=statement_seconds, writes=writes) as writer:
        synced = Synced(allowed=allow_gone and writes)
        salt = namespace.hex
        try:
            with open_source(database_url, source, pooler=pooler, seconds=statement_seconds, namespace=salt) as reading:
                judged = reading.judge()
                writer.go_on()
                synced.rows = judged.rows
                synced.refusal = judged.refusal(source.most_gone, allow_gone=allow_gone)
                if not synced.refusal:
                    for _ in range(judged.nameless):
                        synced.unusable.add("(no id)", "id is missing")
                    _sync(reading, writer, synced, namespace, source.image_origins, until, progress)
        except BaseException as error:
            # Whatever it is: the next one need not wait until the lease is over.
            synced.state, synced.refusal = SyncState.FAILED, _why(error)
            with suppress(psycopg.Error):
                _end(writer, synced)
            raise
        if synced.refusal:
            synced.state = SyncState.REFUSED
        elif not writes:
            synced.state = SyncState.TRIED
        _end(writer, synced)
        return synced


def _why(error: BaseException) -> str:
    first = str(error).partition("\n")[0]
    return printable(first)[:300] or type(error).__name__


def _end(writer: SyncWriter, synced: Synced) -> None:
    inactive = synced.gone.count + synced.turned_off
    counts = [synced.new.count, synced.changed.count, inactive, synced.unusable.count, synced.short.count]
    writer.end(synced.state, [synced.rows, *counts], synced.detail, allowed=synced.allowed, moved=synced.moved)


def _sync(
    reading: Source,
    writer: SyncWriter,
    synced: Synced,
    namespace: UUID,
    origins: Origins | None,
    until: float,
    progress: Callable[[int], None],
) -> None:
    looked_at = 0
    for batch, rows in _batches(reading, synced, namespace, origins):
        looked_at += rows
        if not batch:
            writer.go_on()
        about = {change.key: change for change in batch}
        written = writer.write(reading.columns, batch, allowed=synced.allowed) if batch else ()
        for key, outcome, stock, reserved in written:
            if outcome == "taken":
                synced.unusable.add(key, OF_ANOTHER_KEY)
            elif outcome in {"new", "changed"}:
                (synced.new if outcome == "new" else synced.changed).add(key)
                synced.turned_off += about[key].ends
                synced.moved.update(about[key].moved)
            if reserved is not None:
                synced.short.add(key, f"{stock} lie there, {reserved} are reserved")
        progress(looked_at)
        if monotonic() > until:
            synced.state = SyncState.PARTIAL
            return
    writer.go_on()
    keys: list[str] = []
    for key in reading.gone():
        keys.append(key)
        if len(keys) == BATCH:
            _retire(writer, keys, synced)
            keys = []
            if monotonic() > until:
                synced.state = SyncState.PARTIAL
                return
    if keys:
        _retire(writer, keys, synced)


def _retire(writer: SyncWriter, keys: Sequence[str], synced: Synced) -> None:
    for key in writer.retire(keys, allowed=synced.allowed):
        synced.gone.add(key)


def _batches(
    reading: Source, synced: Synced, namespace: UUID, origins: Origins | None
) -> Iterator[tuple[list[Change], int]]:
    """Rows that differ, each listing once in a batch, and of how many rows each batch is."""
    batch: list[Change] = []
    ids: set[str] = set()
    size = rows = 0
    for row in reading.changed():
        rows += 1
        key = row["id"]
        if key is not None:  # which was counted as they were judged
            try:
                listing = listing_of(row, namespace, origins)
            except BadLineError as error:
                synced.unusable.add(key, str(error))
                listing = None
            if listing and listing.id in ids:
                synced.unusable.add(key, OF_ANOTHER_KEY)
            elif listing:
                ids.add(listing.id)
                if names := left_out((row.get("prices") or "").encode()):
                    synced.left_out.add(key, f"no price in {' or '.join(names)}, which was withdrawn")
                batch.append(_change(row, listing))
                size += _size(listing)
        if rows == BATCH or size > BATCH_BYTES:
            yield batch, rows
            batch, ids, size, rows = [], set(), 0, 0
    if rows:
        yield batch, rows


def _change(row: Mapping[str, Any], listing: ListingRow) -> Change:
    key, digest = row["id"], row["digest"]
    if not row["was_active"]:
        return Change(key, listing, digest, ends=False, moved=())
    after = {name: Decimal(price) for name, price in orjson.loads(listing.prices).items()}
    moved = moved_currencies(row["costs"], after | {listing.currency: listing.unit_price})
    return Change(key, listing, digest, ends=not listing.active, moved=moved)


def _size(listing: ListingRow) -> int:
    """About how many bytes it is; titles and names are short."""
    attributes = (listing.spec and listing.spec.attributes) or ""
    return len(listing.images) + len(listing.description or "") + len(listing.prices) + len(attributes)
