"""How far the look-ups of one webhook came, where it has news of more payments than there was time to ask about.

What was answered is entered with the attempt that asked, and the webhook is put off for the rest. The next attempt goes
on from there: without that, news of so many payments that one attempt cannot ask about all would never be through. The
cache says what was asked, and nothing depends on it: without it, or in another history of the database, all is asked
about once more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final
from uuid import UUID

from checkout_service.cache import cache
from checkout_service.database.engine import history
from checkout_service.providers.base import ThinEvent
from worker.webhooks.reading import Reading

REMEMBERED_FOR: Final = 4 * 86_400
"""Seconds: a webhook is put off for three days at most."""


def resume(readings: Sequence[Reading]) -> list[Reading]:
    """The readings without the thin events that an attempt before looked up. A replay asks about all of them."""
    many = [each for each in readings if len(each.thin_events) > 1 and not each.webhook.is_replay]
    marks = {each.webhook.id: _marks(each.webhook.id, each.thin_events) for each in many}
    known = cache().known([mark for of_webhook in marks.values() for mark in of_webhook.values()])
    if not known:
        return list(readings)
    resumed = []
    for reading in readings:
        of_webhook = marks.get(reading.webhook.id, {})
        left = [each for each in reading.thin_events if of_webhook.get(each) not in known]
        some = len(left) < len(reading.thin_events)
        resumed.append(replace(reading, thin_events=left, resumed=True) if some else reading)
    return resumed


def note_progress(readings: Sequence[Reading]) -> None:
    """Remember what was looked up of webhooks that come again for the rest. Call it after the commit."""
    partly = [each for each in readings if each.looked_up and not each.webhook.is_replay]
    marks = [mark for each in partly for mark in _marks(each.webhook.id, each.looked_up).values()]
    if marks:
        cache().put_many(marks, b"1", seconds=REMEMBERED_FOR)


def _marks(webhook_id: UUID, thin_events: Sequence[ThinEvent]) -> dict[ThinEvent, str]:
    """By thin event its name in the cache; none where the history that the database is in is not known."""
    in_history = history(now=True) if thin_events else ""
    return {
        each: f"looked up:{in_history}:{webhook_id}:{each.provider}:{each.provider_ref}"
        for each in thin_events
        if in_history
    }
