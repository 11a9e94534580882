"""Posts the mock provider's webhooks in time, and again for as long as nobody takes them, as real providers do."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from itertools import count
from threading import Lock
from time import monotonic
from typing import Final

import httpx

from checkout_service.local.mock_actions import OutgoingWebhook
from checkout_service.threads import BackgroundThread

FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 30.0
GIVE_UP_AFTER: Final = 600.0
"""Seconds for which a webhook is tried; a real provider goes on for days."""


class Outbox:
    """Webhooks by the time at which they go out; one thread posts them, one after the other."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._lock = Lock()
        self._due: list[tuple[float, int, float, float, bytes]] = []
        self._number = count()
        self._thread = BackgroundThread("outbox", self._post)

    def send(self, webhooks: Sequence[OutgoingWebhook]) -> None:
        """Post each at its time. The first tries of webhooks due at once are made in their order."""
        for webhook in webhooks:
            due = monotonic() + webhook.after
            self._add(due, FIRST_PAUSE, due + GIVE_UP_AFTER, webhook.body)

    def _add(self, due: float, pause: float, until: float, body: bytes) -> None:
        with self._lock:
            heapq.heappush(self._due, (due, next(self._number), pause, until, body))
        self._thread.wake()

    def _post(self) -> Iterator[float | None]:
        """Post all that are due, then wait for the next one's time."""
        with httpx.Client(timeout=10.0) as http:
            while True:
                while webhook := self._take_due():
                    _, _, pause, until, body = webhook
                    is_done = False
                    try:
                        is_done = self._posted(http, body)
                    finally:
                        if not is_done and monotonic() + pause < until:
                            self._add(monotonic() + pause, min(2 * pause, LONGEST_PAUSE), until, body)
                with self._lock:
                    seconds = max(0.0, self._due[0][0] - monotonic()) if self._due else None
                yield seconds

    def _take_due(self) -> tuple[float, int, float, float, bytes] | None:
        with self._lock:
            return heapq.heappop(self._due) if self._due and self._due[0][0] <= monotonic() else None

    def _posted(self, http: httpx.Client, body: bytes) -> bool:
        """Whether it was taken, or refused for good: then sending it again is of no use."""
        try:
            answer = http.post(self._address, content=body, headers={"Content-Type": "application/json"})
        except httpx.HTTPError:
            return False
        return not answer.is_server_error and answer.status_code != httpx.codes.TOO_MANY_REQUESTS
