"""Posts the mock provider's webhooks in time, and again for as long as nobody takes them, as real providers do."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Sequence
from itertools import count
from time import monotonic
from typing import Final

import httpx

from checkout_service.local.mock_actions import OutgoingWebhook

FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 30.0
GIVE_UP_AFTER: Final = 600.0
"""Seconds for which a webhook is tried; a real provider goes on for days."""


class Outbox:
    """Webhooks by the time at which they go out; one thread posts them, one after the other."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._changed = threading.Condition()
        self._due: list[tuple[float, int, float, float, bytes]] = []
        self._number = count()
        threading.Thread(target=self._run, name="outbox", daemon=True).start()

    def send(self, webhooks: Sequence[OutgoingWebhook]) -> None:
        """Post each at its time. The first tries of webhooks due at once are made in their order."""
        for webhook in webhooks:
            due = monotonic() + webhook.after
            self._add(due, FIRST_PAUSE, due + GIVE_UP_AFTER, webhook.body)

    def _add(self, due: float, pause: float, until: float, body: bytes) -> None:
        with self._changed:
            heapq.heappush(self._due, (due, next(self._number), pause, until, body))
            self._changed.notify()

    def _run(self) -> None:
        with httpx.Client(timeout=10.0) as http:
            while True:
                _, _, pause, until, body = self._next()
                if not self._posted(http, body) and monotonic() + pause < until:
                    self._add(monotonic() + pause, min(2 * pause, LONGEST_PAUSE), until, body)

    def _next(self) -> tuple[float, int, float, float, bytes]:
        with self._changed:
            while not self._due or self._due[0][0] > monotonic():
                self._changed.wait(self._due[0][0] - monotonic() if self._due else None)
            return heapq.heappop(self._due)

    def _posted(self, http: httpx.Client, body: bytes) -> bool:
        """Whether it was taken, or refused for good: then sending it again is of no use."""
        try:
            answer = http.post(self._address, content=body, headers={"Content-Type": "application/json"})
        except httpx.HTTPError:
            return False
        return not answer.is_server_error and answer.status_code != httpx.codes.TOO_MANY_REQUESTS
