"""How many processes of a kind a host runs, as their own programs read it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Self

from checkout_service.settings.reader import Reader


@dataclass(frozen=True, kw_only=True)
class ProcessCounts:
    """Children of the web, and of each of worker and housekeeping."""

    web: int
    worker: int

    @classmethod
    def from_environment(cls) -> Self:
        """Read WEB_CONCURRENCY and WORKER_CONCURRENCY; by the cores where they are unset. Raises SettingsError."""
        env = Reader()
        web, worker = env.number("WEB_CONCURRENCY", 0, least=0), env.number("WORKER_CONCURRENCY", 0, least=0)
        env.finish()
        cores = os.cpu_count() or 1
        return cls(web=web or cores, worker=worker or cores + 1)
