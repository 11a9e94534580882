"""The few slots in which requests work, and how a request leaves its own while it waits for somebody else.

A provider that takes seconds to answer would otherwise hold as many requests as there are slots, and with them the
letterbox and everybody else.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Final

from flask import has_request_context, request

ENVIRON_KEY: Final = "checkout_service.slots"


class TooManyWaitingError(Exception):
    """As many requests as are allowed wait outside already."""


class Slots:
    """At most ``working`` requests at work in this process, and ``waiting`` more that wait for a provider."""

    def __init__(self, *, working: int, waiting: int) -> None:
        self._working = threading.BoundedSemaphore(working)
        self._waiting = threading.BoundedSemaphore(waiting)

    @contextmanager
    def inside(self) -> Iterator[None]:
        with self._working:
            yield

    @contextmanager
    def outside(self) -> Iterator[None]:
        """Give the slot to others for the length of the block. Raises TooManyWaitingError, without waiting."""
        if not self._waiting.acquire(blocking=False):
            raise TooManyWaitingError
        try:
            self._working.release()
            try:
                yield
            finally:
                self._working.acquire()
        finally:
            self._waiting.release()


def outside() -> AbstractContextManager[None]:
    """The current request's way out of its slot; nothing where the server gives out none."""
    slots = request.environ.get(ENVIRON_KEY) if has_request_context() else None
    return slots.outside() if isinstance(slots, Slots) else nullcontext()
