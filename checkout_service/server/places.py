"""How many requests of one caller may wait for somebody else at once: for a provider, or for a request of the same key.

A request that waits so has released its slot, and a process has a bounded number of places for those. One caller who
took them all would be answered, and nobody else. So each request names the shares that it counts against, and whoever
finds one of them full is refused at once.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from flask import Flask, current_app


class ShareFullError(Exception):
    """As many requests as may wait at once do so already, of those that ``share`` names."""

    def __init__(self, share: str) -> None:
        super().__init__(share)
        self.share = share


class Places:
    """Counts the requests of this process that wait, by whose they are."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: Counter[str] = Counter()

    @contextmanager
    def taken(self, shares: Mapping[str, int]) -> Iterator[None]:
        """Hold a place for the length of the block; ``shares`` are whose it is, and how many they may have.

        Raises ShareFullError, without waiting; then nothing is counted.
        """
        with self._lock:
            for share, most in shares.items():
                if self._taken[share] >= most:
                    raise ShareFullError(share)
            self._taken.update(shares.keys())
        try:
            yield
        finally:
            with self._lock:
                self._taken.subtract(shares.keys())
                for share in shares:
                    if not self._taken[share]:
                        del self._taken[share]


def connect_places(app: Flask) -> None:
    """Give the app the places of its process."""
    app.extensions["places"] = Places()


def places() -> Places:
    """The places of the current app."""
    found: Places = current_app.extensions["places"]
    return found
