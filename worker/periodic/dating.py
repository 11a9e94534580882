"""When beat sent a message, by its own clock: workers see from it how far that is from the database's."""

from __future__ import annotations

from time import time
from typing import Any

from celery.signals import before_task_publish


def date_messages() -> None:
    """Have this process write into the headers of scheduled messages when it sends them, in seconds since 1970."""
    before_task_publish.connect(_date, dispatch_uid="date_messages")


def _date(headers: dict[str, Any] | None = None, **_: Any) -> None:
    if headers and headers.get("scheduled"):
        headers["sent_at"] = time()
