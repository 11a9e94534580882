"""Thin events in a provider's list of all its events, of which those that came as webhooks are passed over.

A list that does not tell what was delivered has everything again: so an event whose webhook came, or that was read
from the list before, is known by its id and costs nothing but its line in the list. Of the others each object is read
once a page, and so many a run. The newest come first, so that a run which ends early has seen what is new.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol, runtime_checkable

import structlog

from checkout_service.cache import cache
from checkout_service.database.engine import transaction
from checkout_service.database.errors import DatabaseLockedError, DatabaseUnavailableError
from checkout_service.providers.base import (
    Decline,
    ParsedWebhook,
    ProviderEvent,
    ProviderRefundEvent,
    ProviderRefusedError,
    ProviderUnavailableError,
    ThinEvent,
    UnreadableError,
)
from checkout_service.providers.named_objects import SupportsNamedObjects
from checkout_service.providers.undelivered import SupportsEventList, UndeliveredEvent
from worker.delivered import REMEMBERED_FOR, marks_of
from worker.payments.status_queries import Inquiry, StatusQueries
from worker.references import references
from worker.transitions.outcomes import Outcome, received_now
from worker.transitions.recording import record
from worker.unanswered import note_answered, note_unanswered

FIRST: Final = timedelta(days=3)
"""How far back the first run goes: as long as a provider tries to deliver by itself."""

FARTHEST: Final = timedelta(days=30)
"""As far as such lists go."""

OVERLAP: Final = timedelta(hours=1)
"""What each run lists once more: an event may stand in the list later than its time says."""

MOST_READ: Final = 300
"""Objects that one run reads of one provider."""

log = structlog.get_logger(__name__)


@runtime_checkable
class ListsNamedObjects(SupportsEventList, SupportsNamedObjects, Protocol):
    """A provider that lists thin events whose objects it can read."""


class ListedEvents:
    """A walk along all events of one provider since the last walk that came to its end."""

    def __init__(self, name: str, provider: ListsNamedObjects) -> None:
        self.name = name
        self.is_over = False
        self._provider = provider
        self._mark = f"events listed:{name}"
        self._begun = datetime.now(UTC)
        self._since = self._last() or self._begun - FIRST
        self._after: str | None = None
        self._whole = True
        self._reads_left = MOST_READ

    def step(self, queries: StatusQueries) -> int:
        """Enter the next page; how many events that were. Raises ProviderError and DatabaseUnavailableError."""
        page = self._provider.listed(since=self._since, after=self._after)
        entered = self._enter(queries, page.events)
        self._after = page.after
        self.is_over = page.after is None or self._reads_left <= 0
        if page.after is None and self._whole:
            seconds = int(FARTHEST.total_seconds())
            cache().put(self._mark, self._begun.isoformat().encode(), seconds=seconds)
        return entered

    def _last(self) -> datetime | None:
        """Where the last whole walk began, and a little before."""
        kept = cache().get(self._mark)
        try:
            return max(datetime.fromisoformat(kept.decode()) - OVERLAP, self._begun - FARTHEST) if kept else None
        except (ValueError, TypeError):  # another release kept something else there
            return None

    def _enter(self, queries: StatusQueries, events: Sequence[UndeliveredEvent]) -> int:
        # Of the history before anything is committed: another one may lack it.
        marks = marks_of(self.name, [event.event_id for event in events])
        known = cache().known(list(marks.values()))
        news: dict[str, list[ThinEvent]] = {}
        for event in events:
            if marks.get(event.event_id) not in known:
                for item in event.events:
                    if isinstance(item, ThinEvent) and item.object_ref:
                        news.setdefault(item.object_ref, []).append(item)
        here = references(
            (self.name, item.provider_ref) for each in news.values() for item in each if item.provider_ref
        )
        entered = 0
        for each in news.values():
            reference = each[0].provider_ref
            if reference and (self.name, reference) not in here:
                continue  # a payment of another service
            if self._reads_left <= 0 or not queries.may_go_on():
                self._whole = False
                break
            self._reads_left -= 1
            parsed = self._read(each)
            if parsed is None:
                continue
            count = self._record(queries, parsed)
            if count is None:
                self._whole = False
                continue
            entered += count
            # At once: the next one may find the provider away.
            done = [marks[item.event_id] for item in each if item.event_id in marks]
            if done:
                cache().put_many(done, b"1", seconds=REMEMBERED_FOR)
        return entered

    def _read(self, news: Sequence[ThinEvent]) -> ParsedWebhook | None:
        """What an object says; None where it cannot be understood. Raises ProviderError where all others would fail."""
        ref = news[0].object_ref
        try:
            parsed = self._provider.look_up_object(news)
        except ProviderUnavailableError as error:
            note_unanswered(self.name, ref, error)
            raise
        except ProviderRefusedError as error:
            note_answered(self.name)
            if error.reason is Decline.CREDENTIALS:
                raise
            return ParsedWebhook()  # there is none for this account, and so none of ours
        except UnreadableError as error:
            note_answered(self.name)
            log.warning("look_up_not_understood", provider=self.name, error=str(error))
            return None
        note_answered(self.name)
        return parsed

    def _record(self, queries: StatusQueries, parsed: ParsedWebhook) -> int | None:
        """How many events an object told, or None if they could not be entered: the next run sees them again.

        Events about payments that are not here are not ours.
        """
        events = [item for item in parsed.events if isinstance(item, ProviderEvent | ProviderRefundEvent)]
        thin_events = [item for item in parsed.events if isinstance(item, ThinEvent)]
        entered = 0
        try:
            if events:
                with transaction() as connection:
                    recorded = record(connection, received_now(events))
                recorded.follow_up()
                outcomes = [effect.outcome for effect in recorded.effects]
                if Outcome.WAITING in outcomes:
                    return None
                moved = {Outcome.APPLIED, Outcome.MISMATCH}
                entered = sum(
                    bool(item.event_id) and outcome in moved for item, outcome in zip(events, outcomes, strict=True)
                )
        except DatabaseLockedError:
            log.warning("payment_held_by_another")
            return None
        except DatabaseUnavailableError:
            raise
        except Exception:
            log.exception("events_not_recorded")
            return None
        here = references((item.provider, item.provider_ref) for item in thin_events)
        for key in sorted(here):
            queries.ask(Inquiry(payment_id=here[key].payment_id, provider=key[0]))
            if not queries.recorded:
                return None
        return entered
