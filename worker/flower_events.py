"""Which task events Flower is sent: failures always, everything of a task that an operator started, nothing else.

An event costs the worker about as much as a task. The reasons and figures are in docs/decisions.
"""

from __future__ import annotations

from time import time
from typing import Any, Final

from celery.worker.request import Request

BAD_NEWS: Final = frozenset({"task-failed", "task-retried", "task-rejected", "task-revoked"})


class QuietRequest(Request):
    """A request that tells of its end when that is bad, and of every step when an operator watches it."""

    # Celery's own, which its stubs leave out.
    _request_dict: dict[str, Any]
    _argsrepr: str
    _kwargsrepr: str
    _eventer: Any

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # Wake-ups, sweeps and beat say that nobody watches; whatever else started a task, Flower's own API included,
        # did it for an operator.
        self._came = time()
        self._watched = not self._request_dict.get("quiet")
        if self._watched:
            self._tell("task-received")

    def send_event(self, type: str, **fields: Any) -> None:  # noqa: A002 (Celery's name)
        if self._watched or type in BAD_NEWS:
            # Flower sorts by this, which otherwise only the "received" would tell.
            self._tell(type, received=self._came, **fields)

    def _tell(self, kind: str, **fields: Any) -> None:
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
