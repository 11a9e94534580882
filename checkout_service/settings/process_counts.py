"""How many processes of a kind a host runs, as their own programs read it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Final, Self

from checkout_service.settings.reader import Reader

HOUSEKEEPING_MOST: Final = 4
"""Children of housekeeping where nobody said how many: it waits for providers, so that more cores make it no faster."""

HOUSEKEEPING_TOGETHER: Final = 2
"""The same where it has one parent with the worker and the sender, for a host that is short of memory."""


@dataclass(frozen=True, kw_only=True)
class WorkerCounts:
    """Children of worker and of housekeeping; the sender has its own in its command."""

    worker: int
    housekeeping: int

    @classmethod
    def from_environment(cls, *, housekeeping_most: int = HOUSEKEEPING_MOST) -> Self:
        """Read WORKER_CONCURRENCY; by the cores where it is unset, empty or 0. Raises SettingsError.

        ``housekeeping_most`` bounds what the cores say of housekeeping, not what somebody set.
        """
        env = Reader()
        values = cls._read(env, housekeeping_most)
        env.finish()
        return cls(**values)

    @classmethod
    def _read(cls, env: Reader, housekeeping_most: int) -> dict[str, Any]:
        # One more than cores: a child that commits waits for the disk, a tenth of its time, and another works on.
        usual = _cores() + 1
        given = _number(env, "WORKER_CONCURRENCY")
        return {"worker": given or usual, "housekeeping": given or min(usual, housekeeping_most)}


@dataclass(frozen=True, kw_only=True)
class ProcessCounts(WorkerCounts):
    """Children of the web, of worker and of housekeeping."""

    web: int

    @classmethod
    def _read(cls, env: Reader, housekeeping_most: int) -> dict[str, Any]:
        return {**super()._read(env, housekeeping_most), "web": _number(env, "WEB_CONCURRENCY") or _cores()}


def _cores() -> int:
    return os.cpu_count() or 1


def _number(env: Reader, name: str) -> int:
    """What is set; 0 where nothing is."""
    return env.number(name, 0, least=0) if env.text(name, "") else 0
