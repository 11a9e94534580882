"""How far the look-ups of one webhook came, where it has news of more payments than there was time to ask about.

What was answered is entered with the attempt that asked, and the webhook is put off for the rest. The next attempt goes
on from there: without that, news of so many payments that one attempt cannot ask about all would never be through. The
cache says what was asked, and nothing depends on it: without it, or in another history of the database, all is asked
about once more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from checkout_service.cache import cache
from checkout_service.database.engine import history
from checkout_service.providers.base import ThinEvent
from worker.transitions.outcomes import Effect, Outcome
from worker.webhooks.claims import ClaimedWebhook
from worker.webhooks.reading import Reading

REMEMBERED_FOR: Final = 4 * 86_400
"""Seconds: a webhook is put off for three days at most."""

_NOT_ENTERED: Final = (Outcome.WAITING, Outcome.PARKED)
"""What leaves no trace, and is to come again."""


def resume(readings: Sequence[Reading]) -> list[Reading]:
    """The readings without the thin events that an attempt before looked up; each replay begins with all of them.

    The history that the database is in is asked for here, before anything is entered. Asked for after the commit, it
    may be that of a server which took over and lacks what was committed.
    """
    many = [each for each in readings if len(each.thin_events) > 1]
    in_history = history(now=True) if many else ""
    if not in_history:
        return list(readings)
    marks = {each.webhook.id: _marks(in_history, each.webhook, each.thin_events) for each in many}
    known = cache().known([mark for of_webhook in marks.values() for mark in of_webhook.values()])
    resumed = []
    for reading in readings:
        of_webhook = marks.get(reading.webhook.id, {})
        done = [each for each in reading.thin_events if of_webhook.get(each) in known]
        left = [each for each in reading.thin_events if of_webhook.get(each) not in known]
        resumed.append(reading._replace(thin_events=left, resumed=done, marks=of_webhook) if of_webhook else reading)
    return resumed


def entered(reading: Reading, effects: Sequence[Effect]) -> Reading:
    """The reading once its events are recorded: what has no trace in the database was not looked up."""
    if not reading.looked_up:
        return reading
    events = [*reading.events, *reading.refunds]
    missing = {id(each) for each, effect in zip(events, effects, strict=True) if effect.outcome in _NOT_ENTERED}
    done = [each for each in reading.looked_up if missing.isdisjoint(map(id, each.events))]
    waiting = [each.thin_event for each in reading.looked_up if not missing.isdisjoint(map(id, each.events))]
    return reading._replace(looked_up=done, left=[*reading.left, *waiting])


def note_progress(readings: Sequence[Reading]) -> None:
    """Remember what was looked up of webhooks that come again for the rest. Call it after the commit."""
    marks = [
        reading.marks[each.thin_event]
        for reading in readings
        for each in reading.looked_up
        if each.thin_event in reading.marks
    ]
    if marks:
        cache().put_many(marks, b"1", seconds=REMEMBERED_FOR)


def _marks(in_history: str, webhook: ClaimedWebhook, thin_events: Sequence[ThinEvent]) -> dict[ThinEvent, str]:
    """By thin event its name in the cache."""
    attempts_of = f"{in_history}:{webhook.id}:{webhook.replay_of or ''}"
    return {
        each: f"looked up:{attempts_of}:{each.provider}:{each.provider_ref}:{each.object_ref}" for each in thin_events
    }
