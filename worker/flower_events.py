"""Which task events Flower is sent: failures always, everything of a task that an operator started, nothing else.

An event costs the worker about as much as a task. The reasons and figures are in docs/decisions.

Celery calls a message that expired *revoked*. Beat goes on sending while no worker runs, so a worker that starts finds
messages that expired. That is no failure, since the next message says the same: nothing is sent about them. Flower does
hear of a task that somebody revoked, and of one that expired though an operator started it.
"""

from __future__ import annotations

from time import time
from typing import Any, Final

from celery.worker.request import Request

BAD_NEWS: Final = frozenset({"task-failed", "task-retried", "task-rejected", "task-revoked"})


class QuietRequest(Request):
    """A request that sends an event when it ends badly, and one at every step when an operator watches it."""

    # Celery's own, which its stubs leave out.
    _request_dict: dict[str, Any]
    _argsrepr: str
    _kwargsrepr: str
    _eventer: Any

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # Messages of sweeps, beat and our own publisher are marked as quiet; whatever else started a task, Flower's own
        # API included, did it for an operator.
        self._received_at = time()
        self._watched = not self._request_dict.get("quiet")
        if self._watched:
            self._send("task-received")

    def send_event(self, type: str, **fields: Any) -> None:  # noqa: A002 (Celery's name)
        if self._watched or (type in BAD_NEWS and not fields.get("expired")):
            # Flower sorts by this time, which is otherwise only in the event "received".
            self._send(type, received=self._received_at, **fields)

    def _send(self, kind: str, **fields: Any) -> None:
        """Name and arguments come along: without a "received" before it, Flower knows nothing of this task."""
        if self._eventer and self._eventer.enabled:
            self._eventer.send(
                kind,
                uuid=self.id,
                name=self.name,
                args=self._argsrepr,
                kwargs=self._kwargsrepr,
                retries=self._request_dict.get("retries", 0),
                **fields,
            )
