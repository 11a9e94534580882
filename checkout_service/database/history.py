"""Which history of the database a process works with: what the cache has of another one may never have happened here.

A failover, a restore or a copy can undo what was committed. What was kept in the cache because of it is kept under
names of that other history, and nobody finds it there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from time import monotonic
from typing import Any, Final

ASK: Final = """
    SELECT (SELECT system_identifier FROM pg_control_system()), substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8),
        (SELECT oid FROM pg_database WHERE datname = current_database()), pg_postmaster_start_time()
"""
"""The cluster, its timeline, the database, and when the server started: a copy of a disk has all but the last of its
original. So a restart forgets what is in the cache, which costs a few statements."""

LOOK_EVERY: Final = 1.0
"""Seconds for which a look says how things are now. Behind a pooler it holds for no longer, since a connection there
outlives a promotion; elsewhere each new connection looks, and one to a server that is no primary any more is lost."""


class History:
    """What one process knows of it."""

    def __init__(self, *, behind_pooler: bool) -> None:
        self.name = ""
        """Empty while nothing is known of it."""
        self._is_kept = not behind_pooler
        self._seen_at = float("-inf")

    @property
    def is_known(self) -> bool:
        """Whether the name may be used without another look."""
        return bool(self.name) and (self._is_kept or self.is_of_now)

    @property
    def is_of_now(self) -> bool:
        """Whether the last look was a moment ago."""
        return bool(self.name) and monotonic() - self._seen_at < LOOK_EVERY

    def see(self, row: Sequence[Any] | None) -> None:
        """Take what ``ASK`` found; None where it found nothing, as on a standby."""
        self.name = "" if row is None else hashlib.sha256(repr(tuple(row)).encode()).hexdigest()[:16]
        self._seen_at = monotonic()
