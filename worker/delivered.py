"""Events of providers that came, or were dealt with: by their ids, so that a list leads to no second read.

The memory is in the cache. While that is away, and in another history of the database, everything is read again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from checkout_service.cache import cache
from checkout_service.database.engine import history

REMEMBERED_FOR: Final = 30 * 86_400
"""Seconds for which an event that was dealt with is not looked at again, though it is listed, or fails to arrive.

As far back as a list goes: a walk that lies behind would read again what came while it caught up.
"""


def marks_of(provider: str, event_ids: Iterable[str]) -> dict[str, str]:
    """By the event's id, the name in the cache of one that was dealt with; none while it cannot be kept."""
    in_history = history(now=True)
    return {event_id: _mark(in_history, provider, event_id) for event_id in event_ids} if in_history else {}


def note_delivered(events: Iterable[tuple[str, str]]) -> None:
    """Note events, by provider and id ('' of one without), whose webhooks are in this history; a moment later."""
    named = sorted({(provider, event_id) for provider, event_id in events if event_id})
    in_history = history() if named else ""
    if in_history:
        cache().put_later([_mark(in_history, *each) for each in named], b"1", seconds=REMEMBERED_FOR)


def _mark(in_history: str, provider: str, event_id: str) -> str:
    return f"backfilled:{in_history}:{provider}:{event_id}"
